"""Groups whose members speak both protocols."""

from __future__ import annotations

from ottla.coordinator.consumer_protocol import (
    Assignment,
    Subscription,
    TopicPartitions,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

from .consumer_harness import Consumer, ConsumerHarness, settle

ALL = {("t", 0), ("t", 1), ("t", 2), ("t", 3)}


class ClassicConsumer:
    """A cooperative classic consumer: keeps what it owns while it joins again."""

    def __init__(self, h: ConsumerHarness, instance: str | None = None) -> None:
        self.h = h
        self.instance = instance
        self.member_id = ""
        self.generation = 0
        self.owned: dict[str, list[int]] = {}
        self.error = 0

    @property
    def partitions(self) -> set[tuple[str, int]]:
        return {(topic, p) for topic, found in self.owned.items() for p in found}

    def protocols(self) -> dict[str, bytes]:
        owned = [TopicPartitions(t, p) for t, p in self.owned.items()]
        return {"cooperative-sticky": encode_subscription(Subscription(["t"], None, owned), 1)}

    def join(self) -> None:
        options = {"protocols": self.protocols(), "instance": self.instance}
        reply = self.h.joined(self.h.join(self.member_id, **options))  # type: ignore[arg-type]
        self.member_id = reply.member_id
        if reply.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            reply = self.h.joined(self.h.join(self.member_id, **options))  # type: ignore[arg-type]
        self.error = reply.error_code
        self.generation = reply.generation_id
        assignments = {}
        if reply.leader == self.member_id:
            mine = Assignment([TopicPartitions("t", [0, 1, 2, 3])])
            assignments = {self.member_id: encode_assignment(mine, 1)}
        self.sync(assignments)

    def sync(self, assignments: dict[str, bytes]) -> None:
        reply = self.h.synced(
            self.h.sync(self.member_id, self.generation, assignments, instance=self.instance)
        )
        self.error = self.error or reply.error_code
        if reply.error_code == 0:
            found = decode_assignment(bytes(reply.assignment)).assigned_partitions
            self.owned = {t.topic: list(t.partitions) for t in found}

    def beat(self) -> int:
        error = self.h.heartbeat(self.member_id, self.generation, self.instance)
        if error == ErrorCode.REBALANCE_IN_PROGRESS:
            self.error = 0
            self.join()
        return error


def group_type(h: ConsumerHarness) -> str:
    if h.coordinator.describe_consumer_group("g").error_code == 0:
        return "consumer"
    return "classic" if h.state() != "Dead" else ""


def test_a_busy_classic_group_is_upgraded_and_its_member_goes_on() -> None:
    h = ConsumerHarness()
    old = ClassicConsumer(h)
    old.join()
    assert old.partitions == ALL
    h.commit(5, member_id=old.member_id, generation=old.generation)
    new = Consumer(h, "new", "t")
    new.beat()
    assert group_type(h) == "consumer"
    assert new.partitions == set()
    for _ in range(4):
        old.beat()
        new.beat()
        assert not old.partitions & new.partitions
    assert old.error == 0
    assert len(old.partitions) == len(new.partitions) == 2
    assert old.partitions | new.partitions == ALL
    assert h.group_state() == "Stable"
    assert h.fetch().committed_offset == 5
    assert h.commit(6, member_id=old.member_id, generation=old.generation) == ErrorCode.NONE
    assert h.commit(6, member_id=old.member_id, generation=0) == ErrorCode.ILLEGAL_GENERATION
    types = [m.member_type for m in h.coordinator.describe_consumer_group("g").members]
    assert sorted(types) == [0, 1]


def test_a_mixed_group_survives_a_restart() -> None:
    h = ConsumerHarness()
    old, new = ClassicConsumer(h), Consumer(h, "new", "t")
    old.join()
    settle(new, rounds=1)
    for _ in range(4):
        old.beat()
        new.beat()
    h.restart()
    assert old.beat() == ErrorCode.NONE
    new.beat()
    assert (old.error, new.error) == (0, 0)
    assert old.partitions | new.partitions == ALL
    assert h.reloaded().durable_state() == h.coordinator.durable_state()


def mixed(h: ConsumerHarness) -> tuple[ClassicConsumer, Consumer]:
    old, new = ClassicConsumer(h), Consumer(h, "new", "t")
    old.join()
    for _ in range(5):
        new.beat()
        old.beat()
    assert old.partitions | new.partitions == ALL
    return old, new


def test_the_group_becomes_classic_again_when_the_last_new_member_leaves() -> None:
    h = ConsumerHarness()
    old, new = mixed(h)
    new.leave()
    assert group_type(h) == "classic"
    assert old.beat() == ErrorCode.REBALANCE_IN_PROGRESS
    assert old.error == 0
    assert old.partitions == ALL
    assert h.state() == "Stable"
    h.restart()
    assert group_type(h) == "classic"
    assert old.beat() == ErrorCode.NONE


def test_the_group_becomes_classic_again_when_the_last_new_member_goes_silent() -> None:
    h = ConsumerHarness()
    old, _ = mixed(h)
    for _ in range(10):
        h.advance(5_000)
        old.beat()
    assert group_type(h) == "classic"
    assert old.partitions == ALL


def test_a_classic_consumer_joins_a_consumer_group() -> None:
    h = ConsumerHarness()
    new = Consumer(h, "new", "t")
    settle(new)
    old = ClassicConsumer(h)
    old.join()
    assert old.error == 0
    assert old.partitions == set()
    for _ in range(4):
        new.beat()
        old.beat()
    assert len(old.partitions) == len(new.partitions) == 2
    left = h.leave(old.member_id, "stranger", "new")
    assert [m.error_code for m in left.members] == [0, 25, 25]
    settle(new)
    assert new.partitions == ALL


def test_a_classic_member_that_is_told_to_join_again_and_does_not_is_removed() -> None:
    h = ConsumerHarness()
    old, new = mixed(h)
    third = Consumer(h, "third", "t")
    third.beat()
    error = 0
    for _ in range(13):
        error = h.heartbeat(old.member_id, old.generation)
        h.advance(5_000)
        settle(new, third, rounds=1)
    assert error in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.UNKNOWN_MEMBER_ID)
    settle(new, third)
    assert new.partitions | third.partitions == ALL
    assert h.heartbeat(old.member_id, old.generation) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_classic_member_that_does_not_fetch_its_assignment_is_removed() -> None:
    h = ConsumerHarness()
    new = Consumer(h, "new", "t")
    settle(new)
    old = ClassicConsumer(h)
    waiter = h.join(protocols=old.protocols(), version=3, session_timeout_ms=600_000)
    joined = h.joined(waiter)
    assert joined.error_code == 0
    for _ in range(13):
        h.advance(5_000)
        new.beat()
    assert h.heartbeat(joined.member_id, joined.generation_id) == ErrorCode.UNKNOWN_MEMBER_ID


