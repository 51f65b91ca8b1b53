"""What administrators ask for, through dispatch."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from tests.support.core import Client, Core, batch
from tests.support.requests import create_topic, fetch, list_offset, metadata, produce

from ottla.wire.errors import ErrorCode
from ottla.wire.messages import alter_configs, incremental_alter_configs
from ottla.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from ottla.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from ottla.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from ottla.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from ottla.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from ottla.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from ottla.wire.messages.describe_cluster import DescribeClusterRequest
from ottla.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ottla.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from ottla.wire.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from ottla.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from ottla.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    UserName,
)
from ottla.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic
from ottla.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from ottla.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32


@pytest.fixture
def client(core: Core) -> Client:
    client = core.client()
    assert client.call(create_topic("t", 2), 7).topics[0].error_code == 0
    return client


# Topics


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (CreatableTopic("t", 1, 1), ErrorCode.TOPIC_ALREADY_EXISTS),
        (CreatableTopic("a b", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("n", 0, 1), ErrorCode.INVALID_PARTITIONS),
        (CreatableTopic("n", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic("n", 1, 3), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic("n", 10**6, 1), ErrorCode.POLICY_VIOLATION),
        (
            CreatableTopic("n", 1, 1, [], [CreatableTopicConfig("nonsense", "1")]),
            ErrorCode.INVALID_CONFIG,
        ),
        (
            CreatableTopic("n", 1, 1, [], [CreatableTopicConfig("retention.ms", None)]),
            ErrorCode.INVALID_CONFIG,
        ),
        (
            CreatableTopic("n", 1, 1, [CreatableReplicaAssignment(0, [1])]),
            ErrorCode.INVALID_REQUEST,
        ),
        (
            CreatableTopic("n", -1, -1, [CreatableReplicaAssignment(0, [7])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic("n", -1, -1, [CreatableReplicaAssignment(0, [])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic("n", -1, -1, [CreatableReplicaAssignment(0, [1, 1])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            CreatableTopic("n", -1, -1, [CreatableReplicaAssignment(1, [1])]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
    ],
)
def test_topics_that_cannot_be(client: Client, topic: CreatableTopic, code: ErrorCode) -> None:
    result = client.call(CreateTopicsRequest([topic], 1000), 7).topics[0]
    assert result.error_code == code
    assert client.call(metadata("n"), 12).topics[0].error_code


def test_topics_by_assignment_by_default_and_for_trying(client: Client) -> None:
    assigned = CreatableTopic(
        "assigned", -1, -1, [CreatableReplicaAssignment(i, [1]) for i in (1, 0)]
    )
    topics = [assigned, CreatableTopic("default", -1, -1), CreatableTopic("twice", 1, 1)]
    topics.append(topics[-1])
    found = {t.name: t for t in client.call(CreateTopicsRequest(topics, 1000), 7).topics}
    journal = client.core.broker.journal
    assert journal.durable_position == journal.end_position
    assert found["assigned"].num_partitions == 2
    assert found["default"].num_partitions >= 1
    assert found["twice"].error_code == ErrorCode.INVALID_REQUEST
    tried = CreateTopicsRequest([CreatableTopic("tried", 5, 1)], 1000, True)
    assert client.call(tried, 7).topics[0].num_partitions == 5
    assert client.call(metadata("tried"), 12).topics[0].error_code


def test_partitions_are_added_never_taken(client: Client) -> None:
    def add(name: str, count: int, *assigned: list[int], try_only: bool = False) -> int:
        rows = [CreatePartitionsAssignment(a) for a in assigned] or None
        request = CreatePartitionsRequest(
            [CreatePartitionsTopic(name, count, rows)], 1000, try_only
        )
        return client.call(request, 3).results[0].error_code

    assert add("t", 1) == ErrorCode.INVALID_PARTITIONS
    assert add("t", 2) == ErrorCode.INVALID_PARTITIONS
    assert add("none", 2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert add("t", 3, [1], [1]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert add("t", 3, [7]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert add("t", 3, try_only=True) == 0
    assert len(client.call(metadata("t"), 12).topics[0].partitions) == 2
    assert add("t", 3, [1]) == 0
    assert len(client.call(metadata("t"), 12).topics[0].partitions) == 3
    twice = [CreatePartitionsTopic("t", 4), CreatePartitionsTopic("t", 5)]
    answer = client.call(CreatePartitionsRequest(twice, 1000), 3).results
    assert {r.error_code for r in answer} == {ErrorCode.INVALID_REQUEST}


def test_topics_are_deleted_by_name_and_by_id(core: Core, client: Client) -> None:
    topic_id = client.call(metadata("t"), 12).topics[0].topic_id
    both = DeleteTopicState("t", topic_id)
    wanted = [both, DeleteTopicState("none"), DeleteTopicState(None, b"x" * 16)]
    answer = client.call(DeleteTopicsRequest(wanted), 6).responses
    assert [r.error_code for r in answer] == [
        ErrorCode.INVALID_REQUEST,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
    ]
    twice = DeleteTopicsRequest([DeleteTopicState(None, topic_id)] * 2)
    assert {r.error_code for r in client.call(twice, 6).responses} == {ErrorCode.INVALID_REQUEST}
    once = DeleteTopicsRequest([DeleteTopicState(None, topic_id)])
    assert client.call(once, 6).responses[0].error_code == 0
    again = client.call(create_topic("t"), 7).topics[0]
    assert again.error_code == 0
    assert again.topic_id != topic_id
    core.restart()
    assert core.client().call(metadata("t"), 12).topics[0].topic_id == again.topic_id


def test_deletion_can_be_switched_off(make_core: Callable[..., Core]) -> None:
    core = make_core({"delete.topic.enable": "false"})
    client = core.client()
    client.call(create_topic("t"), 7)
    client.send(DeleteTopicsRequest(topic_names=["t"]), 5)
    response = client.read()
    assert response is None or response.responses[0].error_code
    assert "t" in core.broker.metadata.topics


def test_topics_are_made_when_asked_for(core: Core) -> None:
    client = core.client()
    missing = client.call(metadata("new"), 12).topics[0]
    assert missing.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    made = client.call(metadata("new", may_create=True), 12).topics[0]
    assert made.error_code == 0
    assert made.partitions
    assert (
        client.call(produce("new", batch("a")), 9).responses[0].partition_responses[0].error_code
        == 0
    )
    bad = client.call(metadata("a/b", may_create=True), 12).topics[0]
    assert bad.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    internal = client.call(metadata("__transaction_state", may_create=True), 12).topics[0]
    assert internal.is_internal


def test_metadata_tells_all_none_and_by_id(core: Core, client: Client) -> None:
    every = client.call(MetadataRequest(None, False), 12)
    assert [t.name for t in every.topics] == ["t"]
    assert client.call(MetadataRequest([], False), 12).topics == []
    assert [t.name for t in client.call(MetadataRequest([]), 0).topics] == ["t"]
    topic_id = every.topics[0].topic_id
    by_id = MetadataRequest([MetadataRequestTopic(i, None) for i in (topic_id, b"x" * 16)], False)
    found, missing = client.call(by_id, 12).topics
    assert found.name == "t"
    assert missing.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    told = client.call(MetadataRequest(None, False, True, True), 10)
    assert told.cluster_authorized_operations > 0
    assert told.topics[0].topic_authorized_operations > 0


def test_partitions_are_described_page_by_page(client: Client) -> None:
    client.call(create_topic("u", 3), 7)
    names = [TopicRequest(n) for n in ("u", "t", "none")]
    first = client.call(DescribeTopicPartitionsRequest(names, 3), 0)
    assert [(t.name, len(t.partitions)) for t in first.topics] == [
        ("none", 0),
        ("t", 2),
        ("u", 1),
    ]
    cursor = first.next_cursor
    assert cursor is not None
    assert (cursor.topic_name, cursor.partition_index) == ("u", 1)
    rest = client.call(DescribeTopicPartitionsRequest(names, 3, Cursor("u", 1)), 0)
    assert [p.partition_index for p in rest.topics[0].partitions] == [1, 2]
    assert rest.next_cursor is None
    full = client.call(DescribeTopicPartitionsRequest(names, 2), 0)
    assert full.next_cursor is not None
    assert full.next_cursor.topic_name == "u"
    assert len(client.call(DescribeTopicPartitionsRequest([], 100), 0).topics) == 2


# Records


def test_records_are_deleted_durably(core: Core, client: Client) -> None:
    client.call(produce("t", batch("a", "b", "c")), 9)
    client.call(create_topic("c", cleanup_policy="compact"), 7)
    client.call(metadata("__consumer_offsets", may_create=True), 12)

    def delete(topic: str, offset: int, partition: int = 0) -> tuple[int, int]:
        rows = [DeleteRecordsTopic(topic, [DeleteRecordsPartition(partition, offset)])]
        answer = client.call(DeleteRecordsRequest(rows, 1000), 2).topics[0].partitions[0]
        return answer.error_code, answer.low_watermark

    assert delete("t", 2) == (0, 2)
    assert delete("t", 4) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert delete("t", 1, 9) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert delete("c", 0) == (ErrorCode.POLICY_VIOLATION, -1)
    assert delete("__consumer_offsets", 0)[0] == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert client.call(list_offset("t", -2), 9).topics[0].partitions[0].offset == 2
    core.restart()
    client = core.client()
    assert client.call(list_offset("t", -2), 9).topics[0].partitions[0].offset == 2
    found = client.call(fetch("t", 1), 12).responses[0].partitions[0]
    assert found.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert delete("t", -1) == (0, 3)


def test_epochs_and_where_they_ended(core: Core, client: Client) -> None:
    client.call(produce("t", batch("a")), 9)
    core.restart()
    client = core.client()
    client.call(produce("t", batch("b", "c")), 9)

    def ask(epoch: int, current: int = -1, partition: int = 0) -> tuple[int, int, int]:
        rows = [OffsetForLeaderPartition(partition, current, epoch)]
        request = OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic("t", rows)])
        found = client.call(request, 4).topics[0].partitions[0]
        return found.error_code, found.leader_epoch, found.end_offset

    assert ask(0) == (0, 0, 1)
    assert ask(1) == (0, 1, 3)
    assert ask(2) == (0, -1, -1)
    assert ask(1, current=0)[0] == ErrorCode.FENCED_LEADER_EPOCH
    assert ask(1, current=2)[0] == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert ask(1, partition=7)[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# Configuration


def described(
    client: Client, kind: int, name: str, *keys: str
) -> dict[str, tuple[str | None, int]]:
    resource = DescribeConfigsResource(kind, name, list(keys) or None)
    result = client.call(DescribeConfigsRequest([resource], True, True), 4).results[0]
    assert result.error_code == 0, result.error_message
    return {c.name: (c.value, c.config_source) for c in result.configs}


def altered(client: Client, kind: int, name: str, *changes: tuple[str, int, str | None]) -> int:
    rows = [incremental_alter_configs.AlterableConfig(*change) for change in changes]
    resource = incremental_alter_configs.AlterConfigsResource(kind, name, rows)
    request = incremental_alter_configs.IncrementalAlterConfigsRequest([resource])
    return client.call(request, 1).responses[0].error_code


def test_configuration_of_every_kind_is_changed_kept_and_told(core: Core, client: Client) -> None:
    assert (
        altered(client, TOPIC, "t", ("retention.ms", 0, "5"), ("cleanup.policy", 2, "compact")) == 0
    )
    assert altered(client, BROKER, "1", ("log.cleaner.threads", 0, "2")) == 0
    assert altered(client, BROKER, "", ("max.connections", 0, "77")) == 0
    assert altered(client, GROUP, "g", ("consumer.session.timeout.ms", 0, "50000")) == 0
    assert altered(client, METRICS, "m", ("interval.ms", 0, "1000")) == 0
    core.restart()
    client = core.client()
    topic = described(client, TOPIC, "t")
    assert topic["retention.ms"] == ("5", 1)
    assert topic["cleanup.policy"] == ("delete,compact", 1)
    assert described(client, TOPIC, "t", "retention.ms").keys() == {"retention.ms"}
    assert described(client, BROKER, "1", "log.cleaner.threads")["log.cleaner.threads"] == ("2", 2)
    assert described(client, BROKER, "") == {"max.connections": ("77", 3)}
    assert described(client, GROUP, "g")["consumer.session.timeout.ms"][0] == "50000"
    assert described(client, METRICS, "m")["interval.ms"] == ("1000", 7)
    assert described(client, LOGGER, "1") == {}
    assert (
        altered(client, TOPIC, "t", ("retention.ms", 1, None), ("cleanup.policy", 3, "delete")) == 0
    )
    topic = described(client, TOPIC, "t")
    assert topic["retention.ms"][1] != 1
    assert topic["cleanup.policy"][0] == "compact"
    partition = core.broker.find_partition("t", 0)
    assert partition is not None
    assert partition.log.config.is_compacted
    assert altered(client, METRICS, "m", ("interval.ms", 1, None)) == 0
    assert (METRICS, "m") not in core.broker.metadata.configs


@pytest.mark.parametrize(
    ("kind", "name", "key", "value", "code"),
    [
        (TOPIC, "none", "retention.ms", "1", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a/b", "retention.ms", "1", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "t", "nonsense", "1", ErrorCode.INVALID_CONFIG),
        (TOPIC, "t", "retention.ms", "soon", ErrorCode.INVALID_CONFIG),
        (BROKER, "7", "log.cleaner.threads", "1", ErrorCode.INVALID_REQUEST),
        (BROKER, "x", "log.cleaner.threads", "1", ErrorCode.INVALID_REQUEST),
        (BROKER, "1", "node.id", "1", ErrorCode.INVALID_REQUEST),
        (GROUP, "", "consumer.session.timeout.ms", "50000", ErrorCode.INVALID_REQUEST),
        (METRICS, "m", "nonsense", "1", ErrorCode.INVALID_CONFIG),
        (99, "x", "k", "v", ErrorCode.INVALID_REQUEST),
    ],
)
def test_configuration_that_cannot_be(
    core: Core, client: Client, kind: int, name: str, key: str, value: str, code: ErrorCode
) -> None:
    before = core.broker.metadata.epoch
    assert altered(client, kind, name, (key, 0, value)) == code
    assert core.broker.metadata.epoch == before


def test_old_alter_replaces_everything(client: Client) -> None:
    altered(client, TOPIC, "t", ("retention.ms", 0, "5"))

    def replace(name: str, value: str | None, *, try_only: bool = False) -> int:
        rows = [alter_configs.AlterableConfig("segment.ms", value)]
        resource = alter_configs.AlterConfigsResource(TOPIC, name, rows)
        request = alter_configs.AlterConfigsRequest([resource], try_only)
        return client.call(request, 2).responses[0].error_code

    assert replace("t", "1000", try_only=True) == 0
    assert described(client, TOPIC, "t")["retention.ms"] == ("5", 1)
    assert replace("t", "1000") == 0
    topic = described(client, TOPIC, "t")
    assert topic["segment.ms"] == ("1000", 1)
    assert topic["retention.ms"][1] != 1
    assert replace("t", None)
    assert replace("none", "1")


def test_unknown_resources_are_not_described(client: Client) -> None:
    wanted = [(TOPIC, "none"), (BROKER, "7"), (GROUP, ""), (99, "x")]
    rows = [DescribeConfigsResource(kind, name) for kind, name in wanted]
    results = client.call(DescribeConfigsRequest(rows), 4).results
    assert all(r.error_code for r in results)


# The node itself


def test_the_only_directory_is_described(core: Core, client: Client) -> None:
    client.call(produce("t", batch("a"), 1), 9)
    wanted = [DescribableLogDirTopic("t", [1]), DescribableLogDirTopic("none", [0])]
    (result,) = client.call(DescribeLogDirsRequest(wanted), 4).results
    assert result.log_dir == core.directory
    rows = [
        (t.name, p.partition_index, p.partition_size) for t in result.topics for p in t.partitions
    ]
    assert rows == [("t", 1, len(batch("a")))]
    assert result.total_bytes == shutil.disk_usage(core.directory).total
    assert result.total_bytes > result.usable_bytes > 0
    (result,) = client.call(DescribeLogDirsRequest(None), 4).results
    assert len(result.topics[0].partitions) == 2

    def move(path: str, topic: str, partition: int) -> int:
        directory = AlterReplicaLogDir(path, [AlterReplicaLogDirTopic(topic, [partition])])
        answer = client.call(AlterReplicaLogDirsRequest([directory]), 2)
        return answer.results[0].partitions[0].error_code

    assert move(core.directory, "t", 0) == 0
    assert move(core.directory, "t", 9) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert move("/elsewhere", "t", 0) == ErrorCode.LOG_DIR_NOT_FOUND


def test_leaders_and_replicas_stay_where_they_are(client: Client) -> None:
    def elect(*named: tuple[str, int], kind: int = 0) -> list[int]:
        rows = [TopicPartitions(topic, [index]) for topic, index in named] or None
        answer = client.call(ElectLeadersRequest(kind, rows), 2)
        return [p.error_code for t in answer.replica_election_results for p in t.partition_result]

    assert elect(("t", 0), ("t", 9), ("none", 0)) == [
        ErrorCode.ELECTION_NOT_NEEDED,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert elect() == []
    refused = client.call(ElectLeadersRequest(5, None), 2)
    assert refused.error_code == ErrorCode.INVALID_REQUEST

    def reassign(replicas: list[int] | None, partition: int = 0) -> int:
        rows = [ReassignableTopic("t", [ReassignablePartition(partition, replicas)])]
        answer = client.call(AlterPartitionReassignmentsRequest(1000, True, rows), 1)
        return answer.responses[0].partitions[0].error_code

    assert reassign([1]) == 0
    assert reassign([2]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert reassign([]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert reassign(None) == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    assert reassign([1], 9) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_the_cluster_is_this_node(core: Core) -> None:
    client = core.client(port=4711)
    response = client.call(DescribeClusterRequest(True), 2)
    assert [(b.broker_id, b.port) for b in response.brokers] == [(1, 4711)]
    assert response.cluster_authorized_operations > 0
    for kind, code in (
        (2, ErrorCode.MISMATCHED_ENDPOINT_TYPE),
        (9, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
    ):
        assert client.call(DescribeClusterRequest(False, kind), 2).error_code == code
    topics = [
        TopicData("__cluster_metadata", [PartitionData(0), PartitionData(1)]),
        TopicData("t", [PartitionData(0)]),
    ]
    answer = client.call(DescribeQuorumRequest(topics), 2)
    codes = [p.error_code for t in answer.topics for p in t.partitions]
    assert codes[0] == 0
    assert codes[1:] == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2
    assert answer.topics[0].partitions[0].leader_id == 1
    assert answer.nodes[0].listeners[0].port == 4711


def test_features_go_down_and_up_again(core: Core, client: Client) -> None:
    def update(name: str, level: int, kind: int = 1, *, try_only: bool = False) -> int:
        rows = [FeatureUpdateKey(name, level, kind)]
        return client.call(UpdateFeaturesRequest(1000, rows, try_only), 1).error_code

    assert update("nonsense", 1) == ErrorCode.INVALID_UPDATE_VERSION
    assert update("transaction.version", 9) == ErrorCode.INVALID_UPDATE_VERSION
    assert update("transaction.version", 1) == ErrorCode.INVALID_UPDATE_VERSION
    assert update("transaction.version", 1, 2, try_only=True) == 0
    assert core.broker.metadata.features == {}
    assert update("transaction.version", 1, 2) == 0
    assert update("transaction.version", 2, 2) == ErrorCode.INVALID_UPDATE_VERSION
    core.restart()
    assert core.broker.metadata.features == {"transaction.version": 1}
    client = core.client()
    assert update("transaction.version", 2) == 0
    twice = [FeatureUpdateKey("group.version", 1)] * 2
    refused = client.call(UpdateFeaturesRequest(1000, twice), 2)
    assert refused.error_code == ErrorCode.INVALID_REQUEST


def test_passwords_are_kept_so_that_nobody_can_read_them(core: Core, client: Client) -> None:
    def upsert(user: str, mechanism: int = 1, iterations: int = 4096) -> int:
        row = ScramCredentialUpsertion(user, mechanism, iterations, b"salt", b"salted password")
        answer = client.call(AlterUserScramCredentialsRequest([], [row]), 0)
        return answer.results[0].error_code

    def delete(user: str) -> int:
        row = ScramCredentialDeletion(user, 1)
        answer = client.call(AlterUserScramCredentialsRequest([row], []), 0)
        return answer.results[0].error_code

    assert upsert("u") == 0
    assert upsert("") == ErrorCode.UNACCEPTABLE_CREDENTIAL
    assert upsert("u", mechanism=9) == ErrorCode.UNSUPPORTED_SASL_MECHANISM
    assert upsert("u", iterations=1) == ErrorCode.UNACCEPTABLE_CREDENTIAL
    assert upsert("u", iterations=10**6) == ErrorCode.UNACCEPTABLE_CREDENTIAL
    core.restart()
    client = core.client()
    users = [UserName("u"), UserName("none"), UserName("twice"), UserName("twice")]
    results = client.call(DescribeUserScramCredentialsRequest(users), 0).results
    assert [(r.user, r.error_code, len(r.credential_infos)) for r in results] == [
        ("u", 0, 1),
        ("none", ErrorCode.RESOURCE_NOT_FOUND, 0),
        ("twice", ErrorCode.DUPLICATE_RESOURCE, 0),
    ]
    assert [r.user for r in client.call(DescribeUserScramCredentialsRequest(None), 0).results] == [
        "u"
    ]
    assert delete("none") == ErrorCode.RESOURCE_NOT_FOUND
    assert delete("u") == 0
    assert core.broker.metadata.scram_credentials == {}
