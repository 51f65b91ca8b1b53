"""Clients that do not behave: each is answered or closed, counted, and disturbs nobody.

The broker runs in a process of its own, so that its memory can be seen.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ottla.server.limits import raise_file_limit
from ottla.wire import frames
from ottla.wire.messages import API_NAMES, API_VERSIONS
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from ottla.wire.messages.metadata import MetadataRequest

LIMIT_S = 90
MEMORY_LIMIT_MB = 256

PROGRAM = """
import json, resource, sys, ottla
from ottla.server.limits import raise_file_limit
files = int(sys.argv[2])
if files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
raise_file_limit()
config = {"ottla.metrics.port": "0"} | json.loads(sys.argv[3])
with ottla.Broker(data_dir=sys.argv[1], durability=sys.argv[4], config=config) as broker:
    print(broker.bootstrap_servers, broker.metrics_port, flush=True)
    sys.stdin.read()
"""


class BrokerProcess:
    """A broker elsewhere, with what can be seen of it from outside."""

    def __init__(
        self,
        directory: Path,
        *,
        config: dict[str, str] | None = None,
        files: int = 0,
        durability: str = "page-cache",
    ) -> None:
        """`files` limits the open files of the process; 0 does not."""
        self.errors = directory / "stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", PROGRAM, str(directory / "data"), str(files)),
                    *(json.dumps(config or {}), durability),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        address, metrics_port = self.process.stdout.readline().split()
        self.address = address
        self.metrics = f"http://127.0.0.1:{metrics_port}/metrics"
        host, port = address.split(":")
        self.endpoint = (host, int(port))

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def metric(self, name: str) -> int:
        with urllib.request.urlopen(self.metrics, timeout=LIMIT_S) as page:
            text = page.read().decode()
        found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        assert found is not None, name
        return int(found[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(self.endpoint, timeout=LIMIT_S)

    def check_well(self, topic: str) -> None:
        """A well-behaved client produces and consumes, without a retry."""
        producer = Producer({"bootstrap.servers": self.address, "retries": 0})
        failures: list[object] = []
        producer.produce(topic, b"fine", on_delivery=lambda e, _: failures.append(e) if e else None)
        assert producer.flush(LIMIT_S) == 0
        assert failures == []
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": topic})
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        message = consumer.poll(LIMIT_S)
        assert message is not None
        assert message.error() is None
        consumer.close()

    def stop(self) -> None:
        self.process.communicate("", timeout=LIMIT_S)
        assert self.process.returncode == 0
        assert b"internal error" not in self.errors.read_bytes()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(tmp_path)
    yield broker
    broker.stop()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline


def is_closed(sock: socket.socket) -> bool:
    """Whether the broker has closed; what it says before that is skipped."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


