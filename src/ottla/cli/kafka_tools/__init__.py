"""The tools that answer to the names of Apache Kafka's own."""
