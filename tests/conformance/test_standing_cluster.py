"""`ottla cluster` with real Apache Kafka: up, kill, pause, start, stop, up again, destroy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from ottla.cli import main
from ottla.client import Cluster
from ottla.engine.errors import EngineError
from ottla.engine.ports import free_ports
from ottla.engine.standing import StandingCluster, java_options

pytestmark = [
    pytest.mark.apache,
    pytest.mark.skipif(
        os.environ.get("OTTLA_CONFORMANCE") != "1",
        reason="[apache-kafka-not-asked-for] run `make conformance`",
    ),
]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cluster"
    StandingCluster(tmp_path / "cluster").stop()


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


@pytest.mark.timeout(240)
def test_a_cluster_survives_one_broker_and_goes_on_with_its_data(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ottla(*words: str) -> str:
        assert main.main(["cluster", "--directory", str(directory), *words]) == 0
        return capsys.readouterr().out

    shown = ottla("up", "--combined", "--first-port", str(first_port()), "--detach")
    servers = shown.split("bootstrap servers")[1].split()[0]
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "log_level": 0})
    producer.produce("t", b"1")
    assert producer.flush(90) == 0
    ottla("kill", "2")
    assert "stopped" in ottla("status")
    producer.produce("t", b"2")
    assert producer.flush(60) == 0
    ottla("start", "2")
    ottla("pause", "3")
    assert "paused" in ottla("status")
    ottla("start", "3")
    ottla("stop")
    ottla("up", "--detach")
    metadata = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=90)
    assert "t" in metadata.topics
    assert len(metadata.brokers) == 3
    ottla("destroy", "--yes")
    assert not directory.exists()


def test_java_options_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JMX_PORT", "9999")
    monkeypatch.setenv("KAFKA_OPTS", "-javaagent:/jmx.jar=7071:/jmx.yml")
    monkeypatch.setenv("KAFKA_HEAP_OPTS", "-Xmx256m")
    options = java_options(1)
    assert "-Dcom.sun.management.jmxremote.port=10000" in options
    assert "-javaagent:/jmx.jar=7071:/jmx.yml" in options
    assert options.index("-Xmx256m") > options.index("-Xmx512m")


def test_a_standing_cluster_outlives_whoever_started_it(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    code = (
        "import sys; from pathlib import Path; from ottla.engine.standing import StandingCluster;"
        "cluster = StandingCluster(Path(sys.argv[1]));"
        "cluster.up(is_combined=True, brokers=1, first_port=int(sys.argv[2]))"
    )
    directory = tmp_path / "cluster"
    subprocess.run([sys.executable, "-c", code, str(directory), str(port)], check=True)
    cluster = StandingCluster(directory)
    try:
        assert [cluster.is_running(node) for node in cluster.nodes] == [True]
        with Cluster(f"127.0.0.1:{port}") as client:
            assert [b.node_id for b in client.brokers()] == [1]
    finally:
        cluster.destroy()


def test_other_nodes_go_with_whoever_started_them(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from ottla.engine.apache import ApacheKafka;"
        "kafka = ApacheKafka(directory=Path(sys.argv[1])); kafka.start();"
        "print(kafka.nodes[0].port, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    started = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert started.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 90
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(started.stdout)), timeout=1).close()
        except OSError:
            break
        assert time.monotonic() < deadline, "the node is still there"


@pytest.mark.timeout(240)
def test_up_puts_the_platform_on_apache_kafka_and_stops_it_in_order(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    directory = tmp_path / "cluster"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "OTTLA_"))}
    environment = {**kept, "OTTLA_STATE_DIR": str(tmp_path / "state" / "instances")}

    def ottla(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ottla.cli.main", *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    engine = ("--engine", "apache:1", "--combined", "--data-dir", str(directory))
    words = ("--port", str(port), "--demo", "analytics", "--topic", "made:3", "--name", "big")
    shown = ottla("up", *engine, *words, "--detach")
    try:
        assert "Apache Kafka" in shown
        assert "REST Proxy" in shown
        assert "node 1" in ottla("ps")
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
        assert len(admin.list_topics(timeout=90).topics["made"].partitions) == 3
        deadline = time.monotonic() + 60
        while "analytics" not in admin.list_topics(timeout=90).topics:
            assert time.monotonic() < deadline, "the demo has made no topic"
    finally:
        ottla("down", "big")
    assert "running" not in ottla("cluster", "--directory", str(directory), "status")
    log = (directory / "node-1" / "server.log").read_text()
    assert "shut down completed" in log.lower()


def test_nodes_stop_in_order_when_their_platform_is_killed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    directory = tmp_path / "cluster"
    words = ["up", "--engine", "apache:1", "--combined", "--bare", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", *words, "--data-dir", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OTTLA_STATE_DIR": str(tmp_path / "state")},
    )
    assert process.stdout is not None
    shown = iter(process.stdout)
    while "Ctrl-C" not in next(shown):
        pass
    process.kill()
    process.communicate()
    cluster = StandingCluster(directory)
    (node,) = cluster.nodes
    deadline = time.monotonic() + 60
    while cluster.is_running(node):
        assert time.monotonic() < deadline, "the node goes on"
        time.sleep(0.1)
    log = (directory / "node-1" / "server.log").read_text()
    assert "shut down completed" in log.lower()
