"""The measurements, each a function of a target."""

from __future__ import annotations

import statistics
import time
import uuid
from dataclasses import dataclass
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.librdkafka import BatchProducer
from benchmarks.targets import Target

WARM_UP_S: Final = 0.3
LATENCY_SAMPLES: Final = 500
CONSUME_TIMEOUT_S: Final = 120


@dataclass(frozen=True)
class Rate:
    """Throughput, and the share of one core the broker used for it."""

    messages_per_s: float
    mb_per_s: float
    broker_core_share: float


def new_topic(target: Target, partitions: int) -> str:
    """The name of a topic made for one measurement."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    if target.create_topic is not None:
        target.create_topic(name, partitions)
        return name
    admin = AdminClient({"bootstrap.servers": target.bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(30)
    return name


def _rate(target: Target, count: int, size: int, seconds: float, cpu_s: float) -> Rate:
    return Rate(count / seconds, count * size / seconds / 1e6, cpu_s / seconds)


def produce(target: Target, size: int, total_bytes: int, partitions: int) -> tuple[str, Rate]:
    """One librdkafka producer, acks=all, no compression. Returns the topic, too."""
    topic = new_topic(target, partitions)
    producer = BatchProducer(
        {
            "bootstrap.servers": target.bootstrap_servers,
            "acks": "all",
            "linger.ms": "5",
            "batch.size": "1000000",
            "batch.num.messages": "1000000",
            "queue.buffering.max.messages": "2000000",
            "queue.buffering.max.kbytes": "262144",
        },
        topic,
        partitions,
    )
    payload = b"x" * size
    producer.produce(payload, max(partitions, 1000))
    count = total_bytes // size
    cpu, began = target.cpu_s(), time.perf_counter()
    producer.produce(payload, count)
    seconds = time.perf_counter() - began
    rate = _rate(target, count, size, seconds, target.cpu_s() - cpu)
    producer.close()
    return topic, rate


def consume(target: Target, topic: str, size: int, partitions: int) -> Rate:
    """One confluent-kafka consumer reads everything the topic has.

    Below about a kilobyte a message the Python client is the limit.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": target.bootstrap_servers,
            "group.id": topic,
            "enable.auto.commit": "false",
            "queued.min.messages": "1000000",
            "fetch.message.max.bytes": "4194304",
            "check.crcs": "false",
        }
    )
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    ends = [
        consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)
        for p in range(partitions)
    ]
    left = sum(high - low for low, high in ends)  # the mock keeps only the newest of each
    cpu = began = 0.0
    count = 0
    deadline = time.monotonic() + CONSUME_TIMEOUT_S
    while left > 0:
        messages = consumer.consume(1_000, timeout=0.05)
        read = sum(message.error() is None for message in messages)
        left -= read
        if began:
            count += read
        elif read:
            # Connecting and the first fetch are not what is asked for here.
            cpu, began = target.cpu_s(), time.perf_counter()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} messages of {topic} were not read")
    seconds = time.perf_counter() - began
    rate = _rate(target, count, size, seconds, target.cpu_s() - cpu)
    consumer.close()
    return rate


def latency_ms(target: Target) -> tuple[float, float]:
    """Median and 99th percentile from produce to consume, one message at a time."""
    topic = new_topic(target, 1)
    producer = Producer(
        {"bootstrap.servers": target.bootstrap_servers, "linger.ms": 0, "acks": "all"}
    )
    consumer = Consumer(
        {
            "bootstrap.servers": target.bootstrap_servers,
            "group.id": topic,
            "enable.auto.commit": "false",
            "fetch.wait.max.ms": 1000,
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
    consumer.poll(WARM_UP_S)
    samples = []
    for _ in range(LATENCY_SAMPLES):
        began = time.perf_counter()
        producer.produce(topic, b"x" * 100)
        producer.poll(0)
        message = consumer.poll(5)
        if message is not None and message.error() is None:
            samples.append((time.perf_counter() - began) * 1000)
        if len(samples) == 20 and statistics.median(samples) > 100:
            break  # a target that does not wake long polls: more samples tell nothing new
    producer.flush(5)
    consumer.close()
    ordered = sorted(samples) or [float("nan")]
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
