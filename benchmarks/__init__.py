"""What the broker can do, beside librdkafka's own mock cluster on the same machine."""
