"""Programs in other languages and of other ages, unmodified and in their own idiom."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType
from tests.conformance.programs import toolchains

import ottla
from ottla.engine.apache import ApacheKafka

KAFKA_CLIENTS = "org.apache.kafka:kafka-clients:4.3.1"
KAFKA_TOOLS = "org.apache.kafka:kafka-tools:4.3.1"
GO_TEMPLATE_ANSWERS = Path(__file__).parents[1] / "unit/gateway/go_template_answers.json"


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
@pytest.mark.timeout(1200)
def test_confluents_javascript_client(bootstrap_servers: str, unique: str) -> None:
    package = "@confluentinc/kafka-javascript@1.10.1"
    toolchains.run_node(
        "confluent_javascript", "roundtrip.js", package, bootstrap_servers, unique, limit_s=120
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_javas_producer_consumers_and_share_consumer(bootstrap_servers: str, unique: str) -> None:
    said = toolchains.run_java("Clients.java", KAFKA_CLIENTS, bootstrap_servers, unique)
    assert said.splitlines()[-1] == "ok"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_todays_go_clients(bootstrap_servers: str, unique: str) -> None:
    assert toolchains.run_go("go_today", bootstrap_servers, unique).splitlines()[-1] == "ok"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_go_fills_in_burrows_templates_as_it_was_written_down(tmp_path: Path) -> None:
    """The unit test of our templates holds them to these answers."""
    answers = json.loads(GO_TEMPLATE_ANSWERS.read_text())
    templates = tmp_path / "templates.json"
    templates.write_text(json.dumps([template for template, _ in answers]))
    said = toolchains.run_go("go_templates", str(templates), TZ="UTC")
    assert json.loads(said) == [answer for _, answer in answers]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("consumer", ["classic", "consumer", "share"])
def test_verifiable_producer_and_consumer(
    bootstrap_servers: str, unique: str, consumer: str
) -> None:
    """Everything the one says was acknowledged, the other says it consumed."""
    count = "5000"
    common = ("--bootstrap-server", bootstrap_servers, "--topic", unique, "--max-messages", count)
    tool = "org.apache.kafka.tools.Verifiable"
    produced = toolchains.run_java_class(f"{tool}Producer", KAFKA_TOOLS, *common)
    if consumer == "share":
        options: tuple[str, ...] = ("--offset-reset-strategy", "earliest")
    else:
        options = ("--group-protocol", consumer, "--verbose", "--reset-policy", "earliest")
    name = f"{tool}{'Share' if consumer == 'share' else ''}Consumer"
    consumed = toolchains.run_java_class(
        name, KAFKA_TOOLS, *common, "--group-id", unique, "--verbose", *options
    )
    sent = [e["value"] for e in events(produced, "producer_send_success")]
    assert len(sent) == int(count)
    read = [e["value"] for e in events(consumed, "record_data")]
    assert sorted(read, key=int) == sorted(sent, key=int)


def events(said: str, name: str) -> list[dict[str, str]]:
    """The lines of a verifiable program that tell of such an event."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["name"] == name]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("towards", ["apache", "embedded"])
