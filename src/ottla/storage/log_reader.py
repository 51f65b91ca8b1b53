"""Reading whole batches out of one segment.

A `ReadPlan` is everything a read needs to know, and no longer changes: the
loop executes it at once when the page cache has the data, a worker otherwise,
with the same function.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import HEADER_BYTES, LOG_OVERHEAD, read_header
from ottla.seams.filesystem import Buffer, FileSystem
from ottla.storage import safety
from ottla.storage.errors import CorruptLogError
from ottla.storage.segment import Segment

#: Reads `size` bytes at a position; None when that would have to wait for the disk.
Reader: TypeAlias = Callable[[int, int], Buffer | None]

_WALK_BYTES: Final = 8_192
_OFFSET_AND_LENGTH: Final = struct.Struct(">qi")
_LAST_OFFSET_DELTA: Final = struct.Struct(">i")
_LAST_OFFSET_DELTA_POSITION: Final = 23
_BASE_OFFSET: Final = struct.Struct(">q")
_MIN_LENGTH: Final = HEADER_BYTES - LOG_OVERHEAD


class ReadInfo(NamedTuple):
    """Whole batches, in order; none when `size` is 0."""

    buffers: list[Buffer]
    size: int
    #: Base offset of the first batch (at most the offset asked for).
    first_offset: int
    #: Every record here is below this offset: the bound for aborted transactions.
    upper_offset: int
    #: Where the read ended: base offset of the segment, position, and the base offset of the
    #: batch there when it is known (else -1).
    segment: int = -1
    end_position: int = 0
    next_offset: int = -1


class ReadPlan(NamedTuple):
    """One read of one segment."""

    path: str
    segment: int
    offset: int
    max_bytes: int
    is_one_wanted: bool
    #: A position at or before the batch wanted; that batch's own when `is_exact`.
    floor: int
    is_exact: bool
    #: A known start of a batch not far below floor + max_bytes, or 0.
    cut: int
    #: No batch at or behind this position may be read, and the offset that stands for it.
    limit: int
    limit_offset: int
    #: Range of positions whose batches need no check.
    verified_start: int
    verified_end: int


class ColdRead:
    """A read that has to wait for the disk: `run` it in a worker."""

    __slots__ = ("_filesystem", "_plan", "_segment")

    def __init__(self, filesystem: FileSystem, plan: ReadPlan, segment: Segment) -> None:
        self._filesystem = filesystem
        self._plan = plan
        self._segment = segment

    def run(self) -> ReadInfo:
        """Raises `CorruptLogError`, and `OSError` also when the segment was deleted or
        compacted meanwhile: whoever reads again gets what stands in its place."""
        file = self._filesystem.open(self._plan.path, read_only=True)
        try:
            check_not_replaced(self._segment)
            result = execute(self._plan, file.read_at)
        finally:
            file.close()
        assert result is not None, "a blocking read always answers"
        return result


def check_not_replaced(segment: Segment) -> None:
    """Called with the file open, raises `OSError` when it may be another than expected. The
    loop sets `is_replaced` before it renames anything."""
    if segment.is_replaced:
        raise OSError(errno.ESTALE, "the segment was compacted meanwhile", segment.path)


def execute(plan: ReadPlan, read: Reader) -> ReadInfo | None:
    """Whole batches from the one that holds `plan.offset`, as many as the plan allows; None
    when a read would have to wait. Raises `CorruptLogError` instead of serving a bad batch
    first; bad batches further on end the answer."""
    position = plan.floor
    if not plan.is_exact:
        found = find_batch(plan, read)
        if found is None:
            return None
        position = found
    if position >= plan.limit:
        return _nothing(plan)
    wanted = min(plan.max_bytes, plan.limit - position)
    data = read(max(wanted, LOG_OVERHEAD), position)
    if data is None:
        return None
    first_size = _batch_size(plan, data, 0, position)
    if first_size > wanted:
        if not plan.is_one_wanted:
            return _nothing(plan)
        wanted = first_size
        data = read(wanted, position)
        if data is None:
            return None
    if len(data) < wanted:
        raise CorruptLogError(plan.path, position + len(data), "the file ends too early")
    end, next_offset = _end_of_whole_batches(plan, data, position, wanted, first_size)
    if not (plan.verified_start <= position and position + end <= plan.verified_end):
        end, next_offset = _verified_part(plan, data, position, end, next_offset)
    (first_offset,) = _BASE_OFFSET.unpack_from(data)
    return ReadInfo(
        [data if end == len(data) else memoryview(data)[:end]],
        end,
        first_offset,
        next_offset if next_offset >= 0 else plan.limit_offset,
        plan.segment,
        position + end,
        next_offset,
    )


def find_batch(plan: ReadPlan, read: Reader) -> int | None:
    """The position of the first batch that ends at `plan.offset` or later; the plan's limit
    when there is none, None when a read would have to wait."""
    position, limit, offset = plan.floor, plan.limit, plan.offset
    while position < limit:
        chunk = read(min(_WALK_BYTES, limit - position), position)
        if chunk is None:
            return None
        at, last = 0, len(chunk) - _LAST_OFFSET_DELTA_POSITION - 4
        if last < 0:
            raise CorruptLogError(plan.path, position, "a batch header is cut off")
        while at <= last:
            base_offset, length = _OFFSET_AND_LENGTH.unpack_from(chunk, at)
            if length < _MIN_LENGTH:
                raise CorruptLogError(plan.path, position + at, f"batch length {length}")
            (delta,) = _LAST_OFFSET_DELTA.unpack_from(chunk, at + _LAST_OFFSET_DELTA_POSITION)
            if base_offset + delta >= offset:
                return position + at
            at += LOG_OVERHEAD + length
        position += at
    if position > limit:
        raise CorruptLogError(plan.path, limit, "a batch runs over the end")
    return limit


def _nothing(plan: ReadPlan) -> ReadInfo:
    return ReadInfo([], 0, plan.offset, plan.limit_offset)


def _batch_size(plan: ReadPlan, data: Buffer, at: int, position: int) -> int:
    """Size of the batch at `at` in data, which was read at `position`."""
    if len(data) - at < LOG_OVERHEAD:
        raise CorruptLogError(plan.path, position + at, "a batch header is cut off")
    _, length = _OFFSET_AND_LENGTH.unpack_from(data, at)
    size: int = LOG_OVERHEAD + length
    if length < _MIN_LENGTH or position + at + size > plan.limit:
        raise CorruptLogError(plan.path, position + at, f"batch length {length}")
    return size


def _end_of_whole_batches(
    plan: ReadPlan, data: Buffer, position: int, wanted: int, first_size: int
) -> tuple[int, int]:
    """Where in `data` the last whole batch ends, and the offset of what follows if known."""
    if position + wanted == plan.limit:
        return wanted, plan.limit_offset
    end = plan.cut - position
    if first_size <= end <= wanted - _BASE_OFFSET.size:
        (next_offset,) = _BASE_OFFSET.unpack_from(data, end)
        if plan.offset < next_offset < plan.limit_offset:
            return end, next_offset
        # The index is wrong: better slow than off the mark.
    end = first_size
    while wanted - end >= LOG_OVERHEAD:
        size = _batch_size(plan, data, end, position)
        if end + size > wanted:
            break
        end += size
    if end + _BASE_OFFSET.size <= len(data):
        return end, _BASE_OFFSET.unpack_from(data, end)[0]
    if end == first_size:
        (base_offset,) = _BASE_OFFSET.unpack_from(data)
        (delta,) = _LAST_OFFSET_DELTA.unpack_from(data, _LAST_OFFSET_DELTA_POSITION)
        return end, base_offset + delta + 1
    return end, -1


def _verified_part(
    plan: ReadPlan, data: Buffer, position: int, end: int, next_offset: int
) -> tuple[int, int]:
    """Cut `data` before the first bad batch; raises when that is the first one."""
    at = 0
    lowest, highest = plan.segment, next_offset if next_offset >= 0 else plan.limit_offset
    while at < end:
        why = None
        try:
            header = read_header(data, at)
            if not safety.is_intact_when_read(data, at, header):
                why = "wrong CRC"
            # No checksum covers the offset.
            elif not lowest <= header.base_offset <= header.last_offset < highest:
                why = f"offset {header.base_offset} out of order"
            lowest = header.next_offset
        except CorruptBatchError as error:
            why = error.message
        if why is not None:
            if at == 0:
                raise CorruptLogError(plan.path, position, why)
            return at, -1
        at += header.size_in_bytes
    return end, next_offset
