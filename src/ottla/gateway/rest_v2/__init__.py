"""REST Proxy API v2: topics, partitions, produce, consumer instances."""
