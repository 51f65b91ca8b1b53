"""Records of Kafka's internal topics, in Kafka's own formats."""
