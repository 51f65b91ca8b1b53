"""Walking over the batches of a log file from end to end, checking each.

Memory: one chunk, or one batch where that is larger; a length no batch can
have is taken for damage, not for a reason to allocate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from ottla.batch.control import TransactionMarker, transaction_marker
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import (
    HEADER_BYTES,
    LOG_OVERHEAD,
    BatchHeader,
    read_header,
    records,
)
from ottla.seams.filesystem import Buffer
from ottla.storage.errors import CorruptLogError

#: Reads `size` bytes at a position, fewer only at the end of the file.
Reader: TypeAlias = Callable[[int, int], Buffer]
#: Whether the batch at a position of a buffer is what was written.
Check: TypeAlias = Callable[[Buffer, int, BatchHeader], bool]

CHUNK_BYTES: Final = 1_048_576
#: No request can carry more (socket.request.max.bytes), whatever a topic allows.
MAX_BATCH_BYTES: Final = 104_857_600


class StoredBatch(NamedTuple):
    """A batch found in a file; its bytes stand at `at` in `buffer`, whole."""

    position: int
    header: BatchHeader
    buffer: Buffer
    at: int

    def marker(self) -> TransactionMarker | None:
        """The transaction marker of a control batch, None for other control batches.
        Raises `CorruptBatchError`."""
        first = next(records(self.buffer, self.at), None)
        return None if first is None else transaction_marker(first)


def batches(
    path: str,
    read: Reader,
    start: int,
    end: int,
    check: Check,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[StoredBatch]:
    """The batches from position `start` to `end`, in order.

    Raises `CorruptLogError` with the position of the first batch that is cut
    off, malformed, fails `check`, or does not ascend.
    """
    position = start
    expected_offset = 0
    wanted = chunk_bytes
    while position < end:
        chunk = read(min(wanted, end - position), position)
        if len(chunk) < min(wanted, end - position):
            raise CorruptLogError(path, position + len(chunk), "the file ends too early")
        wanted = chunk_bytes
        at = 0
        while at < len(chunk):
            missing = _missing_bytes(path, chunk, at, position, end)
            if missing:
                wanted = max(chunk_bytes, missing)
                break
            header = _checked_header(path, chunk, at, position + at, check)
            if header.base_offset < expected_offset:
                raise CorruptLogError(path, position + at, f"offset {header.base_offset} descends")
            expected_offset = header.next_offset
            yield StoredBatch(position + at, header, chunk, at)
            at += header.size_in_bytes
        position += at


def _missing_bytes(path: str, chunk: Buffer, at: int, position: int, end: int) -> int:
    """0 when the batch at `at` is whole in `chunk`, else how many bytes it needs."""
    left_in_file = end - position - at
    left = len(chunk) - at
    if left_in_file < HEADER_BYTES:
        raise CorruptLogError(path, position + at, "a batch header is cut off")
    if left < LOG_OVERHEAD:
        return HEADER_BYTES
    length = int.from_bytes(chunk[at + 8 : at + 12], "big", signed=True)
    size = LOG_OVERHEAD + length
    if size < HEADER_BYTES or size > MAX_BATCH_BYTES:
        raise CorruptLogError(path, position + at, f"batch length {length}")
    if size > left_in_file:
        raise CorruptLogError(path, position + at, "a batch is cut off")
    return size if size > left else 0


def _checked_header(path: str, chunk: Buffer, at: int, position: int, check: Check) -> BatchHeader:
    try:
        header = read_header(chunk, at)
    except CorruptBatchError as error:
        raise CorruptLogError(path, position, error.message) from None
    if not check(chunk, at, header):
        raise CorruptLogError(path, position, "wrong CRC")
    return header
