"""Copies records, partition by partition, in order and once.

Fetches read committed records from the leaders of the source; `writer` takes
them to the target. Whatever may pass is tried again for a minute.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Final

from ottla.batch.record_batch import read_header
from ottla.client.cluster import Cluster
from ottla.client.connection import Connection
from ottla.client.errors import ClientError
from ottla.client.offsets import EARLIEST, LATEST
from ottla.moving.batches import Carried, carry_all
from ottla.moving.errors import MoveError
from ottla.moving.partitions import (
    GIVE_UP_S,
    READ_COMMITTED,
    RETRY_S,
    GoneError,
    Where,
    leaders,
    list_offsets,
    patiently,
)
from ottla.moving.state import MoveState, PartitionState
from ottla.moving.writer import RateLimit, Totals, Writer, refused
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, PartitionData

#: The last version in which topics go by name.
FETCH_VERSION: Final = 12
FETCH_BYTES: Final = 32 * 1024 * 1024
PARTITION_FETCH_BYTES: Final = 4 * 1024 * 1024
SAVE_S: Final = 0.5
#: How long a partition may take that seems to hold nothing more; a cold disk, a remote store.
EMPTY_WAIT_MS: Final = 1_000


class Copier:
    """One source, one target; `state` says where each partition stands."""

    def __init__(
        self, source: Cluster, target: Cluster, state: MoveState, limit: RateLimit
    ) -> None:
        self.source = source
        self.target = target
        self.state = state
        self.writer = Writer(target, state, limit)
        self._saved_at = 0.0

    def prepare(self, partitions: list[Where]) -> None:
        """Know where each partition stands, after a crash too. Errors: `MoveError`."""
        starts = patiently(
            lambda: list_offsets(self.source, partitions, EARLIEST), waits_for_new=True
        )
        ends = patiently(lambda: list_offsets(self.target, partitions, LATEST), waits_for_new=True)
        for where in sorted(partitions):
            known = self.state.partitions.get(str(where))
            if known is None:
                if ends[where]:
                    raise MoveError(
                        f"{where} of the target holds records already; a move fills only topics of"
                        " its own (delete it there, or leave it out with --topics)"
                    )
                known = self.state.partitions[str(where)] = PartitionState(starts[where], 0)
            # What a crash kept out of the state file is read again, and not sent again.
            self.writer.found_end(where, ends[where])
        self.state.save()

    def goals(self, partitions: list[Where]) -> dict[Where, int]:
        """The ends of what is committed in the source now. Errors: `MoveError`, `GoneError`."""
        return patiently(lambda: list_offsets(self.source, partitions, LATEST, READ_COMMITTED))

    def copy_until(
        self,
        goals: dict[Where, int],
        on_progress: Callable[[dict[Where, int]], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Every partition has been copied up to its goal, unless stopped.

        Errors: `MoveError`; `GoneError` when a partition was deleted meanwhile.
        """
        failing_since: float | None = None
        while not should_stop():
            behind = [w for w, end in goals.items() if self._of(w).next_offset < end]
            if not behind:
                break
            try:
                self._copy_some(behind, goals)
                failing_since = None
            except GoneError:
                raise
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

    @property
    def totals(self) -> Totals:
        return self.writer.totals

    def _of(self, where: Where) -> PartitionState:
        return self.state.partitions[str(where)]

    # --- reading

    def _copy_some(self, partitions: list[Where], goals: dict[Where, int]) -> None:
        for node, led in leaders(self.source, partitions).items():
            # A different partition first each time, so that none starves.
            turn = int(time.monotonic() * 10) % len(led)
            connection = self.source.broker(node)
            fetched = self._fetch(connection, led[turn:] + led[:turn])
            self.writer.write({where: self._carry(where, data) for where, data in fetched.items()})
            if not any(data.records for data in fetched.values()):
                for where in fetched:
                    self._go_over_what_is_gone(connection, where, goals[where])

    def _go_over_what_is_gone(self, connection: Connection, where: Where, goal: int) -> None:
        """Compaction may have emptied the end of a log: then nothing is left before the goal.

        A partition without records in an answer says nothing of the kind: others may have used
        up the bytes allowed, a quota may hold the client back, a new leader may not show again
        yet what the old one had. So it is asked for alone, with time, and believed only if it
        shows all up to the goal.
        """
        state = self._of(where)
        if state.next_offset < goal:
            data = self._fetch(connection, [where], max_wait_ms=EMPTY_WAIT_MS).get(where)
            if data is not None and not data.records and data.last_stable_offset >= goal:
                state.next_offset = goal

    def _fetch(
        self, connection: Connection, led: list[Where], max_wait_ms: int = 0
    ) -> dict[Where, PartitionData]:
        """What the partitions hold next; none of them while a quota holds us back."""
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
            max_wait_ms=max_wait_ms,
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
                    refused("reading", where, data.error_code)
                if data.records or not response.throttle_time_ms:
                    found[where] = data
        return found

    def _carry(self, where: Where, data: PartitionData) -> list[tuple[int, Carried]]:
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
        return found


def _joined(records: object) -> bytes | bytearray | memoryview:
    """A fetched partition's records in one buffer; nothing for null."""
    assert records is None or isinstance(records, bytes | bytearray | memoryview)
    return records or b""


def checksum_of(cluster: Cluster, where: Where, end: int) -> tuple[int, int]:
    """(records, checksum of their bytes) of a partition from its start up to `end`."""
    offset = checksum = count = 0
    while offset < end:
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
        data = patiently(lambda: _read(cluster, where, request))  # noqa: B023 (called at once)
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


def _read(cluster: Cluster, where: Where, request: FetchRequest) -> PartitionData:
    """Errors: `ClientError`."""
    connection = cluster.leader(where.topic, where.partition)
    (topic,) = connection.request(request, version=FETCH_VERSION).responses
    data = topic.partitions[0]
    if data.error_code:
        raise ClientError(f"reading {where}: {ErrorCode(data.error_code).name}")
    return data
