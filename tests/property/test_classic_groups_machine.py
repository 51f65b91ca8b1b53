"""Any sequence of requests, pauses and restarts: what must always hold.

- Replaying the log into a fresh coordinator yields the same durable state.
- No request is answered twice, and each is answered in the end.
- An offset whose commit was accepted is what a fetch returns.
"""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.coordinator.harness import Harness, subscription

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)

PROTOCOLS = [
    {"range": subscription("t")},
    {"range": subscription("t"), "sticky": subscription("t")},
    {"sticky": subscription("u"), "range": subscription("u")},
]
INSTANCES = [None, None, "one", "two"]


class ClassicGroups(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.h = Harness(
            GroupConfig(
                group_initial_rebalance_delay_ms=1_000,
                group_max_size=4,
                offsets_retention_check_interval_ms=50_000,
                offsets_retention_minutes=2,
            )
        )
        self.ids: dict[str, str | None] = {}
        self.parked: set[int] = set()
        self.seen = itertools.count()

    @property
    def group(self) -> Any:
        return self.h.coordinator._groups.get("g")

    def some_id(self, pick: int) -> str:
        known = [*self.ids, "stranger"]
        return known[pick % len(known)]

    @rule(
        protocols=st.sampled_from(PROTOCOLS),
        instance=st.sampled_from(INSTANCES),
        version=st.sampled_from([0, 3, 5, 9]),
    )
    def join_anew(self, protocols: dict[str, bytes], instance: str | None, version: int) -> None:
        waiter = self.h.join(protocols=protocols, instance=instance, version=version)
        self.note(waiter, instance)

    @rule(pick=st.integers(0, 20), protocols=st.sampled_from(PROTOCOLS))
    def join_again(self, pick: int, protocols: dict[str, bytes]) -> None:
        member_id = self.some_id(pick)
        instance = self.ids.get(member_id)
        self.note(self.h.join(member_id, protocols=protocols, instance=instance), instance)

    def note(self, waiter: int, instance: str | None) -> None:
        self.parked.add(waiter)
        reply: Any = self.h.replies.get(waiter)
        if reply is not None and reply.member_id:
            self.ids[reply.member_id] = instance

    @rule(pick=st.integers(0, 20), behind=st.sampled_from([0, 0, 0, 1]))
    def sync(self, pick: int, behind: int) -> None:
        member_id = self.some_id(pick)
        generation = self.group.generation_id - behind if self.group else 1
        assignments = {m: m.encode() for m in self.ids}
        self.parked.add(
            self.h.sync(member_id, generation, assignments, instance=self.ids.get(member_id))
        )

    @rule(pick=st.integers(0, 20))
    def heartbeat(self, pick: int) -> None:
        member_id = self.some_id(pick)
        self.h.heartbeat(member_id, self.group.generation_id if self.group else 1)

    @rule(pick=st.integers(0, 20))
    def leave(self, pick: int) -> None:
        self.h.leave(self.some_id(pick))

    @rule(pick=st.integers(-1, 20), offset=st.integers(0, 1000), partition=st.integers(0, 2))
    def commit(self, pick: int, offset: int, partition: int) -> None:
        if pick < 0:
            member_id, generation = "", -1
        else:
            member_id = self.some_id(pick)
            generation = self.group.generation_id if self.group else 0
        error = self.h.commit(
            offset, member_id=member_id, generation=generation, partition=partition
        )
        if error == ErrorCode.NONE:
            assert self.h.fetch(partition=partition).committed_offset == offset

    @rule(producer_id=st.integers(1, 2), offset=st.integers(0, 1000))
    def commit_in_transaction(self, producer_id: int, offset: int) -> None:
        request = TxnOffsetCommitRequest(
            group_id="g",
            producer_id=producer_id,
            topics=[TxnOffsetCommitRequestTopic("t", [TxnOffsetCommitRequestPartition(0, offset)])],
        )
        h = self.h
        h.apply(
            h.coordinator.txn_offset_commit(
                request, Client("", "", 3), next(h.waiters), h.wall_ms, h.now_ms
            )
        )

    @rule(producer_id=st.integers(1, 2), committed=st.booleans())
    def end_transaction(self, producer_id: int, committed: bool) -> None:
        self.h.marker(producer_id, committed)

    @rule()
    def delete_group(self) -> None:
        self.h.apply(self.h.coordinator.delete_group("g", next(self.h.waiters)))

    @rule()
    def delete_topic(self) -> None:
        for _, outcome in self.h.coordinator.delete_topics(["t"]):
            self.h.apply(outcome)

    @rule(milliseconds=st.sampled_from([1, 500, 5_000, 9_000, 70_000]))
    def wait(self, milliseconds: int) -> None:
        self.h.advance(milliseconds)

    @precondition(lambda self: self.h.log)
    @rule()
    def restart(self) -> None:
        self.h.restart()
        self.parked.clear()  # their connections are gone

    @invariant()
    def replaying_the_log_gives_the_same_state(self) -> None:
        assert self.h.reloaded().durable_state() == self.h.coordinator.durable_state()

    def teardown(self) -> None:
        self.h.advance(400_000)
        unanswered = [w for w in self.parked if w not in self.h.replies]
        assert not unanswered, f"never answered: {unanswered}"


ClassicGroups.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestClassicGroups = ClassicGroups.TestCase
