"""From the start of the process to its uses, the memory it takes, and how both grow."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, Producer

from benchmarks import small_requests
from benchmarks.processes import cpu_s, resident_mb
from benchmarks.systems import Apache, Ottla, broker, remove
from ottla.client import ClientError, Connection
from ottla.engine.distribution import Distribution
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.metadata import MetadataRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)

Figures = dict[str, float]
PATIENCE_S: Final = 120.0
SETTLE_S: Final = 1.0
#: Partitions of one CreateTopics request.
CREATED_AT_ONCE: Final = 1_000
NOT_YET: Final = (
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
)


def fresh(
    key: str, directory: Path, distribution: Distribution | None, *, partitions: int, groups: int
) -> Figures:
    """A first start on an empty directory, first uses, memory; then many topics and groups."""
    system = broker(key, directory, distribution)
    try:
        began = time.perf_counter()
        system.start()
        figures = {"open_s": time.perf_counter() - began}
        topic = f"first-{uuid.uuid4().hex[:6]}"
        _first_acknowledged(system, topic)
        figures["ack_s"] = time.perf_counter() - began
        _first_consumed(system, topic)
        figures["consumed_s"] = time.perf_counter() - began
        remove(system)
        system = broker(key, directory, distribution)
        system.start()
        figures["start_cpu_s"] = cpu_s(system.pid)
        time.sleep(SETTLE_S)
        figures["idle_mb"] = resident_mb(system.pid)
        before = time.perf_counter()
        topic = system.create_topic(partitions)
        figures["create_ms"] = (time.perf_counter() - before) * 1e3 / partitions
        _commit(system, topic, groups)
        time.sleep(SETTLE_S)
        figures["grown_mb"] = resident_mb(system.pid)
        return figures
    finally:
        remove(system)


def _first_acknowledged(system: Ottla | Apache, topic: str) -> None:
    """A producer made now sends to a topic that does not exist yet."""
    errors = []
    producer = Producer(
        {
            "bootstrap.servers": system.bootstrap_servers,
            "log_level": 0,
            "acks": "all",
            "linger.ms": 0,
            "retry.backoff.ms": 20,
            "topic.metadata.refresh.fast.interval.ms": 20,
        }
    )
    producer.produce(topic, b"first", on_delivery=lambda error, _: errors.append(error))
    producer.flush(PATIENCE_S)
    if errors != [None]:
        raise RuntimeError(f"the first record was not acknowledged: {errors}")


def _first_consumed(system: Ottla | Apache, topic: str) -> None:
    """A consumer made now joins a new group and reads that record."""
    consumer = Consumer(
        {
            "bootstrap.servers": system.bootstrap_servers,
            "log_level": 0,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": "false",
            "retry.backoff.ms": 20,
        }
    )
    try:
        consumer.subscribe([topic])
        deadline = time.monotonic() + PATIENCE_S
        while (message := consumer.poll(1)) is None or message.error() is not None:
            if time.monotonic() > deadline:
                raise TimeoutError("the first record was not consumed")
    finally:
        consumer.close()


def _commit(system: Ottla | Apache, topic: str, groups: int) -> None:
    """Each group commits an offset."""
    with system.cluster as cluster:
        for number in range(groups):
            group = f"bench-group-{number}"
            coordinator = cluster.retry(lambda group=group: cluster.coordinator(group))
            commit(coordinator, group, topic, 1)


def commit(coordinator: Connection, group: str, topic: str, partitions: int) -> None:
    """Commit an offset for each of the topic's first partitions, as no member of the group."""
    found = [OffsetCommitRequestPartition(p, 1) for p in range(partitions)]
    request = OffsetCommitRequest(
        group, topics=[OffsetCommitRequestTopic(name=topic, partitions=found)]
    )
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = coordinator.request(request, 9)  # version 10 names topics by id
        codes = {p.error_code for t in answer.topics for p in t.partitions}
        if codes == {0}:
            return
        if not codes & set(NOT_YET) or time.monotonic() > deadline:
            raise RuntimeError(f"offsets were not committed: errors {codes}")
        time.sleep(0.05)


def with_connections(
    key: str, directory: Path, distribution: Distribution | None, *, clients: int, idle: int
) -> Figures:
    """Memory of a broker that has done nothing else than serve these connections."""
    system = broker(key, directory, distribution)
    try:
        system.start()
        found = small_requests.measure(system, clients=clients, seconds=1.5, idle=idle)
        return {"memory_mb": found["memory_mb"], "per_s": found["per_s"]}
    finally:
        remove(system)


def many_partitions(
    key: str, directory: Path, distribution: Distribution | None, *, partitions: int
) -> Figures:
    """Topics of many partitions: making them, starting with them, asking for all of them."""
    system = broker(key, directory, distribution)
    try:
        system.start()
        before = time.perf_counter()
        for _ in range(-(-partitions // CREATED_AT_ONCE)):
            system.create_topic(min(partitions, CREATED_AT_ONCE))
        figures = {"create_ms": (time.perf_counter() - before) * 1e3 / partitions}
        system.stop()
        figures |= restart(system)
        figures["metadata_ms"] = _metadata_ms(system)
        figures["memory_mb"] = resident_mb(system.pid)
        return figures
    finally:
        remove(system)


def restart(system: Ottla | Apache) -> Figures:
    """Seconds from a start until the broker answers for all of its topics."""
    began = time.perf_counter()
    system.start()
    opened = time.perf_counter() - began
    while True:
        try:
            with system.cluster as cluster:
                topics = cluster.metadata().topics
        except ClientError:
            topics = []
        if topics and all(p.leader_id >= 0 for t in topics for p in t.partitions):
            return {"open_s": opened, "ready_s": time.perf_counter() - began}
        if time.perf_counter() - began > PATIENCE_S:
            raise TimeoutError("the broker did not come back with its topics")
        time.sleep(0.01)


def _metadata_ms(system: Ottla | Apache) -> float:
    """From asking about every topic there is to the answer's last byte, the best of five."""
    times = []
    for _ in range(5):
        with system.cluster as cluster:
            connection = cluster.any_broker()
            version = connection.version_for(MetadataRequest.API_KEY)
            began = time.perf_counter()
            connection.send(MetadataRequest(None), version)
            connection.receive_frame(time.monotonic() + PATIENCE_S, int(PATIENCE_S * 1_000))
            times.append(time.perf_counter() - began)
    return min(times) * 1e3
