"""The HTTP doors: REST Proxy, Burrow, metrics and admin commands, as Kafka clients."""
