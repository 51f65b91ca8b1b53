"""Offsets are asked for as a consumer asks, whoever wants to know."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.client.scripted_broker import ScriptedBroker

from ottla.client.cluster import Cluster
from ottla.client.offsets import LATEST, find_offsets
from ottla.moving.partitions import Where, list_offsets
from ottla.wire.message import Message, Request
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from ottla.wire.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)


class Leader:
    """Leads the one partition of `t`, and keeps what it is asked for offsets."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[ListOffsetsRequest] = []

    def __call__(self, request: Request[Any]) -> Message | None:
        match request:
            case MetadataRequest():
                node = MetadataResponseBroker(3, "127.0.0.1", self.port)
                topic = MetadataResponseTopic(
                    0, "t", partitions=[MetadataResponsePartition(0, 0, 3)]
                )
                return MetadataResponse(brokers=[node], controller_id=3, topics=[topic])
            case ListOffsetsRequest():
                self.asked.append(request)
                found = ListOffsetsPartitionResponse(0, offset=7)
                return ListOffsetsResponse(topics=[ListOffsetsTopicResponse("t", [found])])
        return None


@pytest.mark.parametrize("isolation", [0, 1])
def test_nobody_asks_as_a_replica(isolation: int) -> None:
    """A broker shows a replica all that it has: the high watermark, and what transactions hold
    back, would be passed over in silence. The field's own default is the replica 0."""
    leader = Leader()
    with ScriptedBroker(leader) as broker:
        leader.port = broker.port
        with Cluster(f"127.0.0.1:{broker.port}") as cluster:
            assert list_offsets(cluster, [Where("t", 0)], LATEST, isolation) == {Where("t", 0): 7}
            found = find_offsets(cluster, {("t", 0): LATEST}, read_committed=bool(isolation))
            assert found["t", 0].offset == 7
    assert [asked.replica_id for asked in leader.asked] == [-1, -1]
    assert [asked.isolation_level for asked in leader.asked] == [isolation, isolation]
