"""KIP-848 groups through dispatch."""

from __future__ import annotations

from tests.support.core import Core

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ottla.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from ottla.wire.messages.list_groups import ListGroupsRequest


def test_a_member_is_assigned_the_partitions_of_its_topics(core: Core) -> None:
    client = core.client()
    created = client.call(CreateTopicsRequest([CreatableTopic("t", 2, 1)]), 7)
    joined = client.call(
        ConsumerGroupHeartbeatRequest(
            group_id="g",
            member_id="m",
            member_epoch=0,
            rebalance_timeout_ms=60_000,
            subscribed_topic_names=["t"],
            topic_partitions=[],
        ),
        1,
    )
    assert joined.error_code == 0
    (found,) = joined.assignment.topic_partitions
    assert (found.topic_id, found.partitions) == (created.topics[0].topic_id, [0, 1])
    groups = client.call(ListGroupsRequest(), 5).groups
    assert [(g.group_id, g.group_state, g.group_type) for g in groups] == [
        ("g", "Stable", "consumer")
    ]
    described = client.call(ConsumerGroupDescribeRequest(["g", "none"], True), 1).groups
    assert described[0].members[0].assignment.topic_partitions[0].topic_name == "t"
    assert described[0].members[0].client_host == "/::1"
    assert described[1].error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_a_wrong_heartbeat_is_answered_with_a_sentence(core: Core) -> None:
    reply = core.client().call(ConsumerGroupHeartbeatRequest(group_id="g", member_epoch=3), 1)
    assert reply.error_code == ErrorCode.INVALID_REQUEST
    assert reply.error_message == "MemberId can't be empty."
