"""Hostile connections of every kind at once, and how much memory they get."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from endurance.process import BrokerProcess
from ottla.server.limits import raise_file_limit
from ottla.wire import frames
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic

TOPIC: Final = "prey"
LIMIT_S: Final = 60
LORIS: Final = 2_000
HALF_FRAME: Final = 55_000
LARGE: Final = 300
LARGE_BYTES: Final = 2_000_000
GREEDY: Final = 200
GREEDY_BYTES: Final = 50_000_000


def run(directory: Path) -> str:
    """One trial; returns what it showed, a line each."""
    raise_file_limit()
    broker = BrokerProcess(directory)
    broker.start()
    attackers: list[socket.socket] = []
    try:
        _fill(broker)
        before = broker.resident_mb()
        began = time.monotonic()
        for _ in range(LORIS):
            _attack(broker, attackers, struct.pack(">i", 90_000_000) + bytes(HALF_FRAME))
        for _ in range(LARGE):
            _attack(broker, attackers, struct.pack(">i", 90_000_000) + bytes(LARGE_BYTES))
        fetch = _greedy_fetch() * 3
        for _ in range(GREEDY):
            _attack(broker, attackers, fetch)
        attacked_s = time.monotonic() - began
        well_s = _live(broker)
        evicted = broker.metric("ottla_connections_evicted_total")
        lines = [
            (
                f"{LORIS:,} unfinished small frames, {LARGE} unfinished large ones of "
                f"{LARGE_BYTES / 1e6:.0f} MB, {GREEDY} who ask for {GREEDY_BYTES / 1e6:.0f} MB "
                f"three times and read nothing, within {attacked_s:.0f} s"
            ),
            (
                f"memory: {before:.0f} MB before, {broker.peak_mb():.0f} MB at most; "
                f"{evicted:,} connections closed for want of memory"
            ),
            f"a producer and a consumer meanwhile: served in {well_s:.2f} s",
        ]
        return "\n".join(lines)
    finally:
        for sock in attackers:
            sock.close()
        broker.close()


def _fill(broker: BrokerProcess) -> None:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 50, "log_level": 0}
    )
    for _ in range(600):
        producer.produce(TOPIC, bytes(100_000))
        producer.poll(0)
    assert producer.flush(LIMIT_S) == 0


def _attack(broker: BrokerProcess, attackers: list[socket.socket], data: bytes) -> None:
    """One more connection, which sends as much as the broker takes and no more."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(LIMIT_S)
    sock.connect(("127.0.0.1", broker.port))
    sock.setblocking(False)
    try:
        sock.send(data)
    except (BlockingIOError, ConnectionError):
        pass
    attackers.append(sock)


def _greedy_fetch() -> bytes:
    part = FetchPartition(partition_max_bytes=GREEDY_BYTES)
    fetch = FetchRequest(
        max_wait_ms=100,
        min_bytes=1,
        max_bytes=GREEDY_BYTES,
        topics=[FetchTopic(topic=TOPIC, partitions=[part])],
    )
    return b"".join(frames.encode_request(fetch, 11, 1, "greedy"))


def _live(broker: BrokerProcess) -> float:
    """Seconds that a well-behaved client takes to write and to read."""
    began = time.monotonic()
    settings = {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}
    producer = Producer(settings | {"retries": 0})
    failures: list[object] = []
    producer.produce(TOPIC, b"fine", on_delivery=lambda e, _: failures.append(e) if e else None)
    assert producer.flush(LIMIT_S) == 0
    assert not failures, failures
    consumer = Consumer(settings | {"group.id": "well"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    message = consumer.poll(LIMIT_S)
    assert message is not None
    assert message.error() is None
    consumer.close()
    return time.monotonic() - began
