"""Share groups through dispatch (KIP-932)."""

from __future__ import annotations

import random

import pytest
from simulation.disk import SimulatedDisk
from tests.support.core import Client, Core, batch, values
from tests.support.requests import create_topic, produce

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.delete_groups import DeleteGroupsRequest
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)
from ottla.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from ottla.wire.messages.share_acknowledge import (
    AcknowledgementBatch as Acknowledgement,
)
from ottla.wire.messages.share_acknowledge import (
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
)
from ottla.wire.messages.share_fetch import (
    AcknowledgementBatch,
    FetchPartition,
    FetchTopic,
    PartitionData,
    ShareFetchRequest,
)
from ottla.wire.messages.share_group_describe import ShareGroupDescribeRequest
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest


class Member:
    """A share consumer: one session on one connection."""

    def __init__(self, core: Core, topic_id: bytes, name: str) -> None:
        self.client = core.client()
        self.topic_id = topic_id
        self.name = name
        self.epoch = 0
        response = self.client.call(
            ShareGroupHeartbeatRequest("s", name, 0, subscribed_topic_names=["t"]), 1
        )
        assert response.error_code == 0
        assert response.assignment is not None
        assert response.assignment.topic_partitions[0].topic_id == topic_id

    def request(self, *acks: tuple[int, int, int], max_records: int = 100) -> ShareFetchRequest:
        batches = [AcknowledgementBatch(first, last, [kind]) for first, last, kind in acks]
        request = ShareFetchRequest(
            "s",
            self.name,
            self.epoch,
            max_wait_ms=500,
            max_records=max_records,
            topics=[FetchTopic(self.topic_id, [FetchPartition(0, batches)])],
        )
        self.epoch += 1
        return request

    def fetch(self, *acks: tuple[int, int, int], max_records: int = 100) -> PartitionData | None:
        response = self.client.call(self.request(*acks, max_records=max_records), 2)
        assert response.error_code == 0
        for topic in response.responses:
            for data in topic.partitions:
                return data
        return None

    def acknowledge(self, first: int, last: int, kind: int) -> int:
        topics = [
            AcknowledgeTopic(
                self.topic_id, [AcknowledgePartition(0, [Acknowledgement(first, last, [kind])])]
            )
        ]
        request = ShareAcknowledgeRequest("s", self.name, self.epoch, topics=topics)
        self.epoch += 1
        response = self.client.call(request, 2)
        assert response.error_code == 0
        return response.responses[0].partitions[0].error_code


def acquired(data: PartitionData | None) -> list[tuple[int, int, int]]:
    assert data is not None
    return [(a.first_offset, a.last_offset, a.delivery_count) for a in data.acquired_records]


@pytest.fixture
def topic_id(core: Core) -> bytes:
    client = core.client()
    topic_id = client.call(create_topic("t"), 7).topics[0].topic_id
    config = AlterableConfig("share.auto.offset.reset", 0, "earliest")
    changed = client.call(
        IncrementalAlterConfigsRequest([AlterConfigsResource(32, "s", [config])]), 1
    )
    assert changed.responses[0].error_code == 0
    for value in "abc":
        client.call(produce("t", batch(value)), 9)
    return topic_id


def start_offset(client: Client) -> tuple[int, int]:
    group = DescribeShareGroupOffsetsRequestGroup("s", None)
    answer = client.call(DescribeShareGroupOffsetsRequest([group]), 1).groups[0]
    row = answer.topics[0].partitions[0]
    return row.start_offset, row.lag


def test_members_share_a_partition(core: Core, topic_id: bytes) -> None:
    one, two = Member(core, topic_id, "m1"), Member(core, topic_id, "m2")
    first = one.fetch(max_records=1)
    assert acquired(first) == [(0, 0, 1)]
    assert first is not None
    assert values(first.records) == ["a"]
    second = two.fetch(max_records=10)
    assert acquired(second) == [(1, 2, 1)]
    assert second is not None
    assert values(second.records) == ["b", "c"]
    accepted = one.fetch((0, 0, 1))
    assert accepted is not None
    assert accepted.acknowledge_error_code == 0
    assert start_offset(one.client) == (1, 2)
    assert two.acknowledge(1, 2, 2) == 0
    assert acquired(one.fetch()) == [(1, 2, 2)]


