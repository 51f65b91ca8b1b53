"""Copies records, partition by partition, in order and once.

Fetches read committed records from the leaders of the source; each batch
becomes one produce request per partition at the leader of the target, several
under way at a time on one connection, so that their order holds. A produce
that fails while a later one of the same partition succeeded would have
changed the order: that ends the move with an error instead.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, TypeVar

from ottla.batch.record_batch import read_header
from ottla.client.cluster import Cluster
from ottla.client.connection import Connection, Ticket
from ottla.client.errors import ClientError
from ottla.moving.batches import Carried, carry_all
from ottla.moving.errors import MoveError
from ottla.moving.state import MoveState, PartitionState
from ottla.wire.errors import RETRIABLE, ErrorCode
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, PartitionData
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from ottla.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

#: Versions in which topics go by name.
FETCH_VERSION: Final = 12
PRODUCE_VERSION: Final = 9
FETCH_BYTES: Final = 32 * 1024 * 1024
PARTITION_FETCH_BYTES: Final = 4 * 1024 * 1024
IN_FLIGHT: Final = 16
SAVE_S: Final = 0.5
RETRY_S: Final = 0.3
GIVE_UP_S: Final = 60.0
LATEST: Final = -1
EARLIEST: Final = -2
READ_COMMITTED: Final = 1


class Where(NamedTuple):
    """A partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


T = TypeVar("T")

#: A produce request on its way: next source offset and batch of each partition in it.
Sent: TypeAlias = "tuple[Ticket[ProduceResponse], dict[Where, tuple[int, Carried]]]"


@dataclass(slots=True)
class Totals:
    """What this run has copied."""

    records: int = 0
    bytes: int = 0


class RateLimit:
    """Keeps the copying below so many bytes a second; 0 is no limit."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._ready_at = time.monotonic()

    def wait(self, size: int) -> None:
        if self._rate <= 0:
            return
        now = time.monotonic()
        self._ready_at = max(self._ready_at, now) + size / self._rate
        if self._ready_at > now:
            time.sleep(self._ready_at - now)


def leaders(cluster: Cluster, partitions: Iterable[Where]) -> dict[int, list[Where]]:
    """The partitions by the node that leads them. Errors: `ClientError` for one without."""
    wanted = set(partitions)
    found: dict[int, list[Where]] = {}
    for topic in cluster.metadata({w.topic for w in wanted}).topics:
        for partition in topic.partitions:
            where = Where(topic.name or "", partition.partition_index)
            if where in wanted:
                if partition.leader_id < 0:
                    raise ClientError(f"{where} has no leader now")
                found.setdefault(partition.leader_id, []).append(where)
                wanted.discard(where)
    if wanted:
        raise ClientError(f"{min(wanted)} is not in the cluster")
    return found


def by_topic(partitions: Iterable[Where]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for where in sorted(partitions):
        found.setdefault(where.topic, []).append(where.partition)
    return found


def list_offsets(
    cluster: Cluster, partitions: Iterable[Where], timestamp: int, isolation: int = 0
) -> dict[Where, int]:
    """Offsets of the partitions: `LATEST` (with isolation 1 the last stable) or `EARLIEST`."""
    found: dict[Where, int] = {}
    for node, led in leaders(cluster, partitions).items():
        topics = [
            ListOffsetsTopic(topic, [ListOffsetsPartition(n, timestamp=timestamp) for n in numbers])
            for topic, numbers in by_topic(led).items()
        ]
        request = ListOffsetsRequest(isolation_level=isolation, topics=topics)
        for topic in cluster.broker(node).request(request).topics:
            for answer in topic.partitions:
                where = Where(topic.name, answer.partition_index)
                if answer.error_code:
                    raise ClientError(
                        f"the offsets of {where} cannot be read:"
                        f" {ErrorCode(answer.error_code).name}"
                    )
                found[where] = answer.offset
    return found


def patiently(ask: Callable[[], T]) -> T:
    """Ask again while leaders are being chosen. Errors: `MoveError` after a minute."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            return ask()
        except ClientError as error:
            if time.monotonic() > deadline:
                raise MoveError(f"no way on for {GIVE_UP_S:g} s: {error}") from None
            time.sleep(RETRY_S)


