"""An internal topic as a coordinator uses it: appended to, replied after, read back.

An outcome becomes one batch in the partition that its key belongs to. Its
replies leave when that partition is visible up to its end; replies without
records wait as well, because they may tell what was decided before and is not
flushed yet. So nobody ever hears of something that a power cut can undo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import (
    CONTROL_FLAG,
    TRANSACTIONAL_FLAG,
    BatchHeader,
    Record,
    build_batch,
    headers,
    records,
)
from ottla.broker.request import RequestContext
from ottla.broker.topics import (
    GROUP_METADATA_TOPIC,
    SHARE_STATE_TOPIC,
    TRANSACTION_STATE_TOPIC,
    Topic,
)
from ottla.coordinator.outcome import Outcome, Waiter
from ottla.storage.errors import CorruptLogError
from ottla.storage.log_reader import ColdRead
from ottla.storage.validator import Origin
from ottla.wire.errors import ErrorCode, ProtocolError, RequestError
from ottla.wire.message import Buffer, Message

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition

#: Bytes of an internal topic read at once while loading.
LOAD_READ_BYTES: Final = 4 * 1024 * 1024

#: Batches of transactions and their markers.
_IN_TRANSACTION: Final = TRANSACTIONAL_FLAG | CONTROL_FLAG

#: Segments of internal topics, unless configured. Kafka's are 100 MB; only sealed segments
#: are compacted and all that is left is read at a start, so small ones start fast.
SEGMENT_BYTES: Final = str(2 * 1024 * 1024)

#: Prefix of the broker's keys, and fixed configuration, of each internal topic.
_SETTINGS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    GROUP_METADATA_TOPIC: (
        "offsets.topic",
        {"cleanup.policy": "compact", "compression.type": "producer"},
    ),
    TRANSACTION_STATE_TOPIC: (
        "transaction.state.log",
        {"cleanup.policy": "compact", "compression.type": "uncompressed"},
    ),
    SHARE_STATE_TOPIC: (
        "share.coordinator.state.topic",
        {"cleanup.policy": "delete", "retention.ms": "-1"},
    ),
}


def create_internal_topic(broker: Broker, name: str) -> Topic:
    """The topic of this name, which a coordinator needs."""
    prefix, configs = _SETTINGS[name]
    key = f"{prefix}.segment.bytes"
    segment_bytes = broker.config.text(key) if broker.config.is_set(key) else SEGMENT_BYTES
    return broker.topics.create(
        name,
        broker.config.number(f"{prefix}.num.partitions"),
        1,
        {**configs, "segment.bytes": segment_bytes},
    )


class CoordinatorLog:
    """One internal topic, created when it is first needed."""

    def __init__(self, broker: Broker, topic_name: str) -> None:
        self._broker = broker
        self._topic_name = topic_name

    @property
    def partition_count(self) -> int:
        """Of the topic as it was created: keys never move when the setting changes."""
        topic = self._broker.metadata.topics.get(self._topic_name)
        if topic is not None:
            return topic.partition_count
        return self._broker.config.number(f"{_SETTINGS[self._topic_name][0]}.num.partitions")

    @property
    def existing(self) -> Topic | None:
        """The topic, if it was ever needed, and has its partitions."""
        topic = self._broker.metadata.topics.get(self._topic_name)
        return None if topic is None or len(topic.partitions) < topic.partition_count else topic

    def partition(self, index: int) -> Partition:
        """Creates the topic when it is first needed. Raises `RequestError`."""
        topic = self._broker.metadata.topics.get(self._topic_name)
        if topic is None:
            topic = create_internal_topic(self._broker, self._topic_name)
        if index >= len(topic.partitions):
            # A full disk refused its logs, and refused to take the topic back.
            raise RequestError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return topic.partitions[index]

    def append(self, partition: Partition, outcome: Outcome) -> int:
        """Append the outcome's records as one batch; returns the offset of the first.

        Raises `AppendError`, with nothing appended.
        """
        if not outcome.records:
            return partition.log.log_end_offset
        wall_ms = self._broker.wall_ms
        producer = outcome.producer
        batch = build_batch(
            [Record(0, wall_ms, r.key, r.value) for r in outcome.records],
            producer_id=-1 if producer is None else producer.producer_id,
            producer_epoch=-1 if producer is None else producer.producer_epoch,
            transactional=producer is not None,
        )
        info = self._broker.append(partition, memoryview(batch), Origin.COORDINATOR)
        if info.first_offset == partition.log.active_base_offset:
            self._broker.maintenance.compact_soon(partition)
        return info.first_offset

    def read_all(self) -> Iterator[tuple[int, BatchHeader, Record]]:
        """(partition, batch header, record) of everything in the topic, in log order."""
        topic = self.existing
        if topic is None:
            return
        for partition in topic.partitions:
            for header, record in read_partition(partition):
                yield partition.index, header, record

    def read_last(self) -> Iterator[tuple[int, BatchHeader, Record]]:
        """(partition, batch header, record) in log order, without superseded records.

        Of the records of a key only the last is given, as compaction would
        leave it, and a start costs little more than reading. Transactions keep
        their place: what is committed in one counts from its marker on, so all
        before it is given first.
        """
        topic = self.existing
        if topic is None:
            return
        for partition in topic.partitions:
            last: dict[bytes | None, tuple[BatchHeader, Record]] = {}
            for header, record in read_partition(partition):
                if not header.attributes & _IN_TRANSACTION:
                    last.pop(record.key, None)  # so that it moves to the end
                    last[record.key] = (header, record)
                    continue
                for known_header, known in last.values():
                    yield partition.index, known_header, known
                last.clear()
                yield partition.index, header, record
            for known_header, known in last.values():
                yield partition.index, known_header, known

    def tell_skipped(self, index: int, offset: int, error: ProtocolError) -> None:
        """A record that is none of a coordinator's is left out: whoever may write to internal
        topics (a client that names itself as Kafka's administration does) may not keep the
        broker from starting."""
        self._broker.tell(f"{self._topic_name}-{index}: left out the record at {offset}: {error}")


def read_partition(partition: Partition) -> Iterator[tuple[BatchHeader, Record]]:
    """Every record of a partition, from its start to its end."""
    log = partition.log
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        found = log.read(offset, LOAD_READ_BYTES, log.log_end_offset)
        if isinstance(found, ColdRead):
            found = found.run()
        if not found.size:
            if found.upper_offset <= offset:
                return
            # Compaction left nothing in this segment, and a cold read ends with it.
            offset = found.upper_offset
        for buffer in found.buffers:
            for position, header in headers(buffer):
                offset = header.next_offset
                for record in _open_batch(partition, buffer, position, header):
                    if record.offset >= log.log_start_offset:
                        yield header, record


def _open_batch(
    partition: Partition, buffer: Buffer, position: int, header: BatchHeader
) -> list[Record]:
    """The records of a batch. Raises `CorruptLogError` when they are not what they should be,
    although the checksum is right: nobody but us writes here, and nothing may be left out."""
    try:
        return list(records(buffer, position))
    except CorruptBatchError as error:
        raise CorruptLogError(
            partition.log.directory,
            position,
            f"the batch with offset {header.base_offset}: {error}",
        ) from error


def when_all_visible(partitions: Iterable[Partition], then: Callable[[ErrorCode], None]) -> None:
    """Call `then` once everything appended to the partitions by now is visible.

    With NONE, or with the error of a partition that failed. One that was
    deleted meanwhile is not waited for.
    """
    ends = [(p, p.log.log_end_offset) for p in partitions]
    _when_visible(ends, then)


def _when_visible(ends: Sequence[tuple[Partition, int]], then: Callable[[ErrorCode], None]) -> None:
    for i, (partition, end_offset) in enumerate(ends):
        if partition.high_watermark >= end_offset:
            continue

        def proceed(
            error: ErrorCode, later: Sequence[tuple[Partition, int]] = ends[i + 1 :]
        ) -> None:
            if error not in (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
                then(error)
            else:
                _when_visible(later, then)

        partition.when_visible(end_offset, proceed)
        return
    then(ErrorCode.NONE)


class MergedReply:
    """Changes a coordinator's reply on its way to the client."""

    __slots__ = ("_change", "_request")

    def __init__(self, request: RequestContext, change: Callable[[Message], Message]) -> None:
        self._request = request
        self._change = change

    def complete(self, message: Message) -> None:
        self._request.complete(self._change(message))

    def refuse(self, error: RequestError) -> None:
        self._request.refuse(error)


class CollectedReplies:
    """Answers one request when several decisions have each sent their reply."""

    __slots__ = ("_combine", "_is_refused", "_left", "_replies", "_request")

    def __init__(
        self, request: RequestContext, wanted: int, combine: Callable[[list[Message]], Message]
    ) -> None:
        self._request = request
        self._left = wanted
        self._combine = combine
        self._replies: list[Message] = []
        self._is_refused = False

    def complete(self, message: Message) -> None:
        self._left -= 1
        self._replies.append(message)
        if not self._left and not self._is_refused:
            self._request.complete(self._combine(self._replies))

    def refuse(self, error: RequestError) -> None:
        self._left -= 1
        if not self._is_refused:
            self._is_refused = True
            self._request.refuse(error)

    def none_wanted(self) -> None:
        """Answer at once if no reply was ever expected."""
        if not self._left and not self._replies and not self._is_refused:
            self._request.complete(self._combine([]))


def send_replies(replies: Iterable[tuple[Waiter, Message]]) -> None:
    for waiter, message in replies:
        assert isinstance(waiter, RequestContext | MergedReply | CollectedReplies)
        waiter.complete(message)


def refuse_replies(replies: Iterable[tuple[Waiter, Message]], code: ErrorCode) -> None:
    for waiter, _ in replies:
        assert isinstance(waiter, RequestContext | MergedReply | CollectedReplies)
        waiter.refuse(RequestError(code))
