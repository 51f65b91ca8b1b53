"""A Produce request with one batch for one partition, without messages in between.

Clients that do not batch send nothing else, and their requests cost more to
decode and to answer than to carry out. Here the fields are taken from their
places and the answer is written as it leaves. Whatever is not plain (a
transaction, an error of any kind, a quota, acks=0, an old format) is left, before
anything has changed, to `handlers.produce`, the plain twin: what this module
answers, that one would answer byte for byte (`test_lone_produce` holds them equal).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation, Resource
from ottla.storage.errors import StorageError
from ottla.storage.validator import Origin
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.connection import Connection, ResponseSlot
    from ottla.broker.delayed import Timer
    from ottla.wire.frames import RequestHeader

#: Versions that hold record batches; before them the general way converts.
_OLDEST: Final = 3
#: The version from which zstd may be sent (KIP-110).
ZSTD_FROM: Final = 7
#: The version from which partitions take part in a transaction without being added.
ADDS_FROM: Final = 12
#: The version from which topics are named by id.
TOPIC_IDS_FROM: Final = 13
_STARTS_FROM, _RECORD_ERRORS_FROM, _FLEXIBLE_FROM = 5, 8, 9

#: Transactional id (none), acks, time-out, one topic, length of its name.
_OLD_HEAD: Final = struct.Struct(">hhiih")
#: One partition, its index, size of the records.
_OLD_PARTITION: Final = struct.Struct(">iii")
_FLEXIBLE_HEAD: Final = struct.Struct(">BhiB")
_INDEX: Final = struct.Struct(">i")
#: Of a batch: length, magic and attributes, past the base offset.
_BATCH: Final = struct.Struct(">8xi4xB4xh")
_LENGTH_END: Final = 12
_HEADER_SIZE: Final = 61
_MAGIC: Final = 2
_ZSTD: Final = 4
_COMPRESSION_MASK: Final = 7
#: Transactional and control batches.
_SPECIAL: Final = 0x30

_PARTITION_2: Final = struct.Struct(">ihqq")
_PARTITION_5: Final = struct.Struct(">ihqqq")
_TAIL_OLD: Final = bytes(4)  # the throttle time
_TAIL_8: Final = struct.pack(">ih", 0, -1) + _TAIL_OLD  # no record errors, no message
#: No record errors, no message, tags of the partition and the topic; throttle time; tags.
_TAIL_9: Final = b"\x01\x00\x00\x00" + _TAIL_OLD + b"\x00"
_HEADER_V0: Final = struct.Struct(">ii")
_HEADER_V1: Final = struct.Struct(">iix")


class _Produced:
    """An append on its way to being visible; called when it is."""

    __slots__ = (
        "_answered",
        "_append_time_ms",
        "_base_offset",
        "_broker",
        "_connection",
        "_correlation_id",
        "_head",
        "_index",
        "_mono_ms",
        "_slot",
        "_start_offset",
        "_version",
        "timer",
    )

    def __init__(
        self,
        broker: Broker,
        connection: Connection,
        slot: ResponseSlot,
        header: RequestHeader,
        head: bytes,
        index: int,
        offsets: tuple[int, int, int],
        mono_ms: int,
    ) -> None:
        self._broker = broker
        self._connection = connection
        self._slot = slot
        self._version = header.api_version
        self._correlation_id = header.correlation_id
        self._head = head
        self._index = index
        self._base_offset, self._append_time_ms, self._start_offset = offsets
        self._mono_ms = mono_ms
        self._answered = False
        self.timer: Timer | None = None

    def __call__(self, error: ErrorCode) -> None:
        """The records are visible, or will not be."""
        if self._answered:
            return
        self._answered = True
        if self.timer is not None:
            self.timer.cancel()
        if error:
            self._base_offset = self._append_time_ms = -1
        connection = self._connection
        if connection.is_closed:
            return
        frame = self._frame(error)
        broker = self._broker
        api = broker.metrics.api(0)
        api.response_bytes += len(frame)
        api.time_ms.record(max(0, broker.mono_ms - self._mono_ms))
        connection.fill_slot(self._slot, (frame,))

    def time_out(self, wall_ms: int, mono_ms: int) -> None:
        self(ErrorCode.REQUEST_TIMED_OUT)

    def _frame(self, error: ErrorCode) -> bytes:
        version, head = self._version, self._head
        if version >= _STARTS_FROM:
            result = _PARTITION_5.pack(
                self._index, error, self._base_offset, self._append_time_ms, self._start_offset
            )
        else:
            result = _PARTITION_2.pack(self._index, error, self._base_offset, self._append_time_ms)
        if version >= _FLEXIBLE_FROM:
            size = len(head) + len(result) + len(_TAIL_9)
            return b"".join(
                (_HEADER_V1.pack(size + 5, self._correlation_id), head, result, _TAIL_9)
            )
        tail = _TAIL_8 if version >= _RECORD_ERRORS_FROM else _TAIL_OLD
        size = len(head) + len(result) + len(tail)
        return b"".join((_HEADER_V0.pack(size + 4, self._correlation_id), head, result, tail))


def take(
    broker: Broker, connection: Connection, view: memoryview, header: RequestHeader, mono_ms: int
) -> bool:
    """Whether the request was plain, and is carried out; otherwise nothing has changed."""
    version = header.api_version
    if version < _OLDEST or broker.quotas.is_active:
        return False
    try:
        read = _read_flexible if version >= _FLEXIBLE_FROM else _read_old
        found = read(view, header.body, version)
        if found is None:
            return False
        acks, timeout_ms, name, head, index, start, end = found
        length, magic, attributes = _BATCH.unpack_from(view, start)
    except (struct.error, IndexError):
        return False
    if (
        not acks
        or not -1 <= acks <= 1
        or magic != _MAGIC
        or end - start < _HEADER_SIZE
        or length + _LENGTH_END != end - start
        or attributes & _SPECIAL
        or (attributes & _COMPRESSION_MASK == _ZSTD and version < ZSTD_FROM)
    ):
        return False
    metadata = broker.metadata
    if version >= TOPIC_IDS_FROM:
        topic = metadata.topics_by_id.get(name)
    else:
        topic = metadata.topics.get(name.decode("utf-8", "replace"))
    if topic is None or topic.is_internal or not 0 <= index < len(topic.partitions):
        return False
    partition = topic.partitions[index]
    if partition.offline_error or not broker.authorizer.is_allowed(
        connection, Operation.WRITE, Resource.TOPIC, topic.name
    ):
        return False
    try:
        info = broker.append(
            partition, view[start:end], Origin.CLIENT, must_start_at_zero=version >= ADDS_FROM
        )
    except StorageError as error:
        if error.code is ErrorCode.KAFKA_STORAGE_ERROR:
            view[start : start + 8] = bytes(8)  # It was numbered before the disk refused it.
        return False  # The twin is refused for the same reason, and says it.
    metrics = broker.metrics
    metrics.bytes_in += end - start
    metrics.batches_in += 1
    metrics.records_in += info.last_offset + 1 - info.first_offset
    offsets = info.first_offset, info.log_append_time_ms, info.log_start_offset
    produced = _Produced(
        broker, connection, connection.take_slot(), header, head, index, offsets, mono_ms
    )
    end_offset = info.last_offset + 1
    if end_offset <= partition.high_watermark:
        produced(ErrorCode.NONE)
    else:
        produced.timer = broker.deadlines.at(mono_ms + max(0, timeout_ms), produced.time_out)
        partition.when_visible(end_offset, produced)
    return True


#: acks, time-out, topic's name or id, the answer up to the partition's index, index, records'
#: start and end.
_Fields = tuple[int, int, bytes, bytes, int, int, int]


def _read_old(view: memoryview, position: int, version: int) -> _Fields | None:
    transactional_id, acks, timeout_ms, topics, size = _OLD_HEAD.unpack_from(view, position)
    if transactional_id != -1 or topics != 1 or size < 0:
        return None
    # The answer begins as the request does: the topics' count, a name, the partitions' count.
    head = position + 8
    position += _OLD_HEAD.size
    name = bytes(view[position : position + size])
    position += size
    partitions, index, size = _OLD_PARTITION.unpack_from(view, position)
    start = position + _OLD_PARTITION.size
    if partitions != 1 or start + size != len(view):
        return None
    return acks, timeout_ms, name, bytes(view[head : position + 4]), index, start, len(view)


def _read_flexible(view: memoryview, position: int, version: int) -> _Fields | None:
    transactional_id, acks, timeout_ms, topics = _FLEXIBLE_HEAD.unpack_from(view, position)
    if transactional_id or topics != 2:
        return None
    head = position + 7
    position += _FLEXIBLE_HEAD.size
    if version >= TOPIC_IDS_FROM:
        size = 16
    else:
        size = view[position] - 1
        if not 0 <= size < 127:
            return None
        position += 1
    name = bytes(view[position : position + size])
    position += size
    if view[position] != 2:
        return None
    position += 1
    answer = bytes(view[head:position])
    (index,) = _INDEX.unpack_from(view, position)
    position += 4
    size = shift = 0
    while (byte := view[position]) & 0x80:
        size |= (byte & 0x7F) << shift
        shift += 7
        position += 1
    start = position + 1
    end = start + (size | byte << shift) - 1
    # Behind the records: the tags of the partition, the topic and the request, all empty.
    if bytes(view[end : end + 4]) != b"\0\0\0":
        return None
    return acks, timeout_ms, name, answer, index, start, end
