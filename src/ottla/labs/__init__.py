"""Labs: small experiments that show what Kafka does, and check it against the records."""
