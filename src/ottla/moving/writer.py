"""The target of a move: batches go in, in order and once, whatever happens on the way.

Each batch becomes one produce request per partition, several under way at a
time on one connection, so that their order holds. When an answer is lost, or
says no, the batch may have been written nevertheless. Then nothing more is
sent to its partition until the leader's log has come to rest; what is found
there beyond what was acknowledged is not sent again. A batch that was written
although one before it was not would have changed the order: that ends the
move with an error instead.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from ottla.client.cluster import Cluster
from ottla.client.connection import Connection, Ticket
from ottla.client.errors import ClientError
from ottla.client.offsets import LATEST
from ottla.moving.batches import Carried
from ottla.moving.errors import MoveError
from ottla.moving.partitions import Where, leaders, list_offsets, uncommitted_end
from ottla.moving.state import MoveState, PartitionState
from ottla.wire.errors import RETRIABLE, ErrorCode
from ottla.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

#: The last version in which topics go by name and everybody speaks it.
PRODUCE_VERSION: Final = 9
#: A broker answers before our own patience (`Settings.request_timeout_ms`) ends.
PRODUCE_TIMEOUT_MS: Final = 20_000
IN_FLIGHT: Final = 16
#: After a failure one at a time, until one succeeds: a partition that is about to come back
#: may refuse the first of several and take the second.
CAREFUL_IN_FLIGHT: Final = 1
#: A log at rest has the same end so long after a lost answer.
REST_S: Final = 1.0

#: A batch, and the source offset to go on from once it is written.
Item: TypeAlias = "tuple[int, Carried]"
#: A produce request on its way, and the batch of each partition in it.
Sent: TypeAlias = "tuple[Ticket[ProduceResponse], dict[Where, Item]]"


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


def refused(what: str, where: Where, code: int, detail: str | None = None) -> NoReturn:
    """Errors: `ClientError` for what may pass, `MoveError` for what will not."""
    error = ErrorCode(code)
    if error in RETRIABLE:
        raise ClientError(f"{what} {where}: {error.name}")
    raise MoveError(f"{what} {where} failed: {detail or error.name}")


class Writer:
    """Writes to the target, and keeps `state` in step with what is acknowledged there."""

    def __init__(self, target: Cluster, state: MoveState, limit: RateLimit) -> None:
        self.target = target
        self.state = state
        self.limit = limit
        self.totals = Totals()
        #: Records at the target's end that nobody has told us are there.
        self._skip: dict[Where, int] = {}
        #: Partitions whose last batches may or may not have been written.
        self._in_doubt: set[Where] = set()
        self._is_careful = False

    def _of(self, where: Where) -> PartitionState:
        return self.state.partitions[str(where)]

    def found_end(self, where: Where, end: int) -> None:
        """The target ends there, which may be more than the state knows. Errors: `MoveError`."""
        known = self._of(where)
        if end < known.target_end:
            raise MoveError(
                f"{where} of the target ends at {end}, before the {known.target_end}"
                " that were copied: it was deleted or cut meanwhile"
            )
        self._skip[where] = end - known.target_end

    def write(self, batches: dict[Where, list[Item]]) -> None:
        """All batches are written and noted. Errors: `ClientError` to try again, `MoveError`."""
        if self._in_doubt:
            self._settle(self._in_doubt)
        queues = {w: self._without_skipped(w, list(items)) for w, items in batches.items()}
        waiting = [w for w, items in queues.items() if items]
        if not waiting:
            return
        for node, led in leaders(self.target, waiting).items():
            self._write_to(self.target.broker(node), {w: queues[w] for w in led})

    def _settle(self, places: Iterable[Where]) -> None:
        """Whatever was in doubt is in the target, or never will be. Errors: `ClientError`."""
        doubted = sorted(places)
        before = self._ends(doubted)
        time.sleep(REST_S)
        if self._ends(doubted) != before:
            raise ClientError(f"{doubted[0]} of the target is not at rest yet")
        for where, end in before.items():
            self.found_end(where, end)
            self._in_doubt.discard(where)

    def _ends(self, places: list[Where]) -> dict[Where, int]:
        """Where the logs end, for everybody. Errors: `ClientError` while leaders have more."""
        ends = list_offsets(self.target, places, LATEST)
        for where, end in ends.items():
            if (more := uncommitted_end(self.target, where)) > end:
                raise ClientError(f"{where} of the target waits for {more - end} records' replicas")
        return ends

    def _without_skipped(self, where: Where, items: list[Item]) -> list[Item]:
        """Leave out what the target holds already, although nobody has told us so."""
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

    def _write_to(self, connection: Connection, queues: dict[Where, list[Item]]) -> None:
        rounds = max(len(items) for items in queues.values())
        under_way: list[Sent] = []
        refusals = _Refusals()
        try:
            for number in range(rounds):
                parts = {w: items[number] for w, items in queues.items() if number < len(items)}
                self.limit.wait(sum(len(c.data) for _, c in parts.values()))
                ticket = connection.send(_request(parts), version=PRODUCE_VERSION)
                under_way.append((ticket, parts))
                limit = CAREFUL_IN_FLIGHT if self._is_careful else IN_FLIGHT
                if len(under_way) >= limit:
                    self._take_answer(connection, under_way[0], refusals)
                    under_way.pop(0)
                    if refusals:
                        break
            while under_way:
                self._take_answer(connection, under_way[0], refusals)
                under_way.pop(0)
        finally:
            doubted = [w for _, parts in under_way for w in parts] + list(refusals.missing)
            self._in_doubt.update(doubted)
            self._is_careful = bool(doubted)
        refusals.raise_first()

    def _take_answer(self, connection: Connection, sent: Sent, refusals: _Refusals) -> None:
        ticket, parts = sent
        for topic in connection.receive(ticket).responses:
            for answer in topic.partition_responses:
                where = Where(topic.name, answer.index)
                if answer.error_code:
                    refusals.add(where, answer, parts[where])
                    continue
                # Where it lies tells whether those before it were written after all.
                earlier = refusals.missing.get(where, [])
                end = self._of(where).target_end
                if earlier and answer.base_offset == end:
                    raise MoveError(
                        f"{where}: a batch was written although one before it was not; delete the"
                        " topic in the target and move again"
                    )
                if answer.base_offset != end + sum(c.record_count for _, c in earlier):
                    raise MoveError(
                        f"{where} of the target has records at {end} that this move did not write"
                    )
                for next_offset, carried in (*earlier, parts[where]):
                    self._note(where, next_offset, carried, self._of(where).target_end)
                    self.totals.records += carried.record_count
                    self.totals.bytes += len(carried.data)
                refusals.forget(where)

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


class _Refusals:
    """Batches answered with an error, by partition, in their order."""

    def __init__(self) -> None:
        self.missing: dict[Where, list[Item]] = {}
        self._answers: dict[Where, PartitionProduceResponse] = {}

    def __bool__(self) -> bool:
        return bool(self.missing)

    def add(self, where: Where, answer: PartitionProduceResponse, item: Item) -> None:
        self._answers.setdefault(where, answer)
        self.missing.setdefault(where, []).append(item)

    def forget(self, where: Where) -> None:
        """They were written after all."""
        self.missing.pop(where, None)
        self._answers.pop(where, None)

    def raise_first(self) -> None:
        """Errors: `ClientError`, `MoveError`, if there are any."""
        for where, answer in self._answers.items():
            refused("writing", where, answer.error_code, answer.error_message)


def _request(parts: dict[Where, tuple[int, Carried]]) -> ProduceRequest:
    topics: dict[str, TopicProduceData] = {}
    for where, (_, carried) in parts.items():
        topic = topics.setdefault(where.topic, TopicProduceData(name=where.topic))
        topic.partition_data.append(PartitionProduceData(where.partition, carried.data))
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=list(topics.values()))
