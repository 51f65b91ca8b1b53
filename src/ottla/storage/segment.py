"""One segment of a log: `.log` and the indexes beside it.

File names are the base offset in 20 digits plus a suffix, as Kafka's. The
active segment (the last one) grows and keeps its indexes in memory; a sealed
one never changes again, and its indexes are read from their files.
"""

from __future__ import annotations

from typing import Final

from ottla.storage.log_config import LogConfig
from ottla.storage.offset_index import ENTRY_BYTES as OFFSET_ENTRY
from ottla.storage.offset_index import OffsetIndex, SealedOffsetIndex
from ottla.storage.open_files import OpenFiles
from ottla.storage.time_index import ENTRY_BYTES as TIME_ENTRY
from ottla.storage.time_index import (
    TimeIndex,
    TimestampOffset,
    floor_in_file,
    last_in_file,
)
from ottla.storage.transaction_index import ENTRY_BYTES as TRANSACTION_ENTRY
from ottla.storage.transaction_index import AbortedTransaction, decode, encode

LOG: Final = ".log"
OFFSETS: Final = ".index"
TIMES: Final = ".timeindex"
TRANSACTIONS: Final = ".txnindex"
SNAPSHOT: Final = ".snapshot"
DELETED: Final = ".deleted"
CLEANED: Final = ".cleaned"
SWAP: Final = ".swap"

#: A batch's offset is stored in an index as the distance to the base offset.
MAX_RELATIVE_OFFSET: Final = 0x7FFF_FFFF


def file_stem(directory: str, base_offset: int) -> str:
    """The path of a segment's files without their suffix."""
    return f"{directory}/{base_offset:020d}"


