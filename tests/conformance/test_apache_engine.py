"""Apache Kafka nodes start ready, take part again after a crash, and stop in order."""

from __future__ import annotations

import pytest

from ottla.client import Cluster
from ottla.engine.apache import ApacheKafka
from ottla.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    PartitionData,
    TopicData,
)


def test_one_node_is_ready_when_it_is_there(apache_kafka: ApacheKafka) -> None:
    with Cluster(apache_kafka.bootstrap_servers) as cluster:
        assert [b.node_id for b in cluster.brokers()] == [1]
        assert cluster.coordinator("any").port == apache_kafka.nodes[0].port


@pytest.mark.slow
@pytest.mark.usefixtures("apache_kafka")
def test_brokers_and_a_controller_survive_a_crash() -> None:
    lines: list[str] = []
    with ApacheKafka(brokers=2, controllers=1, progress=lines.append) as kafka:
        assert [n.roles for n in kafka.nodes] == ["broker", "broker", "controller"]
        kafka.node(2).kill()
        kafka.restart(2)
        with Cluster(kafka.bootstrap_servers) as cluster:
            assert [b.node_id for b in cluster.brokers()] == [1, 2]
            topic = TopicData("__cluster_metadata", [PartitionData(0)])
            quorum = cluster.request(DescribeQuorumRequest([topic]))
            assert quorum.topics[0].partitions[0].leader_id == 3000
        processes = [n.process for n in kafka.nodes]
    assert [p.returncode for p in processes if p is not None] == [143, 143, 143]
    assert not kafka.directory.exists()
    assert lines[0].startswith("starting Apache Kafka")
    assert lines[-1] == "stopping Apache Kafka"