class Copier:
    """One source, one target; `state` says where each partition stands."""

    def __init__(
        self, source: Cluster, target: Cluster, state: MoveState, limit: RateLimit
    ) -> None:
        self.source = source
        self.target = target
        self.state = state
        self.limit = limit
        self.totals = Totals()
        self._skip: dict[Where, int] = {}
        self._saved_at = 0.0

    def prepare(self, partitions: list[Where]) -> None:
        """Know where each partition stands, after a crash too. Errors: `MoveError`."""
        starts = patiently(lambda: list_offsets(self.source, partitions, EARLIEST))
        ends = patiently(lambda: list_offsets(self.target, partitions, LATEST))
        for where in partitions:
            known = self.state.partitions.get(str(where))
            if known is None:
                if ends[where]:
                    raise MoveError(
                        f"{where} of the target holds records already; a move fills only topics of"
                        " its own (delete it there, or leave it out with --topics)"
                    )
                known = self.state.partitions[str(where)] = PartitionState(starts[where], 0)
            if ends[where] < known.target_end:
                raise MoveError(
                    f"{where} of the target ends at {ends[where]}, before the {known.target_end}"
                    " that were copied: it was deleted or cut meanwhile"
                )
            # What a crash kept out of the state file: read again, and not sent again.
            self._skip[where] = ends[where] - known.target_end
        self.state.save()

    def goals(self, partitions: list[Where]) -> dict[Where, int]:
        """The ends of what is committed in the source now."""
        return patiently(lambda: list_offsets(self.source, partitions, LATEST, READ_COMMITTED))

    def copy_until(
        self,
        goals: dict[Where, int],
        on_progress: Callable[[dict[Where, int]], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Every partition has been copied up to its goal, unless stopped."""
        failing_since: float | None = None
        while not should_stop():
            behind = [w for w, end in goals.items() if self._of(w).next_offset < end]
            if not behind:
                break
            try:
                self._copy_some(behind, goals)
                failing_since = None
            except ClientError as error:
                now = time.monotonic()
                failing_since = failing_since or now
                if now - failing_since > GIVE_UP_S:
                    raise MoveError(f"no way on for {GIVE_UP_S:g} s: {error}") from None
                time.sleep(RETRY_S)
            on_progress(goals)
            if time.monotonic() - self._saved_at > SAVE_S:
                self.state.save()
                self._saved_at = time.monotonic()
        self.state.save()

    def _of(self, where: Where) -> PartitionState:
        return self.state.partitions[str(where)]

    # --- reading

    def _copy_some(self, partitions: list[Where], goals: dict[Where, int]) -> None:
        for node, led in leaders(self.source, partitions).items():
            # A different partition first each time, so that none starves.
            turn = int(time.monotonic() * 10) % len(led)
            fetched = self._fetch(self.source.broker(node), led[turn:] + led[:turn])
            self._produce(
                {where: self._carry(where, data, goals[where]) for where, data in fetched.items()}
            )

    def _fetch(self, connection: Connection, led: list[Where]) -> dict[Where, PartitionData]:
        topics = [
            FetchTopic(
                topic=where.topic,
                partitions=[
                    FetchPartition(
                        where.partition,
                        fetch_offset=self._of(where).next_offset,
                        partition_max_bytes=PARTITION_FETCH_BYTES,
                    )
                ],
            )
            for where in led
        ]
        request = FetchRequest(
            replica_id=-1,
            max_wait_ms=0,
            min_bytes=1,
            max_bytes=FETCH_BYTES,
            isolation_level=READ_COMMITTED,
            topics=topics,
        )
        response = connection.request(request, version=FETCH_VERSION)
        if response.error_code:
            raise ClientError(f"fetching failed: {ErrorCode(response.error_code).name}")
        found = {}
        for topic in response.responses:
            for data in topic.partitions:
                where = Where(topic.topic, data.partition_index)
                if data.error_code:
                    self._refused("reading", where, data.error_code)
                found[where] = data
        return found

    def _refused(self, what: str, where: Where, code: int, detail: str | None = None) -> None:
        """Errors: `ClientError` for what may pass, `MoveError` for what will not."""
        error = ErrorCode(code)
        if error in RETRIABLE:
            raise ClientError(f"{what} {where}: {error.name}")
        raise MoveError(f"{what} {where} failed: {detail or error.name}")

    def _carry(self, where: Where, data: PartitionData, goal: int) -> list[tuple[int, Carried]]:
        """Batches to produce, each with the source offset after it."""
        state = self._of(where)
        aborted = [(a.producer_id, a.first_offset) for a in data.aborted_transactions or ()]
        found: list[tuple[int, Carried]] = []
        for next_offset, carried in carry_all(_joined(data.records), state.next_offset, aborted):
            if carried is not None:
                found.append((next_offset, carried))
            elif not found:
                state.next_offset = next_offset  # nothing to wait for before it
            else:
                found[-1] = (next_offset, found[-1][1])
        if not found and state.next_offset < goal and not data.records:
            # Compaction may have emptied the end of the log.
            state.next_offset = goal
        return found

    # --- writing

    def _produce(self, batches: dict[Where, list[tuple[int, Carried]]]) -> None:
        queues = {w: self._without_skipped(w, list(items)) for w, items in batches.items()}
        waiting = [w for w, items in queues.items() if items]
        if not waiting:
            return
        for node, led in leaders(self.target, waiting).items():
            self._produce_to(self.target.broker(node), {w: queues[w] for w in led})

    def _without_skipped(
        self, where: Where, items: list[tuple[int, Carried]]
    ) -> list[tuple[int, Carried]]:
        """Leave out what the target holds already, as the state of a crashed run did not say."""
        while items and self._skip.get(where):
            next_offset, carried = items[0]
            if carried.record_count > self._skip[where]:
                raise MoveError(
                    f"{where} of the target does not end where a copied batch ends: somebody else"
                    " has written to it"
                )
            self._skip[where] -= carried.record_count
            self._note(where, next_offset, carried, self._of(where).target_end)
            items.pop(0)
        return items

    def _produce_to(
        self, connection: Connection, queues: dict[Where, list[tuple[int, Carried]]]
    ) -> None:
        rounds = max(len(items) for items in queues.values())
        under_way: list[Sent] = []
        failed: dict[Where, PartitionProduceResponse] = {}
        for number in range(rounds):
            parts = {w: items[number] for w, items in queues.items() if number < len(items)}
            size = sum(len(c.data) for _, c in parts.values())
            self.limit.wait(size)
            under_way.append((connection.send(_request(parts), version=PRODUCE_VERSION), parts))
            if len(under_way) >= IN_FLIGHT:
                self._take_answer(connection, under_way.pop(0), failed)
                if failed:
                    break
        while under_way:
            self._take_answer(connection, under_way.pop(0), failed)
        for where, answer in failed.items():
            self._refused("writing", where, answer.error_code, answer.error_message)

    def _take_answer(
        self,
        connection: Connection,
        sent: Sent,
        failed: dict[Where, PartitionProduceResponse],
    ) -> None:
        ticket, parts = sent
        for topic in connection.receive(ticket).responses:
            for answer in topic.partition_responses:
                where = Where(topic.name, answer.index)
                if answer.error_code:
                    failed.setdefault(where, answer)
                    continue
                if where in failed:
                    raise MoveError(
                        f"{where}: a batch was written although one before it was not; delete the"
                        " topic in the target and move again"
                    )
                next_offset, carried = parts[where]
                if answer.base_offset != self._of(where).target_end:
                    raise MoveError(
                        f"{where} of the target has records at {self._of(where).target_end} that"
                        " this move did not write"
                    )
                self._note(where, next_offset, carried, answer.base_offset)
                self.totals.records += carried.record_count
                self.totals.bytes += len(carried.data)

    def _note(self, where: Where, next_offset: int, carried: Carried, target_offset: int) -> None:
        state = self._of(where)
        state.note(carried.source_offset, target_offset)
        for source_offset, delta in carried.gaps():
            state.note(source_offset, target_offset + delta)
        state.next_offset = next_offset
        state.target_end = target_offset + carried.record_count
        state.records += carried.record_count
        state.bytes += len(carried.data)
        state.checksum = zlib.crc32(carried.payload, state.checksum)


def _joined(records: object) -> bytes | bytearray | memoryview:
    """A fetched partition's records in one buffer; nothing for null."""
    assert records is None or isinstance(records, bytes | bytearray | memoryview)
    return records or b""


def _request(parts: dict[Where, tuple[int, Carried]]) -> ProduceRequest:
    topics: dict[str, TopicProduceData] = {}
    for where, (_, carried) in parts.items():
        topic = topics.setdefault(where.topic, TopicProduceData(name=where.topic))
        topic.partition_data.append(PartitionProduceData(where.partition, carried.data))
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=list(topics.values()))


def checksum_of(cluster: Cluster, where: Where, end: int) -> tuple[int, int]:
    """(records, checksum of their bytes) of a partition from its start up to `end`."""
    offset = checksum = count = 0
    while offset < end:
        connection = cluster.leader(where.topic, where.partition)
        partition = FetchPartition(
            where.partition, fetch_offset=offset, partition_max_bytes=FETCH_BYTES
        )
        request = FetchRequest(
            replica_id=-1,
            max_wait_ms=500,
            min_bytes=1,
            max_bytes=FETCH_BYTES,
            topics=[FetchTopic(topic=where.topic, partitions=[partition])],
        )
        (topic,) = connection.request(request, version=FETCH_VERSION).responses
        data = topic.partitions[0]
        if data.error_code:
            raise ClientError(f"reading {where}: {ErrorCode(data.error_code).name}")
        view = memoryview(_joined(data.records))
        position = 0
        while position < len(view):
            header = read_header(view, position)
            stop = position + header.size_in_bytes
            if stop > len(view):
                break  # cut off by the size limit; fetched again from its start
            checksum = zlib.crc32(view[position + 61 : stop], checksum)
            count += header.record_count
            offset = header.next_offset
            position = stop
    return count, checksum
