"""Groups and committed offsets through dispatch."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.core import Client, Core
from tests.support.requests import create_topic

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ottla.wire.messages.delete_groups import DeleteGroupsRequest
from ottla.wire.messages.delete_topics import DeleteTopicsRequest
from ottla.wire.messages.describe_groups import DescribeGroupsRequest
from ottla.wire.messages.find_coordinator import FindCoordinatorRequest
from ottla.wire.messages.heartbeat import HeartbeatRequest
from ottla.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from ottla.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from ottla.wire.messages.list_groups import ListGroupsRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from ottla.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment


def join(client: Client, member_id: str = "") -> JoinGroupResponse:
    request = JoinGroupRequest(
        "g",
        session_timeout_ms=10_000,
        rebalance_timeout_ms=10_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol("range", b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff")],
    )
    response = client.call(request, 9)
    if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        return join(client, response.member_id)
    return response


def commit(offset: int, partition: int = 0, topic: str = "t", **ids: bytes) -> OffsetCommitRequest:
    rows = [OffsetCommitRequestPartition(partition, offset, committed_metadata="m")]
    return OffsetCommitRequest(
        "g", topics=[OffsetCommitRequestTopic(name=topic, partitions=rows, **ids)]
    )


def committed(client: Client) -> list[tuple[str, int, int]]:
    response = client.call(
        OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)]), 9
    )
    return [
        (t.name, p.partition_index, p.committed_offset)
        for t in response.groups[0].topics
        for p in t.partitions
    ]


def test_a_member_joins_syncs_beats_and_leaves(core: Core) -> None:
    client = core.client()
    joined = join(client)
    assert joined.error_code == 0
    assert joined.leader == joined.member_id
    identity = {"group_id": "g", "generation_id": 1, "member_id": joined.member_id}
    synced = client.call(
        SyncGroupRequest(
            **identity, assignments=[SyncGroupRequestAssignment(joined.member_id, b"mine")]
        ),
        4,
    )
    assert bytes(synced.assignment) == b"mine"
    assert client.call(HeartbeatRequest(**identity), 4).error_code == 0
    groups = client.call(ListGroupsRequest(), 5).groups
    assert [(g.group_id, g.group_state) for g in groups] == [("g", "Stable")]
    described = client.call(DescribeGroupsRequest(["g", "none"]), 6).groups
    assert described[0].members[0].client_host == "/::1"
    assert described[1].error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert (
        client.call(DeleteGroupsRequest(["g"]), 2).results[0].error_code
        == ErrorCode.NON_EMPTY_GROUP
    )
    left = client.call(LeaveGroupRequest("g", members=[MemberIdentity(joined.member_id)]), 5)
    assert left.members[0].error_code == 0
    assert client.call(DeleteGroupsRequest(["g"]), 2).results[0].error_code == 0


def test_a_silent_member_is_dropped(core: Core) -> None:
    client = core.client()
    joined = join(client)
    identity = {"group_id": "g", "generation_id": 1, "member_id": joined.member_id}
    client.call(SyncGroupRequest(**identity, assignments=[]), 4)
    core.advance(11_000)
    assert client.call(HeartbeatRequest(**identity), 4).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_offsets_are_committed_told_and_kept(core: Core) -> None:
    client = core.client()
    topic_id = client.call(create_topic("t"), 7).topics[0].topic_id
    assert client.call(commit(5), 9).topics[0].partitions[0].error_code == 0
    assert client.call(commit(7, topic_id=topic_id, topic=""), 10).topics[0].topic_id == topic_id
    assert committed(client) == [("t", 0, 7)]
    by_id = OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(
                "g",
                topics=[
                    OffsetFetchRequestTopics(topic_id=topic_id, partition_indexes=[0]),
                    OffsetFetchRequestTopics(topic_id=b"x" * 16, partition_indexes=[0]),
                ],
            )
        ]
    )
    found = client.call(by_id, 10).groups[0].topics
    assert (found[0].topic_id, found[0].partitions[0].committed_offset) == (topic_id, 7)
    assert found[1].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID
    core.restart()
    client = core.client()
    assert committed(client) == [("t", 0, 7)]
    assert [g.group_id for g in client.call(ListGroupsRequest(), 5).groups] == ["g"]


def test_offsets_of_unknown_partitions_are_refused(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    request = commit(1)
    request.topics[0].partitions.append(OffsetCommitRequestPartition(9, 1))
    request.topics.append(
        OffsetCommitRequestTopic(name="none", partitions=[OffsetCommitRequestPartition(0, 1)])
    )
    response = client.call(request, 9)
    codes = {
        (t.name, p.partition_index): p.error_code for t in response.topics for p in t.partitions
    }
    assert codes == {
        ("t", 0): 0,
        ("t", 9): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("none", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    unknown = client.call(commit(1, topic="", topic_id=b"x" * 16), 10)
    assert unknown.topics[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_commits_and_reads_wait_for_the_flush(make_core: Callable[..., Core]) -> None:
    core = make_core(flushes_by_hand=True)
    writer, reader = core.client(), core.client()
    writer.call(create_topic("t"), 7)
    writer.send(commit(5), 9)
    reader.send(OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)]), 9)
    assert writer.read() is None
    assert reader.read() is None
    core.flush()
    assert writer.read().topics[0].partitions[0].error_code == 0
    assert reader.read().groups[0].topics[0].partitions[0].committed_offset == 5


def test_offsets_go_with_their_topic_and_by_request(core: Core) -> None:
    client = core.client()
    for name in ("t", "u"):
        client.call(create_topic(name), 7)
        client.call(commit(5, topic=name), 9)
    client.call(DeleteTopicsRequest(topic_names=["u"]), 5)
    assert committed(client) == [("t", 0, 5)]
    request = OffsetDeleteRequest(
        "g",
        [
            OffsetDeleteRequestTopic("t", [OffsetDeleteRequestPartition(0)]),
            OffsetDeleteRequestTopic("u", [OffsetDeleteRequestPartition(0)]),
        ],
    )
    response = client.call(request, 0)
    codes = {t.name: t.partitions[0].error_code for t in response.topics}
    assert codes == {"t": 0, "u": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert committed(client) == []


def test_coordinators_are_where_the_client_came_in(core: Core) -> None:
    client = core.client(port=1234)
    old = client.call(FindCoordinatorRequest("g"), 0)
    assert (old.error_code, old.node_id, old.host, old.port) == (0, 1, "127.0.0.1", 1234)
    new = client.call(FindCoordinatorRequest(key_type=0, coordinator_keys=["a", "b"]), 6)
    assert [(c.key, c.port) for c in new.coordinators] == [("a", 1234), ("b", 1234)]
    share = client.call(FindCoordinatorRequest(key_type=2, coordinator_keys=["bad"]), 6)
    assert share.coordinators[0].error_code == ErrorCode.INVALID_REQUEST
    unknown = client.call(FindCoordinatorRequest(key_type=9, coordinator_keys=["a"]), 6)
    assert unknown.coordinators[0].error_code == ErrorCode.INVALID_REQUEST


def test_a_consumer_group_is_assigned_by_the_broker(core: Core) -> None:
    client = core.client()
    topic_id = client.call(create_topic("t", 2), 7).topics[0].topic_id
    request = ConsumerGroupHeartbeatRequest(
        "c", "m1", 0, subscribed_topic_names=["t"], rebalance_timeout_ms=1000, topic_partitions=[]
    )
    response = client.call(request, 1)
    assert response.error_code == 0
    assert response.assignment is not None
    assigned = response.assignment.topic_partitions
    assert [(t.topic_id, sorted(t.partitions)) for t in assigned] == [(topic_id, [0, 1])]
    group = client.call(ConsumerGroupDescribeRequest(["c"]), 1).groups[0]
    assert group.members[0].assignment.topic_partitions[0].topic_name == "t"
    listed = client.call(ListGroupsRequest(), 5).groups
    assert [(g.group_id, g.group_type) for g in listed] == [("c", "consumer")]
    core.restart()
    client = core.client()
    again = client.call(ConsumerGroupHeartbeatRequest("c", "m1", response.member_epoch), 1)
    assert again.error_code == 0
