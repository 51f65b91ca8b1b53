"""A cluster finds who to ask, and asks again when that has moved."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from tests.unit.client.scripted_broker import ScriptedBroker

from ottla.client.cluster import Cluster
from ottla.client.errors import CannotConnectError, ClientError, ResponseError
from ottla.client.settings import Settings
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message, Request
from ottla.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from ottla.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from ottla.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from ottla.wire.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)


class OneNode:
    """The answers of a one-node cluster with one topic `t` of one partition."""

    def __init__(self) -> None:
        self.port = 0
        self.heartbeats = [0]
        self.coordinator_error = [0]
        self.hang_up_first = False

    def __call__(self, request: Request[Any]) -> Message | None:
        if self.hang_up_first:
            self.hang_up_first = False
            return None
        match request:
            case MetadataRequest():
                node = MetadataResponseBroker(3, "127.0.0.1", self.port)
                topics = [
                    MetadataResponseTopic(0, "t", partitions=[MetadataResponsePartition(0, 0, 3)])
                    if topic.name == "t"
                    else MetadataResponseTopic(3, topic.name)
                    for topic in request.topics or []
                ]
                return MetadataResponse(brokers=[node], controller_id=3, topics=topics)
            case FindCoordinatorRequest():
                code = self.coordinator_error.pop()
                found = Coordinator("g", 3, "127.0.0.1", self.port, code, None)
                return FindCoordinatorResponse(coordinators=[found])
            case HeartbeatRequest():
                return HeartbeatResponse(0, self.heartbeats.pop())
            case CreateTopicsRequest():
                return CreateTopicsResponse()
            case _:
                return ListGroupsResponse()


@pytest.fixture
def node() -> Any:
    script = OneNode()
    with ScriptedBroker(script) as broker:
        script.port = broker.port
        script.broker = broker  # type: ignore[attr-defined]
        yield script


def test_the_controller_the_leader_and_the_coordinator_are_found(node: OneNode) -> None:
    with Cluster(f"127.0.0.1:{node.port}") as cluster:
        assert [b.node_id for b in cluster.brokers()] == [3]
        assert cluster.controller().port == node.port
        assert cluster.leader("t", 0).port == node.port
        assert cluster.coordinator("g").port == node.port
        assert isinstance(cluster.request_controller(CreateTopicsRequest()), CreateTopicsResponse)


def test_what_does_not_exist_is_named(node: OneNode) -> None:
    with Cluster(f"127.0.0.1:{node.port}") as cluster:
        with pytest.raises(ResponseError, match=r"^UNKNOWN_TOPIC_OR_PARTITION: topic 'nope'$"):
            cluster.leader("nope", 0)
        with pytest.raises(ResponseError, match="topic 't' has no partition 7"):
            cluster.leader("t", 7)
        with pytest.raises(ClientError, match="the cluster has no broker 9"):
            cluster.broker(9)


def test_a_coordinator_that_moved_is_asked_for_again(node: OneNode) -> None:
    node.coordinator_error = [0, 0, ErrorCode.COORDINATOR_NOT_AVAILABLE]
    node.heartbeats = [0, ErrorCode.NOT_COORDINATOR]
    with Cluster(f"127.0.0.1:{node.port}") as cluster:
        response = cluster.request_coordinator("g", HeartbeatRequest("g"))
    assert response.error_code == 0
    assert node.heartbeats == node.coordinator_error == []


def test_patience_ends(node: OneNode) -> None:
    node.coordinator_error = [ErrorCode.COORDINATOR_NOT_AVAILABLE] * 100
    with Cluster(f"127.0.0.1:{node.port}", Settings(request_timeout_ms=120)) as cluster:
        with pytest.raises(ResponseError, match="COORDINATOR_NOT_AVAILABLE"):
            cluster.request_coordinator("g", HeartbeatRequest("g"))


def test_a_lost_connection_is_made_anew(node: OneNode) -> None:
    with Cluster(f"127.0.0.1:{node.port}") as cluster:
        cluster.request(ListGroupsRequest())
        node.hang_up_first = True
        assert isinstance(cluster.request(ListGroupsRequest()), ListGroupsResponse)


def test_every_bootstrap_server_is_tried(node: OneNode) -> None:
    with Cluster(f"127.0.0.1:1,127.0.0.1:{node.port}") as cluster:
        assert cluster.any_broker().port == node.port
    with Cluster("127.0.0.1:1,127.0.0.1:2") as cluster:
        with pytest.raises(CannotConnectError, match=r"127\.0\.0\.1:1: .*; .*127\.0\.0\.1:2: "):
            cluster.brokers()


def test_the_client_imports_little() -> None:
    """Command line tools start with it: no asyncio, no ssl, no third-party library."""
    heavy = "{'asyncio', 'ssl', 'dataclasses', 'inspect', 'confluent_kafka', 'crc32c', 'cramjam'}"
    code = f"import sys, ottla.client; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
