"""Finding records by their timestamp, as ListOffsets asks (KIP-33, KIP-734).

The search is prepared on the loop, which knows the indexes, and run there or
in a worker: it reads files by their path and touches nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import Record, records
from ottla.seams.filesystem import FileSystem
from ottla.storage import safety
from ottla.storage.errors import CorruptLogError
from ottla.storage.log_reader import check_not_replaced
from ottla.storage.scan import StoredBatch, batches
from ottla.storage.segment import Segment

#: Index entries lie a few kilobytes apart: the batch is near where the search starts.
_CHUNK_BYTES: Final = 65_536


class FoundRecord(NamedTuple):
    """The record found, and the leader epoch that wrote it."""

    timestamp_ms: int
    offset: int
    leader_epoch: int


class SearchRange(NamedTuple):
    """A part of a segment that may hold the record; positions end exclusive."""

    segment: Segment
    start: int
    end: int


class TimestampSearch:
    """The first record, from `log_start_offset` on, whose timestamp is at least (or, with
    `is_exact`, equal to) `timestamp_ms`."""

    __slots__ = ("_filesystem", "_is_exact", "_log_start_offset", "_ranges", "_timestamp_ms")

    def __init__(
        self,
        filesystem: FileSystem,
        ranges: Sequence[SearchRange],
        timestamp_ms: int,
        log_start_offset: int,
        *,
        is_exact: bool = False,
    ) -> None:
        self._filesystem = filesystem
        self._ranges = ranges
        self._timestamp_ms = timestamp_ms
        self._log_start_offset = log_start_offset
        self._is_exact = is_exact

    def run(self) -> FoundRecord | None:
        """None when there is no such record. Raises as `ColdRead.run`."""
        for part in self._ranges:
            file = self._filesystem.open(part.segment.path, read_only=True)
            try:
                check_not_replaced(part.segment)
                found = self._search(part, file.read_at)
            finally:
                file.close()
            if found is not None:
                return found
        return None

    def _search(self, part: SearchRange, read: Callable[[int, int], bytes]) -> FoundRecord | None:
        path = part.segment.path
        for batch in batches(
            path, read, part.start, part.end, lambda *_: True, chunk_bytes=_CHUNK_BYTES
        ):
            header = batch.header
            if (
                header.max_timestamp < self._timestamp_ms
                or header.last_offset < self._log_start_offset
            ):
                continue
            for record in _unpacked(path, batch):
                if record.offset >= self._log_start_offset and self._fits(record):
                    return FoundRecord(
                        record.timestamp, record.offset, header.partition_leader_epoch
                    )
        return None

    def _fits(self, record: Record) -> bool:
        if self._is_exact:
            return record.timestamp == self._timestamp_ms
        return record.timestamp >= self._timestamp_ms


def _unpacked(path: str, batch: StoredBatch) -> list[Record]:
    if not safety.is_intact_when_read(batch.buffer, batch.at, batch.header):
        raise CorruptLogError(path, batch.position, "wrong CRC")
    try:
        return list(records(batch.buffer, batch.at))
    except CorruptBatchError as error:
        raise CorruptLogError(path, batch.position, error.message) from error
