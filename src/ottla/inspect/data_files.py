"""The files of a partition, read one entry after the other.

Nothing here writes, takes a lock or needs a broker; a file that is being
appended to ends where it ended when it was opened.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ottla.batch.errors import CorruptBatchError
from ottla.batch.message_set import magic_of, messages, set_records
from ottla.batch.record_batch import (
    BatchHeader,
    Record,
    has_valid_crc,
    read_header,
    records,
)
from ottla.storage import producer_snapshot, transaction_index
from ottla.storage.producer_snapshot import BadSnapshotError
from ottla.storage.producer_state import ProducerState
from ottla.storage.transaction_index import AbortedTransaction

__all__ = [
    "BadSnapshotError",
    "LegacyBatch",
    "LoggedBatch",
    "Segment",
    "aborted_transactions",
    "base_offset_of",
    "batch_at",
    "first_and_last_time",
    "index_entries",
    "producer_states",
    "time_index_entries",
]

_OVERHEAD: Final = struct.Struct(">qi")
_INDEX_ENTRY: Final = struct.Struct(">ii")
_TIME_INDEX_ENTRY: Final = struct.Struct(">qi")
_LEGACY_CRC: Final = struct.Struct(">I")
#: Smallest thing that can follow offset and size: the head of an old message.
_MIN_BODY_BYTES: Final = 14


class LegacyBatch(NamedTuple):
    """A message of format 0 or 1; a wrapper stands for all it holds."""

    offset: int
    magic: int
    compression: int
    max_timestamp: int
    is_log_append_time: bool
    crc: int


class LoggedBatch(NamedTuple):
    """One batch of a segment: `header` for format 2, `legacy` for older ones."""

    position: int
    size: int
    is_valid: bool
    header: BatchHeader | None
    legacy: LegacyBatch | None
    data: bytes

    def records(self) -> Iterator[Record]:
        """Its records, decompressed. Raises `CorruptBatchError`."""
        return records(self.data) if self.header is not None else set_records(self.data)


class Segment:
    """A `.log` (or `.checkpoint`) file; iterate it for its batches."""

    def __init__(self, path: Path, *, max_bytes: int | None = None) -> None:
        self.path = path
        self.size = path.stat().st_size
        if max_bytes is not None:
            self.size = min(self.size, max_bytes)
        #: Bytes of whole batches met so far.
        self.valid_bytes = 0

    def __iter__(self) -> Iterator[LoggedBatch]:
        if not self.size:
            return
        with self.path.open("rb") as file:
            with mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ) as view:
                position = 0
                while True:
                    batch = _batch_at(view, position, self.size)
                    if batch is None:
                        return
                    yield batch
                    position += batch.size
                    self.valid_bytes = position


def batch_at(path: Path, position: int) -> LoggedBatch | None:
    """The batch at a position of a segment; None when there is no whole one."""
    size = path.stat().st_size
    if position >= size:
        return None
    with path.open("rb") as file:
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as view:
            return _batch_at(view, position, size)


def _batch_at(view: mmap.mmap, position: int, end: int) -> LoggedBatch | None:
    if position + _OVERHEAD.size > end:
        return None
    _, length = _OVERHEAD.unpack_from(view, position)
    size = _OVERHEAD.size + length
    if length < _MIN_BODY_BYTES or position + size > end:
        return None
    data = view[position : position + size]
    try:
        if magic_of(data) < 2:
            return LoggedBatch(position, size, *_legacy(data), data)
        header = read_header(data)
        return LoggedBatch(position, size, has_valid_crc(data, 0, header), header, None, data)
    except CorruptBatchError:
        return None


def _legacy(data: bytes) -> tuple[bool, None, LegacyBatch]:
    (crc,) = _LEGACY_CRC.unpack_from(data, _OVERHEAD.size)
    (offset, _) = _OVERHEAD.unpack_from(data)
    try:
        (message,) = messages(data)
    except CorruptBatchError:
        return False, None, LegacyBatch(offset, data[16], 0, -1, False, crc)
    batch = LegacyBatch(
        offset,
        message.magic,
        message.compression,
        message.timestamp,
        message.is_log_append_time,
        crc,
    )
    return True, None, batch


def base_offset_of(path: Path) -> int:
    """The offset in a segment file's name. Raises `ValueError` when there is none."""
    return int(path.name.partition(".")[0])


def index_entries(path: Path) -> Iterator[tuple[int, int]]:
    """(offset, position) of each entry; the zeros after the last one end it."""
    base = base_offset_of(path)
    data = path.read_bytes()
    whole = len(data) - len(data) % _INDEX_ENTRY.size
    for number, (relative, position) in enumerate(_INDEX_ENTRY.iter_unpack(data[:whole])):
        if relative == 0 and number > 0:
            return
        yield base + relative, position


def time_index_entries(path: Path) -> Iterator[tuple[int, int]]:
    """(timestamp, offset) of each entry; the zeros after the last one end it."""
    base = base_offset_of(path)
    data = path.read_bytes()
    whole = len(data) - len(data) % _TIME_INDEX_ENTRY.size
    for number, (timestamp, relative) in enumerate(_TIME_INDEX_ENTRY.iter_unpack(data[:whole])):
        if relative == 0 and number > 0:
            return
        yield timestamp, base + relative


def first_and_last_time(path: Path) -> tuple[int, int] | None:
    """Timestamps of the first and the last entry of a time index, zeros behind them included."""
    data = path.read_bytes()
    count = len(data) // _TIME_INDEX_ENTRY.size
    if not count:
        return None
    last, _ = _TIME_INDEX_ENTRY.unpack_from(data, (count - 1) * _TIME_INDEX_ENTRY.size)
    first, _ = _TIME_INDEX_ENTRY.unpack_from(data)
    return first, last


def aborted_transactions(path: Path) -> list[AbortedTransaction]:
    """The entries of a `.txnindex` file."""
    return transaction_index.decode(path.read_bytes())


def producer_states(path: Path) -> list[ProducerState]:
    """The producers in a `.snapshot` file. Raises `BadSnapshotError`."""
    return producer_snapshot.decode(path.read_bytes())
