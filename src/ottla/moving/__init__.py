"""Moving topics, records and committed offsets from one Kafka to another."""
