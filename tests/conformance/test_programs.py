"""Programs in other languages and of other ages, unmodified and in their own idiom."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.programs import toolchains

import ottla


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
