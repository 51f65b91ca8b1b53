"""The command line: the `ottla` verbs and the Kafka-named tools."""
