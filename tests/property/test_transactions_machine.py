"""Any sequence of producers, ends, pauses and restarts: what must always hold.

- Replaying the log into a fresh coordinator yields the same durable state.
- A partition's transaction is ended once, and as the client was told.
- No (producer id, epoch) is handed to two callers of InitProducerId.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.coordinator.transaction_harness import TransactionHarness

from ottla.wire.errors import ErrorCode

PARTITIONS = st.sampled_from([("t", 0), ("t", 1), ("u", 0)])


class Transactions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.h = TransactionHarness()
        self.known: list[tuple[int, int]] = []
        self.waiting: dict[int, bool] = {}

    @rule()
    def init(self) -> None:
        reply = self.h.init(timeout_ms=10_000)
        if reply.error_code == ErrorCode.NONE:
            producer = (reply.producer_id, reply.producer_epoch)
            assert producer not in self.known, "given twice"
            self.known.append(producer)

    @rule(pick=st.integers(0, 5))
    def raise_own_epoch(self, pick: int) -> None:
        if self.known:
            self.h.init(timeout_ms=10_000, producer=self.known[-1 - pick % len(self.known)])

    @rule(pick=st.integers(0, 5), partition=PARTITIONS, version=st.sampled_from([0, 2]))
    def add(self, pick: int, partition: tuple[str, int], version: int) -> None:
        if self.known:
            producer = self.known[-1 - pick % len(self.known)]
            error = self.h.add(producer, partition, version=version)
            if error == ErrorCode.NONE:
                assert self.h.state() == "Ongoing"

    @rule(pick=st.integers(0, 5), committed=st.booleans(), version=st.sampled_from([3, 5]))
    def end(self, pick: int, committed: bool, version: int) -> None:
        if self.known:
            producer = self.known[-1 - pick % len(self.known)]
            waiter = self.h.send_end(producer, committed, version=version)
            self.waiting[waiter] = committed

    @rule(held=st.booleans())
    def hold_markers(self, held: bool) -> None:
        self.h.holds_markers = held
        if not held:
            self.h.write_markers()

    @rule(milliseconds=st.sampled_from([1_000, 9_000, 20_000]))
    def wait(self, milliseconds: int) -> None:
        self.h.advance(milliseconds)

    @rule()
    def restart(self) -> None:
        self.h.restart()
        self.waiting.clear()

    @invariant()
    def replaying_the_log_gives_the_same_state(self) -> None:
        assert self.h.reloaded().durable_state() == self.h.coordinator.durable_state()

    @invariant()
    def epochs_never_fall(self) -> None:
        epochs = [m.producer_epoch for m in self.h.markers]
        assert epochs == sorted(epochs)

    def teardown(self) -> None:
        self.h.write_markers()
        assert all(waiter in self.h.replies for waiter in self.waiting)


Transactions.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTransactions = Transactions.TestCase