def test_a_fetch_waits_for_records_and_for_what_others_give_back(
    core: Core, topic_id: bytes
) -> None:
    one, two = Member(core, topic_id, "m1"), Member(core, topic_id, "m2")
    one.fetch()
    two.client.send(two.request(), 2)
    assert two.client.read() is None
    core.client().call(produce("t", batch("d")), 9)
    assert acquired(two.client.read().responses[0].partitions[0]) == [(3, 3, 1)]
    two.client.send(two.request(), 2)
    assert one.acknowledge(0, 0, 2) == 0
    assert acquired(two.client.read().responses[0].partitions[0]) == [(0, 0, 2)]
    two.client.send(two.request(), 2)
    core.advance(500)
    assert two.client.read().responses == []


def test_locks_expire_and_lost_members_give_back(core: Core, topic_id: bytes) -> None:
    one, two = Member(core, topic_id, "m1"), Member(core, topic_id, "m2")
    assert acquired(one.fetch()) == [(0, 2, 1)]
    core.advance(30_001)
    assert acquired(two.fetch()) == [(0, 2, 2)]
    core.broker.connection_lost(two.client.connection)
    core.flush()
    assert acquired(one.fetch()) == [(0, 2, 3)]
    assert one.acknowledge(0, 1, 1) == 0


def test_progress_survives_a_restart_and_locks_do_not(core: Core, topic_id: bytes) -> None:
    one = Member(core, topic_id, "m1")
    one.fetch()
    assert one.acknowledge(0, 0, 1) == 0
    core.restart()
    again = Member(core, topic_id, "m3")
    assert acquired(again.fetch()) == [(1, 2, 1)]
    group = again.client.call(ShareGroupDescribeRequest(["s"]), 1).groups[0]
    assert group.group_state == "Stable"


def test_sessions_count_their_requests(core: Core, topic_id: bytes) -> None:
    one = Member(core, topic_id, "m1")
    one.fetch()
    one.epoch = 7
    wrong = one.client.call(one.request(), 2)
    assert wrong.error_code == ErrorCode.INVALID_SHARE_SESSION_EPOCH
    one.name = "stranger"
    assert one.client.call(one.request(), 2).error_code == ErrorCode.SHARE_SESSION_NOT_FOUND
    one.epoch = 0
    with_acks = one.client.call(one.request((0, 0, 1)), 2)
    assert with_acks.error_code == ErrorCode.INVALID_REQUEST


def test_closing_a_session_gives_everything_back(core: Core, topic_id: bytes) -> None:
    one, two = Member(core, topic_id, "m1"), Member(core, topic_id, "m2")
    one.fetch()
    one.epoch = -1
    closed = one.client.call(one.request((0, 0, 1)), 2)
    assert closed.responses[0].partitions[0].acknowledge_error_code == 0
    assert acquired(two.fetch()) == [(1, 2, 2)]


def test_offsets_are_altered_while_nobody_is_there(core: Core, topic_id: bytes) -> None:
    one = Member(core, topic_id, "m1")
    one.fetch()
    request = AlterShareGroupOffsetsRequest(
        "s",
        [AlterShareGroupOffsetsRequestTopic("t", [AlterShareGroupOffsetsRequestPartition(0, 2)])],
    )
    assert one.client.call(request, 0).error_code == ErrorCode.NON_EMPTY_GROUP
    one.client.call(ShareGroupHeartbeatRequest("s", "m1", -1), 1)
    answer = one.client.call(request, 0)
    assert answer.error_code == 0
    assert answer.responses[0].partitions[0].error_code == 0
    assert start_offset(one.client) == (2, 1)
    deleted = one.client.call(DeleteGroupsRequest(["s"]), 2).results[0]
    assert deleted.error_code == 0
    assert core.broker.share_groups.coordinator.keys_of("s") == []


def test_cold_records_are_read_by_a_worker() -> None:
    disk = SimulatedDisk(random.Random(1))
    core = Core("/data", filesystem=disk)
    client = core.client()
    topic_id = client.call(create_topic("t"), 7).topics[0].topic_id
    config = AlterableConfig("share.auto.offset.reset", 0, "earliest")
    client.call(IncrementalAlterConfigsRequest([AlterConfigsResource(32, "s", [config])]), 1)
    client.call(produce("t", batch("a")), 9)
    one = Member(core, topic_id, "m1")
    disk.cold_share = 1.0
    core.sink.jobs = []
    one.client.send(one.request(), 2)
    assert one.client.read() is None
    (job,) = core.sink.jobs
    disk.cold_share = 0.0
    job()
    core.flush()
    data = one.client.read().responses[0].partitions[0]
    assert values(data.records) == ["a"]
