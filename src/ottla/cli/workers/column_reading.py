"""Reading ranges of partitions as columns, straight from the leaders.

One Fetch is always under way at each leader while the answer to the one before
is unpacked. Metadata is looked up again when a leader has moved.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from ottla.batch.errors import CorruptBatchError
from ottla.cli.errors import CommandError
from ottla.cli.workers.failures import sentence
from ottla.cli.workers.ranges import Ranges
from ottla.cli.workers.record_columns import TEXTS, Columns, columns_of, unpacked
from ottla.client.cluster import Cluster
from ottla.client.connection import Connection, Ticket
from ottla.client.errors import ClientError
from ottla.client.offsets import TopicPartition, partition_leaders
from ottla.wire.errors import RETRIABLE, ErrorCode
from ottla.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)

#: The last version in which topics go by name, and the first with today's batches.
NEWEST: Final = 12
OLDEST: Final = 4
FETCH_BYTES: Final = 16 * 1024 * 1024
PARTITION_BYTES: Final = 4 * 1024 * 1024
WAIT_MS: Final = 200
RETRY_S: Final = 0.1
GIVE_UP_S: Final = 30.0


class Part(NamedTuple):
    """Some records of one partition."""

    topic: str
    partition: int
    columns: Columns


class ColumnReader:
    """Reads every record of the ranges once; with `follow` what comes after them, too."""

    def __init__(
        self,
        cluster: Cluster,
        ranges: Ranges,
        *,
        follow: bool = False,
        wanted: frozenset[str] = TEXTS,
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._ranges = ranges
        self._follow = follow
        self._positions = dict(ranges.starts)
        self._open = {
            partition
            for partition, start in ranges.starts.items()
            if follow or start < ranges.ends[partition]
        }
        self._leaders: dict[TopicPartition, int] = {}
        self._tickets: dict[Connection, Ticket[FetchResponse]] = {}
        self._last_answer = time.monotonic()

    @property
    def done(self) -> float:
        """Share of the ranges that is behind us, 0 to 1."""
        total = self._ranges.total
        left = sum(max(0, self._ranges.ends[p] - self._positions[p]) for p in self._open)
        return 1 - left / total if total else 1.0

    def rounds(self) -> Iterator[list[Part]]:
        """Records as they come; an empty list now and then while there are none.

        Errors: `CommandError` when reading cannot go on.
        """
        while self._open:
            try:
                for connection in self._ask():
                    response = connection.receive(self._tickets.pop(connection))
                    yield list(self._take(response))
            except ClientError as error:
                self._try_again(str(error))
            except CorruptBatchError as error:
                raise CommandError(f"A fetched batch is damaged: {error}.") from None

    def _try_again(self, why: str) -> None:
        """Forget leaders and what is under way. Errors: `CommandError` when it lasts."""
        if time.monotonic() - self._last_answer > GIVE_UP_S:
            raise CommandError(f"Reading does not go on: {why}.")
        self._leaders.clear()
        for connection in self._tickets:
            connection.close()
        self._tickets.clear()
        time.sleep(RETRY_S)

    def _ask(self) -> list[Connection]:
        """Have a Fetch under way at each leader; returns their connections."""
        if not self._leaders:
            self._leaders = partition_leaders(self._cluster, {topic for topic, _ in self._open})
        wanted: dict[int, list[TopicPartition]] = {}
        for partition in sorted(self._open):
            wanted.setdefault(self._leaders.get(partition, -1), []).append(partition)
        if -1 in wanted:
            raise ClientError(f"{'-'.join(map(str, wanted[-1][0]))} has no leader")
        for leader, partitions in wanted.items():
            connection = self._cluster.broker(leader)
            if connection not in self._tickets:
                self._send(connection, partitions)
        return list(self._tickets)

    def _send(self, connection: Connection, partitions: list[TopicPartition]) -> None:
        topics: dict[str, FetchTopic] = {}
        for name, number in partitions:
            topic = topics.setdefault(name, FetchTopic(topic=name))
            topic.partitions.append(
                FetchPartition(
                    number,
                    fetch_offset=self._positions[name, number],
                    partition_max_bytes=PARTITION_BYTES,
                )
            )
        request = FetchRequest(
            replica_id=-1,
            max_wait_ms=WAIT_MS,
            min_bytes=1,
            max_bytes=FETCH_BYTES,
            topics=list(topics.values()),
        )
        version = min(NEWEST, connection.version_for(FetchRequest.API_KEY, OLDEST))
        self._tickets[connection] = connection.send(request, version)

    def _take(self, response: FetchResponse) -> Iterator[Part]:
        if response.error_code:
            raise ClientError(sentence(response.error_code))
        self._last_answer = time.monotonic()
        found = []
        for topic in response.responses:
            for data in topic.partitions:
                where = (topic.topic, data.partition_index)
                if where not in self._open or self._is_out_of_range(where, data):
                    continue
                if data.error_code:
                    self._refused(where, data.error_code)
                batches = unpacked(_joined(data.records))
                position = self._positions[where]
                found.append((where, position, batches))
                self._positions[where] = max(position, batches.next_offset or 0)
                is_at_end = batches.next_offset is None and data.high_watermark <= position
                is_done = self._positions[where] >= self._ranges.ends[where]
                if not self._follow and (is_done or is_at_end):
                    self._open.discard(where)
        if self._open:
            self._ask()  # on its way while we unpack
        for where, position, batches in found:
            end = self._ranges.ends[where] if not self._follow else 1 << 62
            yield Part(*where, columns_of(batches, self._wanted).between(position, end))

    def _is_out_of_range(self, where: TopicPartition, data: PartitionData) -> bool:
        """Whether what we want is deleted already; we go on at the first that is there."""
        if data.error_code != ErrorCode.OFFSET_OUT_OF_RANGE:
            return False
        from ottla.client.offsets import EARLIEST, find_offsets

        first = find_offsets(self._cluster, {where: EARLIEST})[where].offset
        if first <= self._positions[where]:
            self._open.discard(where)  # the log was cut at its end
        self._positions[where] = first
        return True

    def _refused(self, where: TopicPartition, code: int) -> None:
        """Errors: `ClientError` for what may pass, `CommandError` for what will not."""
        if code in RETRIABLE:
            raise ClientError(sentence(code))
        raise CommandError(f"Reading {where[0]}-{where[1]} failed: {sentence(code)}")


def _joined(records: object) -> memoryview:
    if records is None:
        return memoryview(b"")
    if isinstance(records, list):
        return memoryview(b"".join(records))
    assert isinstance(records, bytes | bytearray | memoryview)
    return memoryview(records)
