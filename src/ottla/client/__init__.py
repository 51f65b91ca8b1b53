"""A small raw Kafka client over `wire/`."""
