"""Any sequence of KIP-848 heartbeats, pauses, topic changes and restarts.

- No partition is ever consumed by two clients.
- Replaying the log into a fresh coordinator yields the same durable state.
- When everybody heartbeats, the group settles and every partition is consumed.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.coordinator.consumer_harness import Catalog, Consumer, ConsumerHarness, settle

from ottla.coordinator.group_config import GroupConfig

SUBSCRIPTIONS = st.sampled_from([("t",), ("u",), ("t", "u")])


class ConsumerGroups(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.h = ConsumerHarness(
            Catalog(t=3, u=2), GroupConfig(offsets_retention_check_interval_ms=10**9)
        )
        self.consumers: list[Consumer] = []
        self.made = 0

    def make(self, topics: tuple[str, ...], instance: str | None, regex: str | None) -> None:
        self.made += 1
        # What a dead client consumed is nobody's business any more.
        self.consumers = [c for c in self.consumers if instance is None or c.instance != instance]
        self.consumers.append(
            Consumer(self.h, f"m{self.made}", *topics, instance=instance, regex=regex)
        )

    @rule(topics=SUBSCRIPTIONS, instance=st.sampled_from([None, None, "one"]))
    def start(self, topics: tuple[str, ...], instance: str | None) -> None:
        if len(self.consumers) < 5:
            self.make(topics, instance, None)

    @rule()
    def start_with_expression(self) -> None:
        if len(self.consumers) < 5:
            self.make((), None, "t|u")

    @rule(pick=st.integers(0, 9), full=st.booleans())
    def beat(self, pick: int, full: bool) -> None:
        if self.consumers:
            self.consumers[pick % len(self.consumers)].beat(full=full)

    @rule(pick=st.integers(0, 9), topics=SUBSCRIPTIONS)
    def subscribe(self, pick: int, topics: tuple[str, ...]) -> None:
        if self.consumers:
            consumer = self.consumers[pick % len(self.consumers)]
            consumer.topics = list(topics)
            consumer.beat(full=True)

    @rule(pick=st.integers(0, 9))
    def lose_an_answer(self, pick: int) -> None:
        if self.consumers:
            consumer = self.consumers[pick % len(self.consumers)]
            if consumer.epoch > 0:
                self.h.beat(consumer.request(full=True))
                consumer.was_cut_off = True

    @rule(pick=st.integers(0, 9))
    def leave(self, pick: int) -> None:
        if self.consumers:
            consumer = self.consumers.pop(pick % len(self.consumers))
            if consumer.epoch > 0:
                consumer.leave()

    @rule(pick=st.integers(0, 9))
    def die(self, pick: int) -> None:
        if self.consumers:
            self.consumers.pop(pick % len(self.consumers))

    @rule(pick=st.integers(0, 9))
    def begin_anew(self, pick: int) -> None:
        if self.consumers:
            consumer = self.consumers[pick % len(self.consumers)]
            consumer.epoch, consumer.owned = 0, {}

    @rule(partitions=st.integers(1, 5))
    def grow(self, partitions: int) -> None:
        known = self.h.catalog.topic_by_name("t")
        if known is None or known.partition_count < partitions:
            self.h.catalog.create("t", partitions)

    @rule()
    def restart(self) -> None:
        self.h.restart()

    @rule()
    def wait(self) -> None:
        for consumer in self.consumers:
            consumer.beat()
        self.h.advance(4_000)

    @invariant()
    def no_partition_is_consumed_twice(self) -> None:
        seen: set[tuple[bytes, int]] = set()
        for consumer in self.consumers:
            for topic_id, partitions in consumer.owned.items():
                for partition in partitions:
                    assert (topic_id, partition) not in seen
                    seen.add((topic_id, partition))

    @invariant()
    def replaying_the_log_gives_the_same_state(self) -> None:
        assert self.h.reloaded().durable_state() == self.h.coordinator.durable_state()

    def teardown(self) -> None:
        for _ in range(20):  # long enough for the dead to be missed
            for consumer in self.consumers:
                consumer.beat()
            self.h.advance(4_000)
        settle(*self.consumers, rounds=12)
        if not self.consumers:
            return
        assert self.h.group_state() == "Stable"
        wanted = set()
        for consumer in self.consumers:
            names = {"t", "u"} if consumer.regex else set(consumer.topics)
            wanted |= names
        consumed = set().union(*(c.partitions for c in self.consumers))
        expected = {
            (name, p)
            for name in wanted
            if (topic := self.h.catalog.topic_by_name(name)) is not None
            for p in range(topic.partition_count)
        }
        assert consumed == expected


ConsumerGroups.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestConsumerGroups = ConsumerGroups.TestCase
