"""REST v3 tells of replicas that move, which only a cluster of several brokers has."""

from __future__ import annotations

import os

import httpx
import pytest
from confluent_kafka import Producer
from tests.apps.gateway_process import any_ports, running_gateway

from ottla.client.cluster import Cluster
from ottla.engine.apache import ApacheKafka
from ottla.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)


@pytest.mark.apache
def test_a_reassignment_is_shown_while_it_lasts() -> None:
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[apache-kafka-not-asked-for] run `make conformance`")
    with ApacheKafka(brokers=2, controllers=1) as kafka:
        servers = kafka.bootstrap_servers
        with running_gateway(any_ports(servers)) as doors, httpx.Client(timeout=60) as client:
            (found,) = client.get(f"{doors['REST Proxy']}/v3/clusters").json()["data"]
            topics = found["topics"]["related"]
            made = {
                "topic_name": "moving",
                "replicas_assignments": [{"partition_id": n, "broker_ids": [1]} for n in (0, 1)],
                "configs": [{"name": "follower.replication.throttled.replicas", "value": "*"}],
            }
            assert client.post(topics, json=made).status_code == 201
            # A byte a second, so that it lasts.
            default = f"{found['broker_configs']['related']}/follower.replication.throttled.rate"
            assert client.put(default, json={"value": "1"}).status_code == 204
            producer = Producer({"bootstrap.servers": servers})
            for _ in range(40):
                producer.produce("moving", os.urandom(100_000), partition=1)
            producer.flush(90)
            wanted = [ReassignableTopic("moving", [ReassignablePartition(1, [2])])]
            with Cluster(servers) as cluster:
                answer = cluster.request(AlterPartitionReassignmentsRequest(topics=wanted))
            assert not answer.responses[0].partitions[0].error_code
            one = client.get(f"{topics}/moving/partitions/1/reassignment").json()
            assert one.get("kind") == "KafkaReassignment", one
            assert (one["adding_replicas"], one["removing_replicas"]) == ([2], [1])
            other = client.get(f"{topics}/moving/partitions/0/reassignment")
            assert other.status_code == 404, other.text
            for path in ("-/partitions/-", "moving/partitions/-"):
                listed = client.get(f"{topics}/{path}/reassignment").json()
                assert listed["data"] == [one]
            replicas = client.get(one["replicas"]["related"]).json()["data"]
            assert {r["broker_id"]: r["is_in_sync"] for r in replicas} == {1: True, 2: False}