def test_mirror_maker_2_copies_topics_and_offsets(
    embedded_broker: ottla.Broker,
    apache_kafka: ApacheKafka,
    unique: str,
    tmp_path: Path,
    towards: str,
) -> None:
    ends = {"embedded": embedded_broker.bootstrap_servers, "apache": apache_kafka.bootstrap_servers}
    target = ends.pop(towards)
    ((source_name, source),) = ends.items()
    settings = tmp_path / "mm2.properties"
    settings.write_text(
        MIRROR_MAKER.format(a=source_name, b=towards, source=source, target=target, topic=unique)
    )
    admin = AdminClient({"bootstrap.servers": source})
    admin.create_topics([NewTopic(unique, 3, config={"retention.ms": "123456789"})])[unique].result(
        30
    )
    producer = Producer({"bootstrap.servers": source})
    for number in range(500):
        producer.produce(unique, b"%d" % number, b"k%d" % number, headers={"n": b"x"})
    assert producer.flush(90) == 0
    set_offset(admin, unique, TopicPartition(unique, 0, 7))
    copy = f"{source_name}.{unique}"
    classpath = toolchains.java_classpath("org.apache.kafka:connect-mirror:4.3.1")
    main = "org.apache.kafka.connect.mirror.MirrorMaker"
    with (tmp_path / "mm2.log").open("w") as log:
        mirror = subprocess.Popen(
            ["java", "-Xmx400m", "-cp", classpath, main, str(settings)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            assert read_all(target, copy, 500) == {b"%d" % n for n in range(500)}
            there = AdminClient({"bootstrap.servers": target})
            resource = ConfigResource(ResourceType.TOPIC, copy)
            config = there.describe_configs([resource])[resource].result(90)
            assert config["retention.ms"].value == "123456789"
            # Only what is newer than the mirror's last note about a partition can be translated.
            partition = TopicPartition(unique, 0)
            end = admin.list_offsets({partition: OffsetSpec.latest()})[partition].result(90).offset
            set_offset(admin, unique, TopicPartition(unique, 0, end))
            wait_for_offset(there, unique, TopicPartition(copy, 0), end)
        finally:
            mirror.terminate()
            mirror.wait(90)


#: Copies a topic with its configuration, and translates a group's offsets, every second.
MIRROR_MAKER = """
clusters = {a}, {b}
{a}.bootstrap.servers = {source}
{b}.bootstrap.servers = {target}
{a}->{b}.enabled = true
{a}->{b}.topics = {topic}
{a}->{b}.groups = {topic}
{a}->{b}.emit.checkpoints.interval.seconds = 1
{a}->{b}.sync.group.offsets.enabled = true
{a}->{b}.sync.group.offsets.interval.seconds = 1
{a}->{b}.sync.topic.acls.enabled = false
{a}->{b}.emit.heartbeats.enabled = false
{b}->{a}.enabled = false
{b}->{a}.emit.heartbeats.enabled = false
dedicated.mode.enable.internal.rest = false
replication.factor = 1
checkpoints.topic.replication.factor = 1
heartbeats.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
config.storage.replication.factor = 1
offset.lag.max = 0
auto.offset.reset = earliest
"""


def read_all(address: str, topic: str, count: int) -> set[bytes]:
    """The values in a topic that may be created only now."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"{topic}-reader",
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "topic.metadata.refresh.interval.ms": 500,
        }
    )
    consumer.subscribe([topic])
    values: set[bytes] = set()
    deadline = time.monotonic() + 90
    while len(values) < count:
        assert time.monotonic() < deadline, f"{len(values)} of {count} records in {topic}"
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            assert message.headers() == [("n", b"x")]
            values.add(message.value() or b"")
    consumer.close()
    return values


def set_offset(admin: AdminClient, group: str, to: TopicPartition) -> None:
    request = ConsumerGroupTopicPartitions(group, [to])
    admin.alter_consumer_group_offsets([request])[group].result(90)


def wait_for_offset(admin: AdminClient, group: str, partition: TopicPartition, most: int) -> None:
    """Until the group has an offset there that is above 0 and not beyond `most`."""
    deadline = time.monotonic() + 90
    while True:
        request = [ConsumerGroupTopicPartitions(group, [partition])]
        (found,) = admin.list_consumer_group_offsets(request)[group].result(90).topic_partitions
        if 0 < found.offset <= most:
            return
        assert time.monotonic() < deadline, f"the group stands at {found.offset}"
        time.sleep(0.2)


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
        KAFKA_CLIENTS,
        bootstrap_servers,
        "1",
        unique,
    )
    lines = [line[2:] for line in said.splitlines() if line.startswith("= ")]
    outcomes = dict(line.rsplit(": ", 1) for line in lines)
    assert len(outcomes) >= 80
    assert {k: v for k, v in outcomes.items() if v != "ok"} == REFUSED