class Segment:
    """A segment; `index` and `times` are None once it is sealed."""

    __slots__ = (
        "_aborted",
        "_largest",
        "_sealed_index",
        "base_offset",
        "bytes_since_index_entry",
        "created_ms",
        "first_timestamp_ms",
        "index",
        "is_replaced",
        "path",
        "size",
        "stem",
        "times",
        "verified_end",
        "verified_start",
        "written",
    )

    def __init__(self, directory: str, base_offset: int, size: int = 0) -> None:
        self.base_offset = base_offset
        self.stem = file_stem(directory, base_offset)
        self.path = self.stem + LOG
        self.size = size
        self.index: OffsetIndex | None = None
        self.times: TimeIndex | None = None
        self._sealed_index: SealedOffsetIndex | None = None
        self._largest: TimestampOffset | None = None
        self._aborted: list[AbortedTransaction] | None = None
        self.bytes_since_index_entry = 0
        #: Entries of the offset, time and transaction index that stand in their files.
        self.written = (0, 0, 0)
        #: Other bytes stand, or are about to stand, under this segment's names.
        self.is_replaced = False
        #: Maximum timestamp of the first batch, for rolling by time; -1 when there is none.
        self.first_timestamp_ms = -1
        #: When this process first appended to it; -1 before that.
        self.created_ms = -1
        #: The batches in this range of positions were checked by this process.
        self.verified_start = 0
        self.verified_end = 0

    def create_files(self, files: OpenFiles) -> None:
        """The segment's files exist, empty. Their names are not durable yet."""
        for suffix in (LOG, OFFSETS, TIMES):
            files.create(self.stem + suffix)

    def activate(
        self, index: OffsetIndex, times: TimeIndex, aborted: list[AbortedTransaction]
    ) -> None:
        """Make this the segment that grows; its index files hold just these entries."""
        self.written = (len(index), len(times), len(aborted))
        self._aborted = aborted
        self.index = index
        self.times = times
        self._sealed_index = None
        self._largest = times.last()

    # Growing

    def grow(
        self, size: int, last_offset: int, max_timestamp_ms: int, index_interval_bytes: int
    ) -> None:
        """A batch of `size` bytes was written at the end."""
        index, times, largest = self.index, self.times, self._largest
        assert index is not None, "only the active segment grows"
        assert times is not None
        assert largest is not None
        if max_timestamp_ms > largest.timestamp_ms:
            self._largest = largest = TimestampOffset(max_timestamp_ms, last_offset)
        if self.bytes_since_index_entry > index_interval_bytes:
            index.append(last_offset, self.size)
            times.append_if_later(*largest)
            self.bytes_since_index_entry = 0
        if not self.size:
            self.first_timestamp_ms = max_timestamp_ms
        self.size += size
        self.bytes_since_index_entry += size

    def must_roll(
        self, config: LogConfig, size: int, next_offset: int, timestamp_ms: int, wall_ms: int
    ) -> bool:
        """Whether `size` more bytes, up to `next_offset`, belong into a new segment."""
        if not self.size:
            return False
        assert self.index is not None, "only the active segment grows"
        if self.first_timestamp_ms >= 0 and timestamp_ms >= 0:
            # By the records' own time where they have one (KIP-32).
            age = timestamp_ms - self.first_timestamp_ms
        else:
            age = wall_ms - self.created_ms
        return (
            self.size + size > config.segment_bytes
            or age > config.roll_ms
            or next_offset - self.base_offset > MAX_RELATIVE_OFFSET
            or len(self.index) >= config.segment_index_bytes // OFFSET_ENTRY
        )

    def seal(self, files: OpenFiles) -> None:
        """Write the indexes out and let go of them; the segment no longer grows."""
        self.write_indexes(files)
        assert self.index is not None
        self._sealed_index = SealedOffsetIndex(self.base_offset, len(self.index) * OFFSET_ENTRY)
        self.index = None
        self.times = None

    def write_indexes(self, files: OpenFiles) -> list[str]:
        """The index files hold what the indexes in memory hold, and end with the segment's
        maximum timestamp. The files it wrote to; they are not durable. What was written
        before is left alone."""
        assert self.index is not None
        assert self.times is not None
        self.times.append_if_later(*self.largest(files))
        aborted = self.aborted(files)
        offsets_written, times_written, aborted_written = self.written
        parts = (
            (OFFSETS, offsets_written * OFFSET_ENTRY, self.index.encode(offsets_written)),
            (TIMES, times_written * TIME_ENTRY, self.times.encode(times_written)),
            (
                TRANSACTIONS,
                aborted_written * TRANSACTION_ENTRY,
                encode(aborted[aborted_written:]),
            ),
        )
        paths = []
        for suffix, position, content in parts:
            if content:
                paths.append(self.stem + suffix)
                files.open_or_create(self.stem + suffix).write_at([content], position)
        self.written = (len(self.index), len(self.times), len(aborted))
        return paths

    def add_aborted(self, aborted: AbortedTransaction, files: OpenFiles) -> None:
        """A transaction whose marker lies in this segment was aborted."""
        self.aborted(files).append(aborted)

    # Looking up

    def floor_by_offset(self, offset: int, files: OpenFiles) -> int:
        """A position at or before the batch that holds `offset`."""
        if self.index is not None:
            return self.index.floor_by_offset(offset)
        return self._sealed(files).floor_by_offset(offset, files.get(self.stem + OFFSETS).read_at)

    def floor_by_position(self, position: int, files: OpenFiles) -> int:
        """The last indexed position not behind `position`; 0 when none is known."""
        if self.index is not None:
            return self.index.floor_by_position(position)
        return self._sealed(files).floor_by_position(
            position, files.get(self.stem + OFFSETS).read_at
        )

    def floor_by_timestamp(self, timestamp_ms: int, files: OpenFiles) -> int:
        """An offset before which every record here is earlier than `timestamp_ms`."""
        if self.times is not None:
            return self.times.floor(timestamp_ms)
        file = files.get(self.stem + TIMES)
        return floor_in_file(self.base_offset, file.size(), timestamp_ms, file.read_at)

    def largest(self, files: OpenFiles) -> TimestampOffset:
        """The maximum timestamp and the last offset of the batch that has it."""
        if self._largest is None:
            file = files.get(self.stem + TIMES)
            self._largest = last_in_file(self.base_offset, file.size(), file.read_at)
        return self._largest

    @property
    def largest_so_far(self) -> TimestampOffset:
        """As `largest`, of a segment that grows."""
        assert self._largest is not None
        return self._largest

    def aborted(self, files: OpenFiles) -> list[AbortedTransaction]:
        """The aborted transactions whose markers lie here."""
        if self._aborted is None:
            path = self.stem + TRANSACTIONS
            self._aborted = []
            if files.filesystem.exists(path):
                file = files.get(path)
                self._aborted = decode(file.read_at(file.size(), 0), self.base_offset)
        return self._aborted

    def _sealed(self, files: OpenFiles) -> SealedOffsetIndex:
        if self._sealed_index is None:
            size = files.get(self.stem + OFFSETS).size()
            self._sealed_index = SealedOffsetIndex(self.base_offset, size)
        return self._sealed_index

    # What was checked

    def is_verified(self, start: int, end: int) -> bool:
        return self.verified_start <= start and end <= self.verified_end

    def note_verified(self, start: int, end: int) -> None:
        """The batches from `start` to `end` are sound; ranges that touch grow together."""
        if end < self.verified_start or start > self.verified_end:
            self.verified_start, self.verified_end = start, end
        else:
            self.verified_start = min(start, self.verified_start)
            self.verified_end = max(end, self.verified_end)

    def index_paths(self) -> list[str]:
        """The index files that stand beside the log file by now."""
        suffixes = (OFFSETS, TIMES, TRANSACTIONS) if self.written[2] else (OFFSETS, TIMES)
        return [self.stem + suffix for suffix in suffixes]

    def file_paths(self) -> list[str]:
        """The files a segment may have."""
        return [self.stem + suffix for suffix in (LOG, OFFSETS, TIMES, TRANSACTIONS)]
