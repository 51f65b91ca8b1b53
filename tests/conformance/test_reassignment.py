"""kafka-reassign-partitions and kafka-leader-election on three nodes of Apache Kafka."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from ottla.engine.errors import EngineError
from ottla.engine.ports import free_ports
from ottla.engine.standing import StandingCluster

pytestmark = [
    pytest.mark.apache,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        os.environ.get("OTTLA_CONFORMANCE") != "1",
        reason="[apache-kafka-not-asked-for] run `make conformance`",
    ),
]

BIN = Path(sys.executable).parent
LIMIT_S = 120


def tool(servers: str, *words: str, status: int = 0) -> str:
    name, *arguments = words
    done = subprocess.run(
        [BIN / name, "--bootstrap-server", servers, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def until(show: Callable[[], str], wanted: str) -> str:
    """What is shown once it has the wanted words."""
    deadline = time.monotonic() + LIMIT_S
    while wanted not in (text := show()):
        assert time.monotonic() < deadline, text
        time.sleep(0.3)
    return text


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three brokers."""
    directory = tmp_path_factory.mktemp("cluster") / "cluster"
    words = ["ottla", "cluster", "--directory", str(directory)]
    ports = ["--first-port", str(first_port())]
    subprocess.run(
        [BIN / words[0], *words[1:], "up", "--combined", *ports, "--detach"],
        check=True,
        timeout=200,
    )
    servers = f"127.0.0.1:{ports[1]}"
    try:
        yield servers
    finally:
        subprocess.run([BIN / words[0], *words[1:], "destroy", "--yes"], check=True, timeout=100)


def first_port() -> int:
    """A port after which two more were free a moment ago."""
    while True:
        port = free_ports(1)[0]
        try:
            for next_port in range(port, port + 3):
                StandingCluster._check_free(next_port)
        except EngineError:
            continue
        return port


def fill(servers: str, topic: str, records: int) -> None:
    """A topic whose one partition is on the first broker."""
    tool(servers, "kafka-topics", "--create", "--topic", topic, "--replica-assignment", "1")
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for _ in range(records):
        producer.produce(topic, os.urandom(900_000))
        producer.flush(60)


def plan(path: Path, topic: str, replicas: list[int]) -> Path:
    log_dirs = ["any"] * len(replicas)
    partition = {"topic": topic, "partition": 0, "replicas": replicas, "log_dirs": log_dirs}
    path.write_text(json.dumps({"version": 1, "partitions": [partition]}))
    return path


def replicas(servers: str, topic: str) -> str:
    (line,) = tool(servers, "kafka-topics", "--describe", "--topic", topic).splitlines()[1:]
    return line.split("Replicas: ")[1].split("\t")[0]


def throttles(servers: str) -> str:
    return tool(servers, "kafka-configs", "--describe", "--entity-type", "brokers")


def test_a_replica_moves_is_called_back_and_arrives(cluster: str, tmp_path: Path) -> None:
    topic, reassign = "moved", "kafka-reassign-partitions"
    fill(cluster, topic, 20)
    elsewhere = plan(tmp_path / "elsewhere.json", topic, [2])
    words = ["--reassignment-json-file", str(elsewhere)]
    slowly = ["--throttle", "100000"]
    assert "Successfully started partition reassignment" in tool(
        cluster, reassign, "--execute", *words, *slowly
    )
    assert "100000" in throttles(cluster)
    assert "still in progress" in tool(cluster, reassign, "--verify", *words)
    listed = tool(cluster, reassign, "--list")
    assert f"{topic}-0: replicas: 2,1. adding: 2. removing: 1." in listed
    refused = tool(cluster, reassign, "--execute", *words, *slowly, status=1)
    assert "--additional" in refused
    assert "Successfully cancelled" in tool(cluster, reassign, "--cancel", *words)
    assert "No partition reassignments found." in tool(cluster, reassign, "--list")
    assert replicas(cluster, topic) == "1"
    assert "100000" not in throttles(cluster)

    tool(cluster, reassign, "--execute", *words, "--throttle", "200000000")
    verify = until(lambda: tool(cluster, reassign, "--verify", *words), "is completed")
    assert "Clearing broker-level throttles" in verify
    assert "200000000" not in throttles(cluster)
    assert replicas(cluster, topic) == "2"
    assert tool(cluster, "kafka-get-offsets", "--topic", topic) == f"{topic}:0:20\n"


def test_the_preferred_leader_is_elected_when_it_is_back(cluster: str, tmp_path: Path) -> None:
    topic = "elected"
    fill(cluster, topic, 1)
    elsewhere = plan(tmp_path / "three.json", topic, [2, 3, 1])
    words = ["--reassignment-json-file", str(elsewhere)]
    reassign = "kafka-reassign-partitions"
    tool(cluster, reassign, "--execute", *words)
    until(lambda: tool(cluster, reassign, "--verify", *words), "is completed")
    turned = plan(tmp_path / "turned.json", topic, [3, 2, 1])
    words = ["--reassignment-json-file", str(turned)]
    tool(cluster, reassign, "--execute", *words)
    until(lambda: tool(cluster, reassign, "--verify", *words), "is completed")
    describe = ["kafka-topics", "--describe", "--topic", topic]
    assert "Leader: 1" in tool(cluster, *describe)
    election = ["kafka-leader-election", "--election-type", "preferred", "--topic", topic]
    elected = tool(cluster, *election, "--partition", "0")
    assert f"Successfully completed leader election (PREFERRED) for partitions {topic}-0" in elected
    until(lambda: tool(cluster, *describe), "Leader: 3")
    again = tool(cluster, *election, "--partition", "0")
    assert "Valid replica already elected for partitions" in again
