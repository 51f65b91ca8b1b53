"""What the Kafka-named tools and the `ottla` verbs share: work on a cluster, without printing."""
