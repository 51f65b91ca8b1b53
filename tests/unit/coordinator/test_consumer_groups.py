"""Consumer groups of KIP-848, seen from their clients."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    TopicPartitions,
)
from ottla.wire.messages.delete_groups import DeletableGroupResult
from ottla.wire.messages.list_groups import ListGroupsRequest
from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup

from .consumer_harness import Catalog, Consumer, ConsumerHarness, settle

ALL = {("t", 0), ("t", 1), ("t", 2), ("t", 3)}


def test_the_first_member_gets_everything_at_once() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t")
    reply = a.beat()
    assert (reply.error_code, reply.member_id, reply.member_epoch) == (0, "a", 1)
    assert reply.heartbeat_interval_ms == 5_000
    assert a.partitions == ALL
    assert h.group_state() == "Stable"
    assert a.beat().assignment is None


def test_a_second_member_waits_until_the_first_has_given_up() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    a.beat()
    b.beat()
    assert b.partitions == set()
    assert h.group_state() == "Reconciling"
    told = a.beat()  # is told what to keep; its request still reported everything
    assert told.member_epoch == 1
    assert len(a.partitions) == 2
    b.beat()
    assert b.partitions == set()
    assert a.beat().member_epoch == 2  # confirms
    b.beat()
    assert a.partitions | b.partitions == ALL
    assert not a.partitions & b.partitions
    assert h.group_state() == "Stable"


def test_leaving_hands_the_partitions_over() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    settle(a, b)
    assert a.leave().member_epoch == -1
    settle(b)
    assert b.partitions == ALL
    b.leave()
    assert h.group_state() == "Empty"


def test_a_silent_member_is_removed() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    settle(a, b)
    for _ in range(9):
        h.advance(5_000)
        b.beat()
    settle(b)
    assert b.partitions == ALL
    assert a.beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_does_not_revoke_in_time_is_removed() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t", rebalance_timeout_ms=10_000), Consumer(h, "b", "t")
    a.beat()
    b.beat()
    stuck = a.request(False)  # keeps reporting everything
    h.beat(stuck)
    h.advance(9_999)
    assert h.beat(stuck).error_code == 0
    h.advance(1)
    assert h.beat(stuck).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    settle(b)
    assert b.partitions == ALL


def test_a_lost_answer_is_repeated_to_the_previous_epoch() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    a.beat()
    b.beat()
    a.beat()
    confirmation = a.request(False)
    first = h.beat(confirmation)  # raises the epoch, and the answer is lost
    again = h.beat(confirmation)
    assert again.error_code == 0
    assert again.member_epoch == first.member_epoch == 2


def test_epochs_that_do_not_fit_are_fenced() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t")
    a.beat()
    for epoch in (0 + 2, 17):
        request = a.request(False)
        request.member_epoch = epoch
        assert h.beat(request).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    stranger = Consumer(h, "x", "t")
    stranger.epoch = 1
    assert stranger.beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_joining_again_with_epoch_zero_begins_anew() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t")
    settle(a)
    a.epoch, a.owned = 0, {}
    assert a.beat().error_code == 0
    assert a.partitions == ALL


def base() -> ConsumerGroupHeartbeatRequest:
    return ConsumerGroupHeartbeatRequest(
        group_id="g",
        member_id="a",
        member_epoch=0,
        rebalance_timeout_ms=1_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"member_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"instance_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rack_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": -3}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": -2}, ErrorCode.INVALID_REQUEST),
        ({"rebalance_timeout_ms": -1}, ErrorCode.INVALID_REQUEST),
        ({"topic_partitions": None}, ErrorCode.INVALID_REQUEST),
        ({"topic_partitions": [TopicPartitions(bytes(16), [0])]}, ErrorCode.INVALID_REQUEST),
        ({"subscribed_topic_names": None}, ErrorCode.INVALID_REQUEST),
        ({"server_assignor": "mine"}, ErrorCode.UNSUPPORTED_ASSIGNOR),
        ({"subscribed_topic_regex": "("}, ErrorCode.INVALID_REGULAR_EXPRESSION),
        ({"member_epoch": 1}, ErrorCode.GROUP_ID_NOT_FOUND),
        ({"member_epoch": -1}, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_what_a_heartbeat_refuses(changes: dict[str, Any], error: ErrorCode) -> None:
    h = ConsumerHarness()
    request = base()
    for name, value in changes.items():
        setattr(request, name, value)
    reply = h.beat(request)
    assert reply.error_code == error
    assert reply.error_message
    assert h.log == []


def test_version_zero_lets_the_broker_make_the_member_id() -> None:
    h = ConsumerHarness()
    request = base()
    request.member_id = ""
    reply = h.beat(request, version=0)
    assert reply.error_code == 0
    assert len(reply.member_id or "") == 22


def test_a_full_group_refuses_newcomers() -> None:
    h = ConsumerHarness(config=GroupConfig(group_consumer_max_size=1))
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    a.beat()
    assert b.beat().error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert a.beat().error_code == 0


def test_a_static_member_that_is_away_keeps_its_partitions() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t", instance="one"), Consumer(h, "b", "t")
    settle(a, b)
    had = a.partitions
    early = Consumer(h, "a2", "t", instance="one")
    assert early.beat().error_code == ErrorCode.UNRELEASED_INSTANCE_ID
    assert a.leave(-2).member_epoch == -2
    settle(b)
    assert not b.partitions & had
    back = Consumer(h, "a3", "t", instance="one")
    back.beat()
    assert back.partitions == had
    assert a.beat().error_code != 0
    fenced = Consumer(h, "a", "t", instance="one")
    fenced.epoch = 1
    assert fenced.beat().error_code == ErrorCode.FENCED_INSTANCE_ID
    unknown = Consumer(h, "z", "t", instance="two")
    unknown.epoch = 1
    assert unknown.beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_static_member_that_stays_away_loses_its_place() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t", instance="one"), Consumer(h, "b", "t")
    settle(a, b)
    a.leave(-2)
    for _ in range(10):
        h.advance(5_000)
        b.beat()
    settle(b)
    assert b.partitions == ALL


def test_a_static_member_can_leave_for_good() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t", instance="one")
    a.beat()
    impostor = Consumer(h, "x", "t", instance="one")
    assert impostor.leave().error_code == ErrorCode.FENCED_INSTANCE_ID
    assert Consumer(h, "x", "t", instance="no").leave().error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert Consumer(h, "x", "t").leave().error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert a.leave().error_code == 0
    assert h.group_state() == "Empty"


def test_topics_that_come_grow_and_go_are_followed() -> None:
    h = ConsumerHarness(Catalog(t=1))
    a = Consumer(h, "a", "t", "later")
    settle(a)
    assert a.partitions == {("t", 0)}
    h.catalog.create("later", 2)
    settle(a)
    assert a.partitions == {("t", 0), ("later", 0), ("later", 1)}
    h.catalog.create("t", 2)
    settle(a)
    assert ("t", 1) in a.partitions
    h.catalog.delete("later")
    settle(a)
    assert a.partitions == {("t", 0), ("t", 1)}
    h.catalog.create("unrelated", 1)
    before = len(h.log)
    settle(a)
    assert len(h.log) == before


def test_a_subscription_can_be_an_expression() -> None:
    h = ConsumerHarness(Catalog(orders_eu=1, orders_us=1, users=1))
    a = Consumer(h, "a", regex="orders_.*")
    settle(a)
    assert a.partitions == {("orders_eu", 0), ("orders_us", 0)}
    h.catalog.create("orders_asia", 1)
    settle(a)
    assert ("orders_asia", 0) in a.partitions
    a.regex = "users"
    a.beat(full=True)
    settle(a)
    assert a.partitions == {("users", 0)}
    h.restart()
    settle(a)
    assert a.partitions == {("users", 0)}
    assert a.error == 0


def test_a_changed_subscription_moves_partitions() -> None:
    h = ConsumerHarness(Catalog(t=2, u=2))
    a = Consumer(h, "a", "t")
    settle(a)
    a.topics = ["u"]
    a.beat(full=True)
    settle(a)
    assert a.partitions == {("u", 0), ("u", 1)}


def test_the_range_assignor_on_request() -> None:
    h = ConsumerHarness(Catalog(t=2, u=2))
    a = Consumer(h, "a", "t", "u", assignor="range")
    b = Consumer(h, "b", "t", "u", assignor="range")
    settle(a, b)
    assert a.partitions == {("t", 0), ("u", 0)}
    assert b.partitions == {("t", 1), ("u", 1)}
    assert h.coordinator.describe_consumer_group("g").assignor_name == "range"


def test_members_and_their_partitions_survive_a_restart() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    settle(a, b)
    before = (a.partitions, b.partitions)
    h.restart()
    settle(a, b)
    assert (a.error, b.error) == (0, 0)
    assert (a.partitions, b.partitions) == before
    h.advance(50_000)
    assert h.group_state() == "Empty"


def test_commits_and_fetches_know_the_member_epoch() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t")
    settle(a)
    assert h.commit(5, member_id="a", generation=a.epoch) == ErrorCode.NONE
    assert h.commit(5, member_id="a", generation=9) == ErrorCode.STALE_MEMBER_EPOCH
    assert h.commit(5, member_id="x", generation=1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.commit(5) == ErrorCode.UNKNOWN_MEMBER_ID
    assert (
        h.commit(5, member_id="a", generation=a.epoch, version=8) == ErrorCode.UNSUPPORTED_VERSION
    )

    def fetch(member_id: str | None, epoch: int) -> int:
        request = OffsetFetchRequest([OffsetFetchRequestGroup("g", member_id, epoch)])
        return h.coordinator.offset_fetch(request, Client("c", "", 9)).groups[0].error_code

    assert fetch("a", a.epoch) == ErrorCode.NONE
    assert fetch(None, -1) == ErrorCode.NONE
    assert fetch("a", 9) == ErrorCode.STALE_MEMBER_EPOCH
    assert fetch("x", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    a.leave()
    assert h.commit(6) == ErrorCode.NONE


def test_describing_and_listing() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t")
    settle(a)
    group = h.coordinator.describe_consumer_group("g")
    assert (group.group_state, group.group_epoch, group.assignment_epoch) == ("Stable", 1, 1)
    (member,) = group.members
    assert (member.member_epoch, member.subscribed_topic_names) == (1, ["t"])
    assert member.assignment.topic_partitions[0].topic_name == "t"
    assert member.assignment == member.target_assignment
    listed = h.coordinator.list_groups(ListGroupsRequest(["stable"], ["consumer"])).groups
    assert [(g.group_id, g.group_type) for g in listed] == [("g", "consumer")]
    assert h.coordinator.describe_group("g", Client("c", "", 6)).error_code == (
        ErrorCode.GROUP_ID_NOT_FOUND
    )
    missing = h.coordinator.describe_consumer_group("no")
    assert missing.error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_deleting_and_expiring_consumer_groups() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t", regex="t")
    settle(a)
    h.commit(5, member_id="a", generation=a.epoch)

    def delete() -> int:
        waiter = next(h.waiters)
        h.apply(h.coordinator.delete_group("g", waiter))
        return h.answer(waiter, DeletableGroupResult).error_code

    assert delete() == ErrorCode.NON_EMPTY_GROUP
    a.leave()
    assert delete() == ErrorCode.NONE
    assert h.coordinator.list_groups(ListGroupsRequest()).groups == []
    settle(a)
    a.leave()
    h.advance(1_200_000)
    assert h.coordinator.list_groups(ListGroupsRequest()).groups == []
    assert h.reloaded().durable_state() == h.coordinator.durable_state()


def test_an_empty_classic_group_makes_way_and_its_offsets_stay() -> None:
    h = ConsumerHarness()
    (classic,) = h.stable_group()
    h.commit(7, member_id=classic, generation=1)
    a = Consumer(h, "a", "t")
    h.leave(classic)
    a.beat()
    assert a.partitions == ALL
    assert h.fetch().committed_offset == 7
    h.restart()
    assert h.group_state() == "Stable"


def test_an_empty_consumer_group_makes_way_and_its_offsets_stay() -> None:
    h = ConsumerHarness()
    a = Consumer(h, "a", "t")
    settle(a)
    h.commit(7, member_id="a", generation=a.epoch)
    a.leave()
    h.stable_group()
    assert h.state() == "Stable"
    assert h.fetch().committed_offset == 7
    assert h.reloaded().durable_state() == h.coordinator.durable_state()


def test_durable_state_is_compared_by_value() -> None:
    h = ConsumerHarness()
    settle(Consumer(h, "a", "t"))
    state = h.coordinator.durable_state()["consumer"]
    assert isinstance(state, dict)
    assert dataclasses.is_dataclass(state["g"])


def test_assignments_can_be_spaced() -> None:
    h = ConsumerHarness(config=GroupConfig(group_consumer_assignment_interval_ms=1_000))
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    a.beat()
    b.beat()
    assert h.group_state() == "Assigning"
    settle(a, b)
    assert a.partitions == ALL
    h.advance(1_000)
    settle(a, b)
    assert len(a.partitions) == len(b.partitions) == 2


def test_groups_have_settings_of_their_own() -> None:
    own = {"g": {"consumer.session.timeout.ms": "60000", "consumer.heartbeat.interval.ms": "6000"}}
    h = ConsumerHarness(config=GroupConfig(overrides_of=lambda group: own.get(group, {})))
    a = Consumer(h, "a", "t")
    assert a.beat().heartbeat_interval_ms == 6_000
    h.advance(59_999)
    assert h.group_state() == "Stable"
    h.advance(1)
    assert h.group_state() == "Empty"


def test_a_commit_of_an_earlier_epoch_counts_for_partitions_held_ever_since() -> None:
    h = ConsumerHarness()
    a, b = Consumer(h, "a", "t"), Consumer(h, "b", "t")
    a.beat()
    first_epoch = a.epoch
    settle(a, b)
    assert a.epoch > first_epoch
    (kept, _), (given_up, _) = (sorted(p for _, p in consumer.partitions) for consumer in (a, b))

    def commit(who: str, epoch: int, partition: int) -> int:
        return h.commit(5, member_id=who, generation=epoch, partition=partition)

    assert commit("a", first_epoch, kept) == ErrorCode.NONE
    assert commit("a", first_epoch, given_up) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit("b", first_epoch, given_up) == ErrorCode.STALE_MEMBER_EPOCH
    assert commit("a", a.epoch + 1, kept) == ErrorCode.STALE_MEMBER_EPOCH
    h.restart()
    assert commit("a", first_epoch, kept) == ErrorCode.NONE
