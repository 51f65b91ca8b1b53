"""Drives a transaction coordinator as the broker does, without logs or a clock."""

from __future__ import annotations

import itertools
from typing import TypeVar

from ottla.coordinator.outcome import Client, CoordinatorRecord, Markers, Outcome
from ottla.coordinator.transaction_coordinator import TransactionConfig, TransactionCoordinator
from ottla.wire.message import Message
from ottla.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from ottla.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

M = TypeVar("M", bound=Message)
START_WALL_MS = 1_700_000_000_000


class TransactionHarness:
    """`holds_markers` leaves requested markers in `unwritten` until `write_markers`."""

    def __init__(self, config: TransactionConfig | None = None) -> None:
        self.config = config or TransactionConfig()
        self.log: list[CoordinatorRecord] = []
        self.markers: list[Markers] = []
        self.unwritten: list[Markers] = []
        self.replies: dict[object, Message] = {}
        self.holds_markers = False
        self.now_ms = 0
        self.ids = itertools.count(1000)
        self.waiters = itertools.count(1)
        self.coordinator = self._fresh()
        self.coordinator.loaded(self.wall_ms, self.now_ms)

    def _fresh(self) -> TransactionCoordinator:
        return TransactionCoordinator(self.config, lambda: next(self.ids))

    @property
    def wall_ms(self) -> int:
        return START_WALL_MS + self.now_ms

    def apply(self, outcome: Outcome) -> None:
        for record in outcome.records:
            self.log.append(record)
            self.coordinator.replay(record)
        for waiter, message in outcome.replies:
            assert waiter not in self.replies, "answered twice"
            self.replies[waiter] = message
        if outcome.markers is not None:
            self.unwritten.append(outcome.markers)
            if not self.holds_markers:
                self.write_markers()

    def write_markers(self) -> None:
        while self.unwritten:
            markers = self.unwritten.pop(0)
            self.markers.append(markers)
            self.apply(self.coordinator.markers_written(markers.transactional_id, self.wall_ms))

    def reloaded(self) -> TransactionCoordinator:
        fresh = self._fresh()
        for record in self.log:
            fresh.replay(record)
        return fresh

    def restart(self) -> None:
        self.unwritten.clear()
        self.coordinator = self.reloaded()
        for _, outcome in self.coordinator.loaded(self.wall_ms, self.now_ms):
            self.apply(outcome)

    def advance(self, milliseconds: int) -> None:
        target = self.now_ms + milliseconds
        while (due := self.coordinator.next_deadline_ms()) is not None and due <= target:
            self.now_ms = max(self.now_ms, due)
            for _, outcome in self.coordinator.on_time(self.wall_ms, self.now_ms):
                self.apply(outcome)
        self.now_ms = target

    # --- requests

    def init(
        self,
        transactional_id: str | None = "x",
        *,
        timeout_ms: int = 60_000,
        producer: tuple[int, int] = (-1, -1),
        version: int = 5,
    ) -> InitProducerIdResponse:
        waiter = next(self.waiters)
        request = InitProducerIdRequest(transactional_id, timeout_ms, *producer)
        self.apply(
            self.coordinator.init_producer_id(
                request, Client("c", "", version), waiter, self.wall_ms, self.now_ms
            )
        )
        reply = self.replies[waiter]
        assert isinstance(reply, InitProducerIdResponse)
        return reply

    def begin(self, transactional_id: str = "x", **options: int) -> tuple[int, int]:
        """The id and epoch of a producer that has introduced itself."""
        reply = self.init(transactional_id, **options)  # type: ignore[arg-type]
        assert reply.error_code == 0
        return reply.producer_id, reply.producer_epoch

    def add(
        self,
        producer: tuple[int, int],
        *partitions: tuple[str, int],
        transactional_id: str = "x",
        version: int = 2,
    ) -> int:
        error, outcome = self.coordinator.add_partitions(
            transactional_id, *producer, partitions, version, self.wall_ms, self.now_ms
        )
        self.apply(outcome)
        return error

    def send_end(
        self,
        producer: tuple[int, int],
        committed: bool = True,
        *,
        version: int = 5,
        transactional_id: str = "x",
    ) -> int:
        """Send an EndTxn; returns the waiter to look the reply up with."""
        waiter = next(self.waiters)
        request = EndTxnRequest(transactional_id, *producer, committed)
        self.apply(
            self.coordinator.end_txn(
                request, Client("c", "", version), waiter, self.wall_ms, self.now_ms
            )
        )
        return waiter

    def end(
        self, producer: tuple[int, int], committed: bool = True, *, version: int = 5
    ) -> EndTxnResponse:
        reply = self.replies[self.send_end(producer, committed, version=version)]
        assert isinstance(reply, EndTxnResponse)
        return reply

    def state(self, transactional_id: str = "x") -> str:
        return self.coordinator.describe(transactional_id).transaction_state
