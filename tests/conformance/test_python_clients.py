"""The three Python clients, unmodified, do what their users do all day."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import aiokafka
import aiokafka.admin
import kafka
import kafka.admin
import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

import ottla

LIMIT_S = 90


def results(futures: dict[Any, Any]) -> list[Any]:
    return [future.result(LIMIT_S) for future in futures.values()]


def create_topic(address: str, topic: str, partitions: int = 1, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    settings = {key.replace("_", "."): value for key, value in config.items()}
    results(admin.create_topics([NewTopic(topic, partitions, 1, config=settings)]))


@contextmanager
def confluent_consumer(address: str, group: str, **settings: Any) -> Iterator[Consumer]:
    config = {
        "bootstrap.servers": address,
        "group.id": group,
        "auto.offset.reset": "earliest",
        **{key.replace("_", "."): value for key, value in settings.items()},
    }
    consumer = Consumer(config)
    try:
        yield consumer
    finally:
        consumer.close()


def consume(consumer: Consumer, count: int) -> list[Any]:
    """Exactly `count` messages."""
    messages: list[Any] = []
    deadline = time.monotonic() + LIMIT_S
    while len(messages) < count and time.monotonic() < deadline:
        for message in consumer.consume(count - len(messages), timeout=0.5):
            assert message.error() is None, message.error()
            messages.append(message)
    assert len(messages) == count
    return messages


def produce(address: str, topic: str, count: int, **settings: Any) -> None:
    config = {key.replace("_", "."): value for key, value in settings.items()}
    producer = Producer({"bootstrap.servers": address, **config})
    errors: list[Any] = []
    for i in range(count):
        producer.produce(
            topic,
            key=b"k%d" % i,
            value=b"v%d" % i,
            headers=[("n", b"%d" % i)],
            on_delivery=lambda error, _: errors.append(error) if error else None,
        )
    assert producer.flush(LIMIT_S) == 0
    assert errors == []


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("acks", ["all", "1", "0"])
def test_confluent_kafka_round_trip(
    bootstrap_servers: str, unique: str, compression: str, acks: str
) -> None:
    create_topic(bootstrap_servers, unique)
    produce(bootstrap_servers, unique, 500, compression_type=compression, acks=acks, linger_ms=5)
    with confluent_consumer(bootstrap_servers, unique) as consumer:
        consumer.assign([TopicPartition(unique, 0, OFFSET_BEGINNING)])
        messages = consume(consumer, 500)
    assert [m.offset() for m in messages] == list(range(500))
    assert [m.value() for m in messages] == [b"v%d" % i for i in range(500)]
    assert messages[7].key() == b"k7"
    assert messages[7].headers() == [("n", b"7")]
    assert abs(messages[7].timestamp()[1] / 1000 - time.time()) < 60


def test_confluent_kafka_idempotent_producer(bootstrap_servers: str, unique: str) -> None:
    create_topic(bootstrap_servers, unique, 3)
    produce(bootstrap_servers, unique, 2000, enable_idempotence=True)
    with confluent_consumer(bootstrap_servers, unique) as consumer:
        consumer.subscribe([unique])
        values = sorted(int(m.value()[1:]) for m in consume(consumer, 2000))
    assert values == list(range(2000))


def test_a_topic_is_created_on_first_use(bootstrap_servers: str, unique: str) -> None:
    produce(bootstrap_servers, unique, 1)
    with confluent_consumer(bootstrap_servers, unique) as consumer:
        consumer.subscribe([unique])
        assert consume(consumer, 1)[0].value() == b"v0"


def test_confluent_kafka_groups_share_and_resume(bootstrap_servers: str, unique: str) -> None:
    create_topic(bootstrap_servers, unique, 4)
    produce(bootstrap_servers, unique, 400)
    with confluent_consumer(bootstrap_servers, unique, enable_auto_commit=False) as first:
        first.subscribe([unique])
        consume(first, 400)
        first.commit(asynchronous=False)
        with confluent_consumer(bootstrap_servers, unique) as second:
            second.subscribe([unique])
            until(lambda: first.poll(0.05) is None and second.poll(0.05) is None
                  and len(first.assignment()) == 2 and len(second.assignment()) == 2)  # fmt: skip
        until(lambda: first.poll(0.05) is None and len(first.assignment()) == 4)
        produce(bootstrap_servers, unique, 8)
        assert len(consume(first, 8)) == 8
        first.commit(asynchronous=False)
    with confluent_consumer(bootstrap_servers, unique) as third:
        third.subscribe([unique])
        produce(bootstrap_servers, unique, 1)
        assert [m.value() for m in consume(third, 1)] == [b"v0"]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline


def test_confluent_kafka_admin(bootstrap_servers: str, unique: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    create_topic(bootstrap_servers, unique, 2, retention_ms="3600000")
    with pytest.raises(KafkaException) as refusal:
        create_topic(bootstrap_servers, unique)
    assert refusal.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    results(admin.create_partitions([NewPartitions(unique, 5)]))
    until(lambda: len(admin.list_topics(unique, LIMIT_S).topics[unique].partitions) == 5)
    resource = ConfigResource(ResourceType.TOPIC, unique)
    (config,) = results(admin.describe_configs([resource]))
    assert config["retention.ms"].value == "3600000"
    assert config["cleanup.policy"].value == "delete"
    assert config["cleanup.policy"].is_default
    change = ConfigResource(
        ResourceType.TOPIC,
        unique,
        incremental_configs=[
            ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET),
            ConfigEntry("retention.ms", "", incremental_operation=AlterConfigOpType.DELETE),
        ],
    )
    results(admin.incremental_alter_configs([change]))
    (config,) = results(admin.describe_configs([resource]))
    assert config["cleanup.policy"].value == "compact"
    assert config["retention.ms"].value == "604800000"
    cluster = admin.describe_cluster().result(LIMIT_S)
    assert len(cluster.nodes) == 1
    assert cluster.controller is not None
    results(admin.delete_topics([unique]))
    until(lambda: unique not in admin.list_topics(timeout=LIMIT_S).topics)


def test_confluent_kafka_looks_at_groups_and_offsets(bootstrap_servers: str, unique: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    create_topic(bootstrap_servers, unique)
    produce(bootstrap_servers, unique, 10)
    partition = TopicPartition(unique, 0)
    with confluent_consumer(bootstrap_servers, unique) as consumer:
        consumer.subscribe([unique])
        consume(consumer, 10)
        consumer.commit(asynchronous=False)
        (group,) = results(admin.describe_consumer_groups([unique]))
        assert group.state.name == "STABLE"
        assert len(group.members) == 1
        assert group.members[0].assignment.topic_partitions == [partition]
    listed = admin.list_consumer_groups().result(LIMIT_S)
    assert unique in [g.group_id for g in listed.valid]
    request = ConsumerGroupTopicPartitions(unique)
    (offsets,) = results(admin.list_consumer_group_offsets([request]))
    assert [(p.topic, p.offset) for p in offsets.topic_partitions] == [(unique, 10)]
    wanted = ConsumerGroupTopicPartitions(unique, [TopicPartition(unique, 0, 3)])
    results(admin.alter_consumer_group_offsets([wanted]))
    with confluent_consumer(bootstrap_servers, unique) as consumer:
        consumer.subscribe([unique])
        assert consume(consumer, 1)[0].offset() == 3
    results(admin.delete_consumer_groups([unique]))
    (latest,) = results(admin.list_offsets({partition: OffsetSpec.latest()}))
    assert latest.offset == 10
    (earliest,) = results(admin.list_offsets({partition: OffsetSpec.earliest()}))
    assert earliest.offset == 0
    results(admin.delete_records([TopicPartition(unique, 0, 4)]))
    (earliest,) = results(admin.list_offsets({partition: OffsetSpec.earliest()}))
    assert earliest.offset == 4


def test_offsets_for_times(bootstrap_servers: str, unique: str) -> None:
    create_topic(bootstrap_servers, unique)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    now = int(time.time() * 1000)
    for i in range(10):
        producer.produce(unique, value=b"%d" % i, timestamp=now - 10_000 + i * 1000, partition=0)
    assert producer.flush(LIMIT_S) == 0
    with confluent_consumer(bootstrap_servers, unique) as consumer:
        wanted = [TopicPartition(unique, 0, now - 10_000 + 4500)]
        (found,) = consumer.offsets_for_times(wanted, timeout=LIMIT_S)
        assert found.offset == 5
        assert consumer.get_watermark_offsets(TopicPartition(unique, 0), LIMIT_S) == (0, 10)


async def test_aiokafka(bootstrap_servers: str, unique: str) -> None:
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([aiokafka.admin.NewTopic(unique, 2, 1)])
    assert unique in await admin.list_topics()
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, enable_idempotence=True, compression_type="gzip"
    ) as producer:
        for i in range(200):
            await producer.send(unique, b"v%d" % i, key=b"k%d" % i, headers=[("h", b"x")])
        sent = await producer.send_and_wait(unique, b"last", partition=1)
        assert sent.partition == 1
    consumer = aiokafka.AIOKafkaConsumer(
        unique,
        bootstrap_servers=bootstrap_servers,
        group_id=unique,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with consumer, asyncio.timeout(LIMIT_S):
        values = {(await consumer.getone()).value for _ in range(201)}
        assert values == {b"v%d" % i for i in range(200)} | {b"last"}
        await consumer.commit()
        committed = await consumer.committed(aiokafka.TopicPartition(unique, 1))
        assert (
            committed
            == (await consumer.end_offsets([aiokafka.TopicPartition(unique, 1)]))[
                aiokafka.TopicPartition(unique, 1)
            ]
        )
    await admin.delete_topics([unique])
    await admin.close()


async def test_two_aiokafka_members_share_a_topic(bootstrap_servers: str, unique: str) -> None:
    create_topic(bootstrap_servers, unique, 4)
    consumers = [
        aiokafka.AIOKafkaConsumer(
            unique,
            bootstrap_servers=bootstrap_servers,
            group_id=unique,
            auto_offset_reset="earliest",
        )
        for _ in range(2)
    ]
    async with consumers[0], consumers[1], asyncio.timeout(LIMIT_S):
        while sorted(len(c.assignment()) for c in consumers) != [2, 2]:
            await asyncio.gather(*(c.getmany(timeout_ms=50) for c in consumers))
        produce(bootstrap_servers, unique, 40)
        seen = 0
        while seen < 40:
            for batches in await asyncio.gather(*(c.getmany(timeout_ms=50) for c in consumers)):
                seen += sum(map(len, batches.values()))


def test_kafka_python(bootstrap_servers: str, unique: str) -> None:
    with closing(kafka.KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        admin.create_topics([kafka.admin.NewTopic(unique, 3, 1)])
        assert unique in admin.list_topics()
        with closing(
            kafka.KafkaProducer(bootstrap_servers=bootstrap_servers, compression_type="gzip")
        ) as producer:
            sent = [producer.send(unique, b"v%d" % i, key=b"k%d" % i) for i in range(100)]
            producer.flush()
            assert {future.get(LIMIT_S).topic for future in sent} == {unique}
        with closing(
            kafka.KafkaConsumer(
                unique,
                bootstrap_servers=bootstrap_servers,
                group_id=unique,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                consumer_timeout_ms=LIMIT_S * 1000,
            )
        ) as consumer:
            values = {record.value for _, record in zip(range(100), consumer, strict=False)}
            assert values == {b"v%d" % i for i in range(100)}
            consumer.commit()
        admin.delete_topics([unique])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_each_name_of_this_machine_leads_back_to_itself(
    embedded_broker: ottla.Broker, unique: str, host: str
) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("[not-on-this-platform] no IPv6 loopback")
    shown = f"[{host}]" if ":" in host else host
    address = f"{shown}:{embedded_broker.port}"
    produce(address, unique, 3)
    admin = AdminClient({"bootstrap.servers": address})
    (broker,) = admin.list_topics(timeout=LIMIT_S).brokers.values()
    expected = ("127.0.0.1", "::1") if host == "localhost" else (host,)
    assert broker.host in expected
    assert broker.port == embedded_broker.port
    with confluent_consumer(address, unique) as consumer:
        consumer.subscribe([unique])
        assert len(consume(consumer, 3)) == 3


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_waiting_consumer_gets_a_record_at_once(bootstrap_servers: str, unique: str) -> None:
    create_topic(bootstrap_servers, unique)
    wait_ms = 2 * LIMIT_S * 1000
    with confluent_consumer(bootstrap_servers, unique, fetch_wait_max_ms=wait_ms) as consumer:
        consumer.assign([TopicPartition(unique, 0, OFFSET_BEGINNING)])
        assert consumer.poll(0.2) is None
        sender = threading.Thread(target=produce, args=(bootstrap_servers, unique, 1))
        sender.start()
        assert consume(consumer, 1), "it came no sooner than the fetch would have ended"
        sender.join()