@pytest.mark.parametrize(
    "data",
    [
        framed(b""),
        framed(b"\0\0"),
        framed(b"\xff" * 100),
        struct.pack(">i", -5),
        struct.pack(">i", 2**31 - 1),
        framed(struct.pack(">hhih", 999, 0, 1, -1)),
        framed(struct.pack(">hhih", 3, 99, 1, -1)),
        framed(struct.pack(">hhih", 3, 1, 1, 500) + b"short"),
        framed(struct.pack(">hhihi", 3, 1, 1, -1, 1_000_000_000)),
        framed(struct.pack(">hhih", 3, 9, 1, -1) + b"\xff" * 20),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=[
        "empty", "tiny", "ones", "negative", "huge", "unknown-key", "unknown-version",
        "client-id", "array-length", "flexible-garbage", "tls", "http",
    ],
)  # fmt: skip
def test_bytes_that_are_no_request_close_the_connection(broker: BrokerProcess, data: bytes) -> None:
    with broker.connect() as sock:
        sock.sendall(data)
        assert is_closed(sock)
    refused = "ottla_frames_refused_total", "ottla_connections_bad_input_total"
    assert sum(map(broker.metric, refused)) == 1
    broker.check_well("after")


def test_garbage_in_every_field_of_every_request_disturbs_nobody(broker: BrokerProcess) -> None:
    """Valid frames with bytes flipped, cut and put in, for every API and version."""
    chance = random.Random(20)
    sent = 0
    for key, (low, high, _) in sorted(API_VERSIONS.items()):
        for version in range(low, high + 1):
            message = frames.request_class(key)()
            try:
                good = b"".join(frames.encode_request(message, version, 7, "fuzz"))[4:]
            except (TypeError, ValueError, AssertionError):
                continue
            for _ in range(3):
                bad = bytearray(good)
                for _ in range(chance.randint(1, 4)):
                    position = chance.randrange(8, len(bad)) if len(bad) > 8 else 0
                    bad[position:position] = chance.randbytes(chance.randint(0, 6))
                    bad[chance.randrange(8, len(bad))] = chance.randrange(256)
                with broker.connect() as sock:
                    sock.sendall(framed(bytes(bad)))
                    sent += 1
    assert sent > 500, API_NAMES
    until(lambda: broker.metric("kafka_server_socket_server_metrics_connection_count") == 0)
    broker.check_well("after")
    assert broker.resident_mb() < MEMORY_LIMIT_MB


def test_half_frames_and_slow_senders_hold_nobody_up(broker: BrokerProcess) -> None:
    request = b"".join(frames.encode_request(MetadataRequest(), 1, 1, "slow"))
    half = [broker.connect() for _ in range(50)]
    for sock in half:
        sock.sendall(request[:-1])
    large = [broker.connect() for _ in range(20)]
    for sock in large:
        sock.sendall(struct.pack(">i", 90_000_000) + b"\0" * 5000)
    broker.check_well("meanwhile")
    assert broker.resident_mb() < MEMORY_LIMIT_MB
    for sock in half:
        sock.sendall(request[-1:])
        assert sock.recv(4)
    for sock in half + large:
        sock.close()


def test_a_thousand_idle_connections_cost_little(broker: BrokerProcess) -> None:
    raise_file_limit()
    before = broker.resident_mb()
    idle = [broker.connect() for _ in range(1000)]
    until(lambda: broker.metric("kafka_server_socket_server_metrics_connection_count") == 1000)
    broker.check_well("meanwhile")
    assert broker.resident_mb() - before < 40
    for sock in idle:
        sock.close()


def test_two_hundred_greedy_readers_that_never_read_stay_within_the_budget(
    broker: BrokerProcess,
) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    for future in admin.create_topics([NewTopic("big", 1, 1)]).values():
        future.result(LIMIT_S)
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 50})
    for _ in range(600):
        producer.produce("big", bytes(100_000))
        producer.poll(0)
    assert producer.flush(LIMIT_S) == 0
    everything = 50_000_000
    fetch = FetchRequest(
        max_wait_ms=100,
        min_bytes=1,
        max_bytes=everything,
        topics=[
            FetchTopic(topic="big", partitions=[FetchPartition(partition_max_bytes=everything)])
        ],
    )
    request = b"".join(frames.encode_request(fetch, 11, 1, "greedy"))
    greedy = []
    peak = 0.0
    for _ in range(200):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(LIMIT_S)
        sock.connect(broker.endpoint)
        sock.sendall(request * 3)
        greedy.append(sock)
        peak = max(peak, broker.resident_mb())
    until(lambda: broker.metric("ottla_unsent_bytes") > 10_000_000)
    broker.check_well("meanwhile")
    peak = max(peak, broker.resident_mb())
    assert peak < MEMORY_LIMIT_MB
    for sock in greedy:
        sock.close()
    until(lambda: broker.metric("ottla_unsent_bytes") == 0)


def test_a_flood_of_connections_leaves_descriptors_for_the_logs(tmp_path: Path) -> None:
    """More connections than the process may have files: who is in works on, durably."""
    broker = BrokerProcess(tmp_path, files=900, durability="fsync")
    broker.check_well("before")
    flood = []
    while broker.metric("ottla_connections_refused_total") < 100:
        for _ in range(100):
            flood.append(broker.connect())
    assert len(flood) < 900
    open_now = broker.metric("kafka_server_socket_server_metrics_connection_count")
    assert 200 <= open_now <= 388
    for sock in flood[:20]:
        sock.close()
    broker.check_well("meanwhile")
    assert broker.metric("kafka_controller_kafkacontroller_offlinepartitionscount") == 0
    for sock in flood:
        sock.close()
    broker.check_well("after")
    broker.stop()


def test_many_who_never_finish_a_frame_stay_within_the_bound(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path, config={"queued.max.request.bytes": "4000000"})
    broker.check_well("before")
    before = broker.resident_mb()
    loris = []
    for _ in range(300):
        sock = broker.connect()
        sock.sendall(struct.pack(">i", 90_000_000) + bytes(50_000))
        loris.append(sock)
    until(lambda: broker.metric("ottla_connections_evicted_total") >= 200)
    assert broker.metric("ottla_request_bytes") <= 4_000_000
    broker.check_well("meanwhile")
    assert broker.resident_mb() - before < 40
    for sock in loris:
        sock.close()
    until(lambda: broker.metric("ottla_request_bytes") == 0)
    broker.stop()


def test_strangers_may_send_small_frames_only(tmp_path: Path) -> None:
    """Before authentication `sasl.server.max.receive.size` counts, after it the usual limit."""
    users = 'PlainLoginModule required user_ada="pencil";'
    broker = BrokerProcess(
        tmp_path,
        config={
            "listeners": "SASL_PLAINTEXT://127.0.0.1:0",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": users,
        },
    )
    with broker.connect() as sock:
        sock.sendall(struct.pack(">i", 524_289))
        assert is_closed(sock)
    producer = Producer(
        {
            "bootstrap.servers": broker.address,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "ada",
            "sasl.password": "pencil",
            "message.max.bytes": 2_000_000,
        }
    )
    failures: list[object] = []
    producer.produce("t", bytes(1_000_000), on_delivery=lambda e, _: e and failures.append(e))
    assert producer.flush(LIMIT_S) == 0
    assert failures == []
    broker.stop()
