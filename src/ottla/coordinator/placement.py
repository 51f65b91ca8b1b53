"""Which partition of an internal topic a group or a transactional id lives in.

Source: Kafka hashes the key as Java's `String.hashCode` does and takes the
remainder of its absolute value, so that its tools look where we wrote.
"""

from __future__ import annotations

import struct


def java_hash(text: str) -> int:
    """`String.hashCode`: over UTF-16 code units, as a signed 32-bit number."""
    units = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for (unit,) in struct.iter_unpack(">H", units):
        value = (31 * value + unit) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def partition_for(key: str, partition_count: int) -> int:
    """The partition, in 0 .. `partition_count` - 1."""
    value = java_hash(key)
    return (0 if value == -(1 << 31) else abs(value)) % partition_count
