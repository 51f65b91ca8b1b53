"""The console: see Kafka work, in a browser."""
