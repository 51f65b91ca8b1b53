"""Streams of records: in, out, both at once; through librdkafka, and through Java's own tool."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable
from typing import Final

from benchmarks.librdkafka import BatchProducer, CountingConsumer
from benchmarks.processes import cpu_s, usage
from benchmarks.systems import System
from ottla.engine.distribution import Distribution

Figures = dict[str, float]
#: Produced before the clock runs, so that connecting and the first growth are not measured.
WARM_UP_MESSAGES: Final = 1_000
TIMEOUT_S: Final = 60
JAVA_OPTIONS: Final = ("-Xmx512m", "-XX:+UseG1GC")


def _figures(total: int, seconds: float, cpu: float, prefix: str = "") -> Figures:
    megabytes = total / 1e6
    return {
        f"{prefix}mb_s": megabytes / seconds,
        f"{prefix}cpu_ms_mb": cpu * 1000 / megabytes,
        f"{prefix}core": cpu / seconds,
    }


def stream(
    system: System,
    *,
    size: int,
    total: int,
    partitions: int = 1,
    codec: str = "none",
    settings: dict[str, str] | None = None,
) -> Figures:
    """One producer writes `total` bytes of messages, then one consumer reads them."""
    topic = system.create_topic(partitions)
    client = {"bootstrap.servers": system.bootstrap_servers, **(settings or {})}
    every = range(partitions)
    count = total // size
    try:
        with BatchProducer({**client, "compression.codec": codec}, topic, every, size) as producer:
            producer.produce(max(partitions, WARM_UP_MESSAGES))
            before = usage(system.pid)
            producer.produce(count)
            produced = usage(system.pid).since(before)
        figures = _figures(count * size, produced.wall_s, produced.cpu_s, "in_")
        with CountingConsumer(client, topic, every) as consumer:
            count = consumer.available()  # the mock keeps only the newest of each
            before = usage(system.pid)
            consumer.start()
            consumer.take(count, TIMEOUT_S)
            consumed = usage(system.pid).since(before)
        return figures | _figures(count * size, consumed.wall_s, consumed.cpu_s, "out_")
    finally:
        system.delete_topic(topic)


def together(system: System, *, size: int, total: int, partitions: int, pairs: int = 2) -> Figures:
    """`pairs` producers and as many consumers at once, sharing the partitions.

    The consumers read at the tail what is being written; the end is when the
    last message was read. With fewer partitions than pairs everybody uses all.
    """
    topic = system.create_topic(partitions)
    client = {"bootstrap.servers": system.bootstrap_servers}
    shares = [range(i, partitions, pairs) for i in range(pairs)]
    if partitions < pairs:
        shares = [range(partitions)]
    count = total // size // pairs
    producers = [BatchProducer(client, topic, shares[i % len(shares)], size) for i in range(pairs)]
    consumers = [CountingConsumer(client, topic, share) for share in shares]
    expected = count * pairs // len(shares)
    try:
        warm_up = max(partitions, WARM_UP_MESSAGES)
        for producer in producers:
            producer.produce(warm_up)
        left = {}
        for consumer in consumers:
            consumer.start()
            left[consumer] = expected - consumer.take(warm_up * pairs // len(shares), TIMEOUT_S)
        before = usage(system.pid)
        _at_once(
            [lambda p=p: p.produce(count, TIMEOUT_S) for p in producers]
            + [lambda c=c: c.take(left[c], TIMEOUT_S) for c in consumers]
        )
        spent = usage(system.pid).since(before)
        return _figures(count * pairs * size, spent.wall_s, spent.cpu_s)
    finally:
        for client_ in (*producers, *consumers):
            client_.close()
        system.delete_topic(topic)


def _at_once(jobs: list[Callable[[], object]]) -> None:
    """Run each in a thread; the first error is raised when all have ended."""
    errors: list[TimeoutError] = []

    def run(job: Callable[[], object]) -> None:
        try:
            job()
        except TimeoutError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def java_tool(system: System, *, distribution: Distribution, size: int, total: int) -> Figures:
    """`kafka-producer-perf-test` and `kafka-consumer-perf-test` of Apache Kafka, acks=all.

    Rates are the tools' own, the consumer's without its time of joining the group.
    """
    topic = system.create_topic(1)
    count = str(total // size)
    megabytes = total / 1e6

    def run(tool: str, *words: str) -> tuple[str, float]:
        """The last line it printed, and the broker's CPU for it."""
        before = cpu_s(system.pid)
        command = distribution.command(f"org.apache.kafka.tools.{tool}", JAVA_OPTIONS)
        done = subprocess.run(
            [*command, "--topic", topic, "--num-records", count, *words],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
        return done.stdout.strip().splitlines()[-1], cpu_s(system.pid) - before

    try:
        said, cpu = run(
            "ProducerPerformance", "--record-size", str(size), "--throughput", "-1",
            "--producer-props", f"bootstrap.servers={system.bootstrap_servers}",
            "acks=all", "batch.size=1000000", "linger.ms=5",
            "max.request.size=4000000", "buffer.memory=67108864",
        )  # fmt: skip
        match = re.search(r"([\d.]+) records/sec", said)
        if match is None:
            raise RuntimeError(f"kafka-producer-perf-test said: {said}")
        figures = {
            "in_mb_s": float(match[1]) * size / 1e6,
            "in_cpu_ms_mb": cpu * 1000 / megabytes,
        }
        said, cpu = run(
            "ConsumerPerformance", "--bootstrap-server", system.bootstrap_servers,
            "--timeout", "20000",
        )  # fmt: skip
        *_, fetched_mib_s, _ = said.split(", ")
        return {
            **figures,
            "out_mb_s": float(fetched_mib_s) * 1.048576,
            "out_cpu_ms_mb": cpu * 1000 / megabytes,
        }
    finally:
        system.delete_topic(topic)
