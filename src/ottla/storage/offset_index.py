"""Sparse map from offset to byte position within one segment (`.index`).

Shape: 8-byte entries, big-endian: int32 offset relative to base_offset, int32
position; both ascend. As Kafka 4 writes them, the offset is the last one of
the batch that starts at the position.
Integrity: no checksum. Rebuilt from the segment where it cannot be right, so a
bad index can cost time but never records: whoever reads a batch checks that it
is the one wanted.

Two forms. The active segment's index lives in memory, and is written when the
segment is sealed, at checkpoints and at a clean stop. A sealed segment's index
is searched in its file, a block at a time, so that old segments cost no memory.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, TypeAlias

ENTRY_BYTES: Final = 8
_ENTRY: Final = struct.Struct(">II")
_BLOCK_ENTRIES: Final = 512

#: Reads `size` bytes at a position, fewer only at the end of the file.
Reader: TypeAlias = Callable[[int, int], bytes]


class OffsetIndex:
    """The index of an active segment, in memory."""

    __slots__ = ("_base_offset", "_offsets", "_positions")

    def __init__(self, base_offset: int) -> None:
        self._base_offset = base_offset
        self._offsets = array("I")
        self._positions = array("I")

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, last_offset: int, position: int) -> None:
        self._offsets.append(last_offset - self._base_offset)
        self._positions.append(position)

    def last_position(self) -> int:
        """The position of the last entry; 0 without one."""
        return self._positions[-1] if self._positions else 0

    def floor_by_offset(self, offset: int) -> int:
        """A position at or before the batch that holds `offset`, and not far before it."""
        at = bisect_right(self._offsets, offset - self._base_offset)
        return self._positions[at - 1] if at else 0

    def floor_by_position(self, position: int) -> int:
        """The last indexed position that is not behind `position`; 0 without one."""
        at = bisect_right(self._positions, position)
        return self._positions[at - 1] if at else 0

    def cut(self, offset: int, position: int) -> None:
        """Drop the entries of batches that end at `offset` or later, or start at
        `position` or later."""
        keep = 0
        for last, start in zip(self._offsets, self._positions, strict=True):
            if last + self._base_offset >= offset or start >= position:
                break
            keep += 1
        del self._offsets[keep:]
        del self._positions[keep:]

    def encode(self, first_entry: int = 0) -> bytes:
        """The file's bytes from `first_entry` on."""
        entries = array("I", bytes(ENTRY_BYTES * (len(self._offsets) - first_entry)))
        entries[0::2] = self._offsets[first_entry:]
        entries[1::2] = self._positions[first_entry:]
        if sys.byteorder == "little":
            entries.byteswap()
        return entries.tobytes()

    @classmethod
    def decode(cls, base_offset: int, data: bytes) -> OffsetIndex:
        """The index a file holds, up to the first entry that does not ascend."""
        index = cls(base_offset)
        offsets, positions = _split(data[: len(data) - len(data) % ENTRY_BYTES])
        keep = len(offsets)
        for i in range(1, len(offsets)):
            if offsets[i] <= offsets[i - 1] or positions[i] <= positions[i - 1]:
                keep = i
                break
        index._offsets, index._positions = offsets[:keep], positions[:keep]
        return index


class SealedOffsetIndex:
    """The index of a segment that no longer grows, searched in its file."""

    __slots__ = ("_base_offset", "_block", "_block_start", "_count")

    def __init__(self, base_offset: int, size_in_bytes: int) -> None:
        self._base_offset = base_offset
        self._count = size_in_bytes // ENTRY_BYTES
        self._block: tuple[array[int], array[int]] | None = None
        self._block_start = 0

    def floor_by_offset(self, offset: int, read: Reader) -> int:
        """As `OffsetIndex.floor_by_offset`."""
        return self._floor(0, offset - self._base_offset, read)

    def floor_by_position(self, position: int, read: Reader) -> int:
        """As `OffsetIndex.floor_by_position`."""
        return self._floor(1, position, read)

    def _floor(self, column: int, wanted: int, read: Reader) -> int:
        block = self._block
        if block is None or not self._is_inside(block[column], wanted):
            block = self._load_block(column, wanted, read)
        at = bisect_right(block[column], wanted)
        return block[1][at - 1] if at else 0

    def _is_inside(self, keys: array[int], wanted: int) -> bool:
        """Whether the block at hand is sure to hold the floor of `wanted`."""
        if not keys or wanted < keys[0]:
            return self._block_start == 0
        return wanted < keys[-1] or self._block_start + len(keys) >= self._count

    def _load_block(self, column: int, wanted: int, read: Reader) -> tuple[array[int], array[int]]:
        low, high = 0, self._count
        while high - low > _BLOCK_ENTRIES:
            middle = (low + high) // 2
            entry = read(ENTRY_BYTES, middle * ENTRY_BYTES)
            if len(entry) == ENTRY_BYTES and _ENTRY.unpack(entry)[column] <= wanted:
                low = middle
            else:
                high = middle
        data = read((high - low) * ENTRY_BYTES, low * ENTRY_BYTES)
        block = _split(data[: len(data) - len(data) % ENTRY_BYTES])
        self._block, self._block_start = block, low
        return block


def _split(data: bytes) -> tuple[array[int], array[int]]:
    entries = array("I")
    entries.frombytes(data)
    if sys.byteorder == "little":
        entries.byteswap()
    return entries[0::2], entries[1::2]
