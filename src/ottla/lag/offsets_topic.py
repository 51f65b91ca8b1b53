"""Reading commits out of `__consumer_offsets` records (Kafka's own formats).

Key: int16 version (0 and 1: an offset), group, topic, int32 partition; strings
have an int16 length. Value: int16 version, int64 offset, in versions 3 and up
an int32 leader epoch, then metadata and an int64 commit timestamp. From
version 4 on a topic id follows in a tagged field, with compact strings.
Other keys (group metadata and the newer group kinds) are not ours to read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class OffsetKey(NamedTuple):
    group: str
    topic: str
    partition: int


class OffsetValue(NamedTuple):
    offset: int
    timestamp_ms: int


def _string(data: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, position)
    start = position + 2
    if length < 0 or start + length > len(data):
        raise ValueError("string runs past the record")
    return data[start : start + length].decode(), start + length


def parse_key(data: bytes | None) -> OffsetKey | None:
    """The offset a record is about; None for other records and for garbage."""
    if data is None or len(data) < 2:
        return None
    try:
        (version,) = struct.unpack_from(">h", data)
        if version not in (0, 1):
            return None
        group, position = _string(data, 2)
        topic, position = _string(data, position)
        (partition,) = struct.unpack_from(">i", data, position)
    except (struct.error, ValueError):
        return None
    return OffsetKey(group, topic, partition)


def _compact_length(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value - 1, position
        shift += 7


def parse_value(data: bytes) -> OffsetValue | None:
    """The committed offset and its time; None for garbage."""
    try:
        version, offset = struct.unpack_from(">hq", data)
        position = 10 + (4 if version >= 3 else 0)
        if version >= 4:
            length, position = _compact_length(data, position)
            position += max(0, length)
        else:
            (length,) = struct.unpack_from(">h", data, position)
            position += 2 + max(0, length)
        (timestamp,) = struct.unpack_from(">q", data, position)
    except (struct.error, IndexError):
        return None
    return OffsetValue(offset, timestamp)
