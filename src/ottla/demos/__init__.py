"""The programs of the write-ups, as ordinary Kafka clients."""
