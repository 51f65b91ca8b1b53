"""The segments of one log in order, and reading across them."""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ottla.storage.cleaner import CleanedSegment, swap_in
from ottla.storage.log_reader import ColdRead, ReadInfo, ReadPlan, execute, find_batch
from ottla.storage.open_files import OpenFiles
from ottla.storage.segment import Segment
from ottla.storage.timestamp_search import SearchRange
from ottla.storage.transaction_index import AbortedTransaction

#: Positions of batches that a next read is likely to start or to stop at.
_MARKS_KEPT: Final = 16


class Mark(NamedTuple):
    """Of the batches that end at some offset or later, the first one starts here."""

    segment: int
    position: int


class LogSegments:
    """Oldest first; the last one is active and grows up to `end_offset`."""

    __slots__ = ("_bases", "_files", "_list", "_marks", "_steady", "size")

    def __init__(self, files: OpenFiles, segments: Sequence[Segment]) -> None:
        self._files = files
        self._list = list(segments)
        self._bases = [segment.base_offset for segment in segments]
        #: Bytes of all segments.
        self.size = sum(segment.size for segment in segments)
        self._marks: dict[int, Mark] = {}
        self._steady: tuple[int, Mark] = (-1, Mark(-1, 0))

    def __len__(self) -> int:
        return len(self._list)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._list)

    @property
    def all(self) -> list[Segment]:
        return self._list

    @property
    def active(self) -> Segment:
        return self._list[-1]

    @property
    def base_offset(self) -> int:
        return self._bases[0]

    def index_of(self, offset: int) -> int:
        """Which segment holds `offset`, or the first one."""
        return max(0, bisect_right(self._bases, offset) - 1)

    # Changing

    def add(self, segment: Segment) -> None:
        """`segment` is the active one from now on."""
        self._list.append(segment)
        self._bases.append(segment.base_offset)

    def drop_first(self, count: int) -> list[Segment]:
        """The oldest segments are not part of the log any more."""
        dropped = self._list[:count]
        del self._list[:count]
        del self._bases[:count]
        self.size -= sum(segment.size for segment in dropped)
        return dropped

    def swap_in(self, directory: str, cleaned: Sequence[CleanedSegment]) -> list[str]:
        """Compacted segments take the place of those they replace; the names of files that
        were renamed away. Raises `OSError` half-way through."""
        renamed = []
        for one in cleaned:
            old = self._neighbours(one.replaced)
            if not old:
                continue  # Retention was faster; the next start removes the leftovers.
            for gone in old:
                gone.is_replaced = True
                for path in gone.file_paths():
                    self._files.forget(path)
            renamed += swap_in(self._files.filesystem, directory, one.base_offset, one.replaced)
            segment = Segment(directory, one.base_offset, one.size)
            segment.note_verified(0, one.size)
            at = self._list.index(old[0])
            self._list[at : at + len(old)] = [segment]
            self._bases[at : at + len(old)] = [segment.base_offset]
            self.size += segment.size - sum(gone.size for gone in old)
        self._marks.clear()
        self._steady = (-1, Mark(-1, 0))
        return renamed

    def _neighbours(self, bases: Sequence[int]) -> list[Segment]:
        """The segments with these base offsets, or none unless all are there, as neighbours."""
        if bases[0] not in self._bases:
            return []
        at = self._bases.index(bases[0])
        is_whole = tuple(self._bases[at : at + len(bases)]) == tuple(bases)
        return self._list[at : at + len(bases)] if is_whole else []

    def missing_file(self, directory: str, missing: Sequence[str]) -> OSError | None:
        """What is wrong when these could not be found: files of segments deleted meanwhile may
        be missing, others not."""
        if not missing:
            return None
        needed = {path for segment in self._list for path in segment.file_paths()}
        needed.add(directory)
        for path in missing:
            if path in needed:
                return FileNotFoundError(errno.ENOENT, "a file of the log is gone", path)
        return None

    # Positions worth remembering

    def mark(self, offset: int, segment: int, position: int) -> None:
        """A read will soon start or stop at `offset`, which is found at this position."""
        marks = self._marks
        marks[offset] = Mark(segment, position)
        if len(marks) > _MARKS_KEPT:
            del marks[next(iter(marks))]

    def mark_steady(self, offset: int, segment: int, position: int) -> None:
        """As `mark`, for the one offset that every reader stops at."""
        self._steady = (offset, Mark(segment, position))

    # Reading

    def read(
        self, offset: int, max_bytes: int, end_offset: int, log_end_offset: int, is_one_wanted: bool
    ) -> ReadInfo | ColdRead:
        """See `PartitionLog.read`; `offset` is within the log."""
        at = self.index_of(offset)
        while offset < end_offset:
            plan = self._plan(at, offset, max_bytes, end_offset, log_end_offset, is_one_wanted)
            info = execute(plan, self._files.get(plan.path).read_cached_at)
            if info is None:
                return ColdRead(self._files.filesystem, plan, self._list[at])
            if info.size:
                self._learn(self._list[at], info)
                return info
            if plan.limit_offset >= end_offset or at + 1 == len(self._list):
                return info
            # Compaction left nothing between here and the segment's end.
            at += 1
        return ReadInfo([], 0, offset, offset)

    def _plan(
        self,
        at: int,
        offset: int,
        max_bytes: int,
        end_offset: int,
        log_end_offset: int,
        is_one_wanted: bool,
    ) -> ReadPlan:
        segment = self._list[at]
        mark = self._marks.get(offset)
        is_exact = mark is not None and mark.segment == segment.base_offset
        if mark is not None and is_exact:
            floor = mark.position
        elif offset <= segment.base_offset:
            floor, is_exact = 0, True
        else:
            floor = segment.floor_by_offset(offset, self._files)
        limit, limit_offset = self._limit(at, end_offset, log_end_offset)
        cut = 0
        if limit - floor > max_bytes:
            cut = segment.floor_by_position(floor + max_bytes, self._files)
        return ReadPlan(
            segment.path,
            segment.base_offset,
            offset,
            max_bytes,
            is_one_wanted,
            floor,
            is_exact,
            cut,
            limit,
            limit_offset,
            segment.verified_start,
            segment.verified_end,
        )

    def _limit(self, at: int, end_offset: int, log_end_offset: int) -> tuple[int, int]:
        """Where a read of this segment must stop, as a position and as an offset."""
        segment = self._list[at]
        if at + 1 < len(self._list) and self._bases[at + 1] <= end_offset:
            return segment.size, self._bases[at + 1]
        if end_offset >= log_end_offset:
            return segment.size, log_end_offset
        steady_offset, steady_mark = self._steady
        mark = steady_mark if end_offset == steady_offset else self._marks.get(end_offset)
        if mark is not None and mark.segment == segment.base_offset:
            return mark.position, end_offset
        return self.position_of(segment, end_offset), end_offset

    def position_of(self, segment: Segment, offset: int) -> int:
        """Where the first batch of `segment` that ends at `offset` or later starts; the
        segment's size when there is none. Raises `CorruptLogError`."""
        floor = segment.floor_by_offset(offset, self._files)
        plan = ReadPlan(segment.path, 0, offset, 0, False, floor, False, 0, segment.size, 0, 0, 0)
        position = find_batch(plan, self._files.get(segment.path).read_at)
        assert position is not None, "a blocking read always answers"
        self.mark(offset, segment.base_offset, position)
        return position

    def _learn(self, segment: Segment, info: ReadInfo) -> None:
        """Remember what was checked, and where the next read is likely to start."""
        segment.note_verified(info.end_position - info.size, info.end_position)
        if info.next_offset >= 0:
            self.mark(info.next_offset, segment.base_offset, info.end_position)

    def ranges_by_timestamp(self, timestamp_ms: int) -> list[SearchRange]:
        """Where the first record with this timestamp or a later one may be."""
        ranges = []
        for segment in self._list:
            if segment.largest(self._files).timestamp_ms >= timestamp_ms:
                offset = segment.floor_by_timestamp(timestamp_ms, self._files)
                start = segment.floor_by_offset(offset, self._files)
                ranges.append(SearchRange(segment, start, segment.size))
        return ranges

    def range_of_max_timestamp(self) -> tuple[int, list[SearchRange]]:
        """The maximum timestamp, and where the first record that has it may be."""
        maximum, ranges = -1, []
        for segment in self._list:
            timestamp_ms, offset = segment.largest(self._files)
            if timestamp_ms > maximum:
                start = segment.floor_by_offset(offset, self._files)
                maximum, ranges = timestamp_ms, [SearchRange(segment, start, segment.size)]
        return maximum, ranges

    def aborted_transactions(self, start_offset: int, end_offset: int) -> list[AbortedTransaction]:
        """See `PartitionLog.aborted_transactions`."""
        found = []
        for segment in self._list[self.index_of(start_offset) :]:
            for aborted in segment.aborted(self._files):
                if aborted.last_offset >= start_offset and aborted.first_offset < end_offset:
                    found.append(aborted)
                if aborted.last_stable_offset >= end_offset:
                    return sorted(found, key=_first_offset)
        return sorted(found, key=_first_offset)


def _first_offset(aborted: AbortedTransaction) -> int:
    return aborted.first_offset
