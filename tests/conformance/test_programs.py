"""Programs in other languages and of other ages, unmodified and in their own idiom."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.programs import toolchains

import ottla


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kafka_streams_counts_exactly_once(
    bootstrap_servers: str, unique: str, tmp_path: Path
) -> None:
    said = toolchains.run_java(
        "WordCount.java",
        "org.apache.kafka:kafka-streams:4.3.1",
        bootstrap_servers,
        unique,
        str(tmp_path),
    )
    assert "alpha=2000" in said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kafkajs_reads_what_is_committed(bootstrap_servers: str, unique: str) -> None:
    toolchains.run_node("kafkajs", "roundtrip.js", "kafkajs@2.2.4", bootstrap_servers, unique)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_java_client_of_2017(embedded_broker: ottla.Broker, unique: str) -> None:
    said = toolchains.run_java(
        "OldClient.java",
        "org.apache.kafka:kafka-clients:0.11.0.3",
        embedded_broker.bootstrap_servers,
        unique,
    )
    assert said.splitlines()[-1] == "402"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_python_clients_of_2018(embedded_broker: ottla.Broker, unique: str) -> None:
    python = toolchains.python_with("old-python", "kafka-python==1.4.7", "pykafka==2.8.0")
    script = str(toolchains.HERE / "old_python.py")
    said = toolchains.run(
        [str(python), script, embedded_broker.bootstrap_servers, unique],
        cwd=toolchains.HERE,
        limit_s=120,
    )
    assert said.splitlines()[-1] == "85"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_go_clients_of_2018(embedded_broker: ottla.Broker, unique: str) -> None:
    assert toolchains.run_go("sarama", embedded_broker.bootstrap_servers, unique)


#: What Java's Admin must refuse; everything else in Administration.java must succeed.
REFUSED = {
    "createTopics dup": "TopicExistsException",
    "createTopics badname": "InvalidTopicException",
    "createTopics badcfg": "InvalidConfigurationException",
    "createTopics badval": "InvalidConfigurationException",
    "createTopics 0p": "InvalidPartitionsException",
    "createTopics assign bad": "InvalidReplicaAssignmentException",
    "describeTopics missing": "UnknownTopicOrPartitionException",
    "createPartitions less": "InvalidPartitionsException",
    "createPartitions same": "InvalidPartitionsException",
    "incrementalAlterConfigs bad": "InvalidConfigurationException",
    "incrementalAlterConfigs unknown": "InvalidConfigurationException",
    "incrementalAlterConfigs broker ro": "InvalidRequestException",
    "alterReplicaLogDirs": "LogDirNotFoundException",
    "alterPartitionReassignments bad": "InvalidReplicaAssignmentException",
    "alterPartitionReassignments cancel": "NoReassignmentInProgressException",
    "describeConsumerGroups missing": "GroupIdNotFoundException",
    "alterConsumerGroupOffsets active": "UnknownMemberIdException",
    "deleteConsumerGroups active": "GroupNotEmptyException",
    "deleteConsumerGroupOffsets active": "GroupSubscribedToTopicException",
    "deleteConsumerGroups missing": "GroupIdNotFoundException",
    "deleteRecords oor": "OffsetOutOfRangeException",
    "abortTransaction": "InvalidProducerEpochException",
    "alterScram few": "UnacceptableCredentialException",
    "describeDelegationToken": "UnsupportedByAuthenticationException",
    "createDelegationToken": "UnsupportedByAuthenticationException",
    "updateFeatures bad": "InvalidUpdateVersionException",
    "clientInstanceId": "IllegalStateException",
    "deleteTopics missing": "UnknownTopicOrPartitionException",
    "deleteTopics id missing": "UnknownTopicIdException",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_javas_admin_client_finds_everything(bootstrap_servers: str, unique: str) -> None:
    said = toolchains.run_java(
        "Administration.java",
        "org.apache.kafka:kafka-clients:4.3.1",
        bootstrap_servers,
        "1",
        unique,
    )
    lines = [line[2:] for line in said.splitlines() if line.startswith("= ")]
    outcomes = dict(line.rsplit(": ", 1) for line in lines)
    assert len(outcomes) >= 80
    assert {k: v for k, v in outcomes.items() if v != "ok"} == REFUSED
