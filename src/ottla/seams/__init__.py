"""The filesystem as a protocol: what is written, and what is durable."""
