"""Off-line, read-only readers of a data directory: Apache Kafka's or ours, in one format."""
