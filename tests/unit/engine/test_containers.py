"""The cluster in containers. There is no container engine here: a stand-in notes its orders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ottla.engine import containers
from ottla.engine.containers import ContainerCluster, compose_file, container_engine, open_standing
from ottla.engine.errors import EngineError
from ottla.engine.standing import NodeState

STAND_IN = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *"ps --all"*) cat {states} ;;
  *fail*) echo "no such container" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def nodes() -> list[NodeState]:
    return containers._nodes(3, 9092, is_combined=False)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that answers, and notes what it was told."""
    place = tmp_path / "bin"
    place.mkdir()
    command = place / "docker"
    log, states = tmp_path / "orders", tmp_path / "states"
    states.write_text("")
    command.write_text(STAND_IN.format(log=log, states=states))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    return command


def orders(engine: Path) -> list[str]:
    """What was told, without the file's name."""
    lines = (engine.parent.parent / "orders").read_text().splitlines()
    return [re.sub(r"compose -f \S+ ", "", line) for line in lines]


def test_the_compose_file_is_one_that_compose_takes(nodes: list[NodeState]) -> None:
    found = compose_file(nodes, "id", {"num.partitions": "6"})
    assert found.keys() == {"name", "services", "volumes"}
    assert len(found["services"]) == 6
    taken: set[str] = set()
    for name, service in found["services"].items():
        known = {"image", "environment", "volumes", "stop_grace_period", "ports", "healthcheck"}
        assert service.keys() <= known
        assert service["image"] == containers.IMAGE
        (volume,) = service["volumes"]
        assert volume.partition(":")[0] in found["volumes"]
        assert all(isinstance(value, str) for value in service["environment"].values())
        assert service["environment"]["KAFKA_NUM_PARTITIONS"] == "6"
        ports = {port.rpartition(":")[0] for port in service.get("ports", ())}
        assert not ports & taken, name
        taken |= ports
    assert taken == {"127.0.0.1:9092", "127.0.0.1:9093", "127.0.0.1:9094"}
    json.dumps(found)


def test_nodes_find_one_another_and_clients_find_the_brokers(nodes: list[NodeState]) -> None:
    services = compose_file(nodes, "id", {})["services"]
    broker: dict[str, Any] = services["node-2"]["environment"]
    assert broker["KAFKA_PROCESS_ROLES"] == "broker"
    assert broker["KAFKA_ADVERTISED_LISTENERS"] == (
        "INNER://node-2:19092,PLAINTEXT://localhost:9093"
    )
    voters = broker["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")
    assert voters == [f"300{n}@node-300{n}:9093" for n in range(3)]
    assert services["node-3000"]["environment"]["KAFKA_LISTENERS"] == "CONTROLLER://:9093"
    for name in ("DEFAULT_REPLICATION_FACTOR", "OFFSETS_TOPIC_REPLICATION_FACTOR"):
        assert broker[f"KAFKA_{name}"] == "3"
    assert broker["KAFKA_MIN_INSYNC_REPLICAS"] == "2"


def test_combined_nodes_are_both() -> None:
    services = compose_file(containers._nodes(1, 9092, is_combined=True), "id", {})["services"]
    (only,) = services.values()
    assert only["environment"]["KAFKA_PROCESS_ROLES"] == "broker,controller"


def test_names_of_settings_are_the_images() -> None:
    assert containers._variable("log.cleaner_x.dedupe-y") == "KAFKA_LOG_CLEANER__X_DEDUPE___Y"


def test_every_command_is_composes(engine: Path, tmp_path: Path, nodes: list[NodeState]) -> None:
    directory = tmp_path / "cluster"
    cluster = ContainerCluster(directory, str(engine))
    cluster.nodes = nodes
    cluster._save()
    (directory / containers.COMPOSE_FILE).write_text("{}")
    (tmp_path / "states").write_text(
        '{"Service": "node-1", "State": "running"}\n{"Service": "node-2", "State": "exited"}\n'
    )
    assert [cluster.is_running(node) for node in nodes[:2]] == [True, False]
    cluster.kill(2)
    cluster.start(2)
    cluster.pause(3)
    cluster.start(3)
    cluster.stop()
    assert orders(engine)[-6:] == [
        "kill node-2", "start node-2", "pause node-3", "unpause node-3",
        "stop node-1 node-2 node-3", "stop node-3000 node-3001 node-3002",
    ]  # fmt: skip
    with pytest.raises(EngineError, match="no node 7"):
        cluster.kill(7)
    cluster.destroy()
    assert orders(engine)[-1] == "down --volumes"
    assert not directory.exists()


def test_what_the_engine_refuses_is_one_sentence(engine: Path, tmp_path: Path) -> None:
    cluster = ContainerCluster(tmp_path, str(engine))
    with pytest.raises(EngineError, match="docker compose fail failed: no such container"):
        cluster._compose("fail")


def test_without_java_containers_are_used_where_an_engine_answers(
    engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    said: list[str] = []
    cluster = open_standing(tmp_path / "cluster", said.append)
    assert isinstance(cluster, ContainerCluster)
    assert "none was found" in said[0]
    assert "using containers instead" in said[0]


def test_without_java_and_engine_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert container_engine() is None
    with pytest.raises(EngineError, match="install a JDK or JRE"):
        open_standing(tmp_path / "cluster")


def test_a_java_that_is_too_old_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"needs Java 17 or newer, and .* is version 11"):
        open_standing(tmp_path / "cluster")
