"""Message formats before the record batch, for clients from before 2017.

Logs hold record batches only: what old producers send is converted before it
is appended, and what old consumers fetch on its way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.batch.errors import CorruptBatchError
from ottla.batch.message_set import down_convert, magic_of, up_convert
from ottla.storage.log_reader import ColdRead, ReadInfo

if TYPE_CHECKING:
    from ottla.broker.partitions import Partition

#: The first Produce and Fetch versions that know record batches.
PRODUCES_BATCHES_FROM: Final = 3
FETCHES_BATCHES_FROM: Final = 4
#: The first Fetch version that knows messages with timestamps.
_TIMESTAMPS_FROM: Final = 2

#: Batches looked through for one that old consumers can see.
_MAX_SKIPPED: Final = 1000


def is_message_set(data: memoryview) -> bool:
    """Whether these records are of a format that needs conversion."""
    try:
        return magic_of(data) < 2
    except CorruptBatchError:
        return False


def as_batch(data: memoryview) -> memoryview:
    """A produced message set as a record batch. Raises `CorruptBatchError`."""
    return memoryview(up_convert(data))


def as_message_set(
    partition: Partition, found: ReadInfo, offset: int, end_offset: int, fetch_version: int
) -> bytes:
    """What was read, as a Fetch version before 4 expects it.

    Control batches cannot be told to such a consumer, and an empty answer
    would make it ask for the same offset for ever: so reading goes on until
    there is something it can see. Raises `StorageError` and `CorruptBatchError`.
    """
    magic = 1 if fetch_version >= _TIMESTAMPS_FROM else 0
    for _ in range(_MAX_SKIPPED):
        if not found.size:
            return b""
        data = found.buffers[0] if len(found.buffers) == 1 else b"".join(found.buffers)
        converted = down_convert(data, magic, offset)
        if converted or found.upper_offset >= end_offset:
            return converted
        following = partition.log.read(found.upper_offset, 1, end_offset)
        found = following.run() if isinstance(following, ColdRead) else following
    return b""
