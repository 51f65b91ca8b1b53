"""Frames, headers, error codes and message codecs of Kafka's protocol."""
