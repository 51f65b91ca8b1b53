"""Share groups (KIP-932): membership."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import share_group_heartbeat as messages
from ottla.wire.messages.delete_groups import DeletableGroupResult
from ottla.wire.messages.list_groups import ListGroupsRequest
from ottla.wire.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse

from .consumer_harness import Catalog, Consumer, ConsumerHarness


class Sharer:
    """A share consumer, as far as its heartbeats go."""

    def __init__(self, h: ConsumerHarness, name: str, *topics: str) -> None:
        self.h = h
        self.name = name
        self.topics: list[str] | None = list(topics)
        self.epoch = 0
        self.partitions: set[tuple[str, int]] = set()

    def beat(self, **changes: Any) -> messages.ShareGroupHeartbeatResponse:
        request = messages.ShareGroupHeartbeatRequest(
            "g", self.name, self.epoch, None, self.topics if self.epoch == 0 else None
        )
        for field, value in changes.items():
            setattr(request, field, value)
        waiter = next(self.h.waiters)
        self.h.apply(
            self.h.coordinator.share_heartbeat(
                request, Client("c", "/h", 1), waiter, self.h.wall_ms, self.h.now_ms
            )
        )
        reply = self.h.answer(waiter, messages.ShareGroupHeartbeatResponse)
        if not reply.error_code:
            self.epoch = reply.member_epoch
        if reply.assignment is not None:
            self.partitions = {
                (topic.name, p)
                for t in reply.assignment.topic_partitions
                if (topic := self.h.catalog.topic_by_id(t.topic_id)) is not None
                for p in t.partitions
            }
        return reply


def test_members_share_partitions() -> None:
    h = ConsumerHarness(Catalog(t=2))
    a, b, c = (Sharer(h, name, "t") for name in "abc")
    assert a.beat().member_epoch == 1
    assert a.partitions == {("t", 0), ("t", 1)}
    b.beat()
    c.beat()
    a.beat()
    b.beat()
    assert a.partitions | b.partitions | c.partitions == {("t", 0), ("t", 1)}
    assert all(s.partitions for s in (a, b, c))
    group = h.coordinator.describe_share_group("g")
    assert (group.group_state, group.assignor_name, len(group.members)) == ("Stable", "simple", 3)
    assert group.members[0].assignment.topic_partitions[0].topic_name == "t"
    listed = h.coordinator.list_groups(ListGroupsRequest(types_filter=["share"])).groups
    assert [(g.group_id, g.protocol_type, g.group_state) for g in listed] == [
        ("g", "share", "Stable")
    ]


def test_leaving_and_falling_silent() -> None:
    h = ConsumerHarness(Catalog(t=4))
    a, b = Sharer(h, "a", "t"), Sharer(h, "b", "t")
    a.beat()
    b.beat()
    assert a.beat(member_epoch=-1).member_epoch == -1
    b.beat()
    assert len(b.partitions) == 4
    h.advance(45_000)
    assert h.coordinator.describe_share_group("g").group_state == "Empty"
    assert b.beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_topics_that_come_and_go_are_followed() -> None:
    h = ConsumerHarness(Catalog(t=1))
    a = Sharer(h, "a", "t", "later")
    a.beat()
    h.catalog.create("later", 2)
    a.beat()
    assert a.partitions == {("t", 0), ("later", 0), ("later", 1)}
    group = h.coordinator.share_group("g")
    assert group is not None
    assert sorted(name for name, _ in group.initialized.values()) == ["later", "t"]
    h.catalog.delete("later")
    a.beat()
    assert a.partitions == {("t", 0)}
    assert [name for name, _ in group.initialized.values()] == ["t"]


def test_a_restart_keeps_members_and_assignments() -> None:
    h = ConsumerHarness(Catalog(t=2))
    a = Sharer(h, "a", "t")
    a.beat()
    h.restart()
    assert h.reloaded().durable_state() == h.coordinator.durable_state()
    reply = a.beat()
    assert (reply.error_code, reply.member_epoch) == (0, 1)
    before = len(h.log)
    a.beat()
    assert len(h.log) == before


def test_epochs_that_do_not_fit() -> None:
    h = ConsumerHarness()
    a = Sharer(h, "a", "t")
    a.beat()
    Sharer(h, "b", "t").beat()
    a.beat()  # now in epoch 2
    assert a.beat(member_epoch=1).error_code == 0  # its answer was lost
    assert a.beat(member_epoch=7).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    assert Sharer(h, "x", "t").beat(member_epoch=1).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert Sharer(h, "x", "t").beat(member_epoch=-1).error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"member_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"rack_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": -2}, ErrorCode.INVALID_REQUEST),
        ({"subscribed_topic_names": []}, ErrorCode.INVALID_REQUEST),
        ({"member_epoch": 3}, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_what_a_heartbeat_refuses(changes: dict[str, Any], error: ErrorCode) -> None:
    h = ConsumerHarness()
    reply = Sharer(h, "a", "t").beat(**changes)
    assert reply.error_code == error
    assert reply.error_message


def test_a_full_group_refuses_newcomers() -> None:
    h = ConsumerHarness(config=GroupConfig(group_share_max_size=1))
    Sharer(h, "a", "t").beat()
    assert Sharer(h, "b", "t").beat().error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_types_of_groups_do_not_mix() -> None:
    h = ConsumerHarness()
    sharer = Sharer(h, "a", "t")
    sharer.beat()
    assert Consumer(h, "c", "t").beat().error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert h.joined(h.join()).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert h.commit(1) == ErrorCode.GROUP_ID_NOT_FOUND
    h.apply(h.coordinator.offset_delete(OffsetDeleteRequest("g"), "w"))
    assert h.answer("w", OffsetDeleteResponse).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    described = h.coordinator.describe_consumer_group("g")
    assert described.error_message == "Group g is not a consumer group."
    h = ConsumerHarness()
    Consumer(h, "c", "t").beat()
    assert Sharer(h, "a", "t").beat().error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert h.coordinator.describe_share_group("g").error_message == (
        "Group g is not a share group."
    )


def test_only_empty_share_groups_are_deleted() -> None:
    h = ConsumerHarness()
    a = Sharer(h, "a", "t")
    a.beat()

    def delete() -> int:
        waiter = next(h.waiters)
        h.apply(h.coordinator.delete_group("g", waiter))
        return h.answer(waiter, DeletableGroupResult).error_code

    assert delete() == ErrorCode.NON_EMPTY_GROUP
    a.beat(member_epoch=-1)
    assert delete() == ErrorCode.NONE
    assert h.coordinator.share_group("g") is None
    h.restart()
    assert h.coordinator.list_groups(ListGroupsRequest()).groups == []


def test_assignments_can_be_spaced() -> None:
    h = ConsumerHarness(Catalog(t=2), GroupConfig(group_share_assignment_interval_ms=1_000))
    a, b = Sharer(h, "a", "t"), Sharer(h, "b", "t")
    a.beat()
    b.beat()
    assert b.partitions == set()
    h.advance(1_000)
    b.beat()
    a.beat()
    assert a.partitions | b.partitions == {("t", 0), ("t", 1)}
    assert len(b.partitions) == 1
