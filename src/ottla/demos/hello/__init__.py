"""A topic with two partitions, 25 messages, two consumers (`ottla demo hello`)."""