def test_static_members_move_from_one_protocol_to_the_other() -> None:
    h = ConsumerHarness()
    old = ClassicConsumer(h, instance="one")
    old.join()
    new = Consumer(h, "new", "t", instance="one")
    new.beat()
    assert new.error == 0
    assert new.partitions == ALL
    assert h.heartbeat(old.member_id, 1, "one") == ErrorCode.FENCED_INSTANCE_ID
    back = ClassicConsumer(h, instance="one")
    back.join()
    assert back.error == 0
    assert back.partitions == ALL


def test_what_a_classic_member_of_a_consumer_group_is_refused() -> None:
    h = ConsumerHarness()
    old, _ = mixed(h)
    assert h.heartbeat(old.member_id, 99) == ErrorCode.ILLEGAL_GENERATION
    assert h.heartbeat("new", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.heartbeat("x", 1, "no") == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.synced(h.sync("new", 1)).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    wrong = h.synced(h.sync(old.member_id, old.generation, protocol_name="range"))
    assert wrong.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    other = h.joined(h.join(protocols={"range": b"\0\0\0\0\0\0\xff\xff\xff\xff"}))
    assert other.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    other = h.joined(h.join(protocol_type="connect"))
    assert other.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    broken = h.joined(h.join("m", protocols={"cooperative-sticky": b"?"}))
    assert broken.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    static = h.joined(h.join("m", protocols=old.protocols(), instance="no"))
    assert static.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def refused_upgrade(h: ConsumerHarness) -> str | None:
    request = ConsumerGroupHeartbeatRequest(
        group_id="g",
        member_id="new",
        rebalance_timeout_ms=1_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    waiter = next(h.waiters)
    outcome = h.coordinator.consumer_heartbeat(
        request, Client("c", "", 1), waiter, h.wall_ms, h.now_ms
    )
    assert outcome.records == []
    h.apply(outcome)
    reply = h.replies[waiter]
    assert reply.error_code == ErrorCode.GROUP_ID_NOT_FOUND  # type: ignore[attr-defined]
    return reply.error_message  # type: ignore[attr-defined, no-any-return]


def test_groups_that_cannot_be_upgraded_stay_as_they_are() -> None:
    h = ConsumerHarness()
    h.stable_group({"protocol_type": "connect"})
    assert "embedded protocol" in (refused_upgrade(h) or "")
    h = ConsumerHarness()
    h.stable_group({"protocols": {"range": b"?"}})
    assert "malformed" in (refused_upgrade(h) or "")
    h = ConsumerHarness(config=GroupConfig(group_consumer_migration_policy="downgrade"))
    h.stable_group()
    assert "disabled" in (refused_upgrade(h) or "")
    h = ConsumerHarness(config=GroupConfig(group_consumer_max_size=0))
    h.stable_group()
    assert "size" in (refused_upgrade(h) or "")
    assert h.state() == "Stable"


def test_members_that_wait_are_sent_away_to_join_again() -> None:
    h = ConsumerHarness()
    old = ClassicConsumer(h)
    old.join()
    waiting = h.new_member(protocols=old.protocols())
    Consumer(h, "new", "t").beat()
    assert h.joined(waiting).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert group_type(h) == "consumer"
    assert old.beat() == ErrorCode.REBALANCE_IN_PROGRESS


def test_members_that_wait_for_an_assignment_are_sent_away_too() -> None:
    h = ConsumerHarness()
    old = ClassicConsumer(h)
    old.join()
    waiting = h.new_member(protocols=old.protocols())
    again = h.join(old.member_id, protocols=old.protocols())
    follower, leader = h.joined(waiting), h.joined(again)
    assert follower.generation_id == leader.generation_id
    parked = h.sync(follower.member_id, follower.generation_id)
    Consumer(h, "new", "t").beat()
    assert h.synced(parked).error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_full_consumer_group_refuses_classic_members() -> None:
    h = ConsumerHarness(config=GroupConfig(group_consumer_max_size=1))
    settle(Consumer(h, "new", "t"))
    old = ClassicConsumer(h)
    refused = h.joined(h.join("m", protocols=old.protocols()))
    assert refused.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_a_static_classic_member_joins_again_with_its_id() -> None:
    h = ConsumerHarness()
    new = Consumer(h, "new", "t")
    settle(new)
    old = ClassicConsumer(h, instance="one")
    old.join()
    for _ in range(4):
        new.beat()
        old.beat()
    assert old.error == 0
    assert len(old.partitions) == 2
    left = h.leave(("", "one"), ("", "none"))
    assert [m.error_code for m in left.members] == [0, ErrorCode.UNKNOWN_MEMBER_ID]


def test_a_sync_that_comes_too_late_is_sent_back_to_join() -> None:
    h = ConsumerHarness()
    old, _ = mixed(h)
    Consumer(h, "third", "t").beat()
    late = h.synced(h.sync(old.member_id, old.generation))
    assert late.error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_members_that_are_revoking_have_their_time_after_a_restart() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t", rebalance_timeout_ms=10_000), Consumer(h, "b", "t")
    a.beat()
    b.beat()
    stuck = a.request(False)
    h.beat(stuck)
    h.restart()
    h.advance(10_000)
    assert h.beat(stuck).error_code == ErrorCode.UNKNOWN_MEMBER_ID
