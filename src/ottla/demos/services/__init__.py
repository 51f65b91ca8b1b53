"""Two services around Kafka: one registers users and issues tokens, one reacts."""
