"""`ottla doctor`: each thing that hurts is provoked, and found with its remedy."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.apps.typed_lines import Shell, environment_for

from ottla.cli import instances, main
from ottla.cli.verbs.doctor import PORTS
from ottla.cli.workers.examinations import _room, examine_ports
from ottla.client.properties_files import read_properties
from ottla.embedded import Broker
from ottla.engine.ports import free_ports

Finding = dict[str, str]


@pytest.fixture
def broker() -> Iterator[Broker]:
    """One of our own, whose clock may be moved."""
    with Broker() as broker:
        yield broker


def examined(servers: str, status: int = 0, before: str = "") -> dict[str, Finding]:
    """The findings of the doctor, by their sentence."""
    lines = Shell(environment_for(servers))(f"{before}ottla doctor --json", status=status)
    return {finding["sentence"]: finding for finding in map(json.loads, lines.splitlines())}


def one(findings: dict[str, Finding], words: str) -> Finding:
    (found,) = [finding for sentence, finding in findings.items() if words in sentence]
    return found


def test_a_clock_that_is_wrong(broker: Broker) -> None:
    broker.control.advance_time(3600)
    found = one(examined(broker.bootstrap_servers), "clock")
    assert found["verdict"] == "warning"
    assert "s ahead ours" not in found["sentence"]
    assert "s ahead of ours." in found["sentence"]
    assert "NTP" in found["remedy"]


def test_few_files(broker: Broker) -> None:
    found = one(examined(broker.bootstrap_servers, before="ulimit -Sn 256; "), "files")
    assert found["verdict"] == "warning"
    assert "ulimit -n 4096" in found["remedy"]


def test_a_door_that_wants_tls(tmp_path: Path) -> None:
    assert main.main(["secure", str(tmp_path / "secure"), "--port", "0"]) == 0
    config = read_properties(str(tmp_path / "secure" / "server.properties"))
    config["listeners"] = "SASL_SSL://localhost:0"
    with Broker(config=config) as broker:
        found = one(examined(broker.bootstrap_servers, status=1), "not as Kafka does")
    assert found["verdict"] == "bad"
    assert "TLS" in found["remedy"]
    assert "--command-config" in found["remedy"]


def test_clients_are_sent_where_no_kafka_is() -> None:
    here, nowhere = free_ports(2)
    config = {
        "listeners": f"PLAINTEXT://127.0.0.1:{here}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{nowhere}",
    }
    with Broker(config=config):
        findings = examined(f"127.0.0.1:{here}", status=1)
    found = one(findings, "sends clients to")
    assert found["verdict"] == "bad"
    assert f"127.0.0.1:{nowhere}" in found["sentence"]
    assert "advertised.listeners=PLAINTEXT://127.0.0.1" in found["remedy"]


def test_a_disk_that_is_nearly_full() -> None:
    (full,) = _room("/data of broker 1", 10 * 2**30, 1000 * 2**30)
    assert full.verdict == "warning"
    assert full.sentence == "/data of broker 1 has only 10.0 GiB left (1%)."
    assert "retention.ms" in full.remedy
    (empty,) = _room("/data of broker 1", 900 * 2**30, 1000 * 2**30)
    assert empty.verdict == "good"


def test_ports_are_ours_or_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTLA_STATE_DIR", str(tmp_path))
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_server(("127.0.0.1", 0)) as metrics,
        socket.create_server(("127.0.0.1", 0)) as foreign,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        numbers = [s.getsockname()[1] for s in (door, metrics, foreign, free)]
        free.close()
        instances.register(
            instances.Instance(
                name="shop",
                pid=os.getpid(),
                started_at="",
                data_directory="d",
                bootstrap_servers="127.0.0.1:1",
                doors=[["broker metrics", f"http://127.0.0.1:{numbers[1]}/metrics"]],
                parts=[instances.Part("gateway", 1, [["REST", f"http://127.0.0.1:{numbers[0]}"]])],
            )
        )
        uses = dict(zip(numbers, ("REST", "metrics", "Burrow", "console"), strict=True))
        foreign_one, ours = examine_ports(uses)
    assert foreign_one.verdict == "warning"
    assert f"not by `ottla up`: {numbers[2]} (Burrow)." in foreign_one.sentence
    assert ours.sentence == (
        f"Ports of a running platform: {numbers[0]} (shop), {numbers[1]} (shop)."
    )
    assert 8082 in PORTS
