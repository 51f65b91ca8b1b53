"""`ottla cluster` with real Apache Kafka: up, kill, pause, start, stop, up again, destroy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from ottla.cli import main
from ottla.engine.apache import free_ports
from ottla.engine.errors import EngineError
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
    assert producer.flush(30) == 0
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
    metadata = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=30)
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
