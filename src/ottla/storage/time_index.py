"""Sparse map from timestamp to offset within one segment (`.timeindex`).

Shape: 12-byte entries, big-endian: int64 timestamp, int32 offset relative to
base_offset. Both ascend. An entry says: every batch that ends at or before
this offset has a maximum timestamp of at most this. The last entry of a sealed
segment holds its maximum timestamp.
Integrity: no checksum, as the offset index.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

ENTRY_BYTES: Final = 12
_ENTRY: Final = struct.Struct(">qI")

Reader: TypeAlias = Callable[[int, int], bytes]


class TimestampOffset(NamedTuple):
    """A timestamp in milliseconds and an offset; (-1, -1) for none."""

    timestamp_ms: int
    offset: int


NOTHING: Final = TimestampOffset(-1, -1)


class TimeIndex:
    """The index of an active segment, in memory."""

    __slots__ = ("_base_offset", "_offsets", "_timestamps")

    def __init__(self, base_offset: int) -> None:
        self._base_offset = base_offset
        self._timestamps = array("q")
        self._offsets = array("I")

    def __len__(self) -> int:
        return len(self._offsets)

    def append_if_later(self, timestamp_ms: int, offset: int) -> None:
        """Add an entry unless the index already holds this timestamp or a later one."""
        if timestamp_ms < 0 or (self._timestamps and timestamp_ms <= self._timestamps[-1]):
            return
        self._timestamps.append(timestamp_ms)
        self._offsets.append(offset - self._base_offset)

    def last(self) -> TimestampOffset:
        """The last entry; nothing is in the index below it but earlier timestamps."""
        if not self._offsets:
            return NOTHING
        return TimestampOffset(self._timestamps[-1], self._offsets[-1] + self._base_offset)

    def floor(self, timestamp_ms: int) -> int:
        """An offset before which every record is earlier than `timestamp_ms`."""
        at = bisect_left(self._timestamps, timestamp_ms)
        return self._base_offset + (self._offsets[at - 1] if at else 0)

    def cut(self, offset: int) -> None:
        """Drop the entries at `offset` and behind it."""
        keep = bisect_left(self._offsets, offset - self._base_offset)
        del self._timestamps[keep:]
        del self._offsets[keep:]

    def encode(self, first_entry: int = 0) -> bytes:
        """The file's bytes from `first_entry` on."""
        pairs = zip(self._timestamps[first_entry:], self._offsets[first_entry:], strict=True)
        return b"".join(_ENTRY.pack(timestamp, offset) for timestamp, offset in pairs)

    @classmethod
    def decode(cls, base_offset: int, data: bytes) -> TimeIndex:
        """The index a file holds, up to the first entry that does not ascend."""
        index = cls(base_offset)
        last_timestamp, last_offset = -1, -1
        for timestamp, offset in _ENTRY.iter_unpack(data[: len(data) - len(data) % ENTRY_BYTES]):
            # Kafka's last entry may repeat the one before it.
            if timestamp <= last_timestamp or offset < last_offset:
                if (timestamp, offset) == (last_timestamp, last_offset):
                    continue
                break
            index._timestamps.append(timestamp)
            index._offsets.append(offset)
            last_timestamp, last_offset = timestamp, offset
        return index


def last_in_file(base_offset: int, size_in_bytes: int, read: Reader) -> TimestampOffset:
    """The last entry of a sealed segment's index: its maximum timestamp and where it is."""
    count = size_in_bytes // ENTRY_BYTES
    if not count:
        return NOTHING
    entry = read(ENTRY_BYTES, (count - 1) * ENTRY_BYTES)
    if len(entry) != ENTRY_BYTES:
        return NOTHING
    timestamp, offset = _ENTRY.unpack(entry)
    return TimestampOffset(timestamp, base_offset + offset)


def floor_in_file(base_offset: int, size_in_bytes: int, timestamp_ms: int, read: Reader) -> int:
    """As `TimeIndex.floor`, for a sealed segment's index."""
    low, high = 0, size_in_bytes // ENTRY_BYTES
    floor = base_offset
    while low < high:
        middle = (low + high) // 2
        entry = read(ENTRY_BYTES, middle * ENTRY_BYTES)
        if len(entry) != ENTRY_BYTES:
            high = middle
            continue
        timestamp, offset = _ENTRY.unpack(entry)
        if timestamp < timestamp_ms:
            low, floor = middle + 1, base_offset + offset
        else:
            high = middle
    return floor
