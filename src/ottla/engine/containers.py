"""The standing cluster in containers: where there is no Java, but a container engine answers.

The official image `apache/kafka`, by a compose file that is written into the
cluster's directory. The commands are the same; a node is a service of that
file, and its data is in a volume of the engine's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ottla.engine.apache import (
    FIRST_CONTROLLER_ID,
    START_TIMEOUT_S,
    random_id,
    settings_of_size,
    wait_until_ready,
)
from ottla.engine.distribution import KAFKA_VERSION, Progress
from ottla.engine.errors import EngineError
from ottla.engine.standing import BROKERS, CONTROLLERS, FIRST_PORT, NodeState, StandingCluster

IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
COMPOSE_FILE: Final = "compose.yaml"
ENGINES: Final = ("docker", "podman")
ANSWER_LIMIT_S: Final = 10
#: Between the containers, and for controllers; the host's ports are in `NodeState.port`.
INNER_PORT: Final = 19092
CONTROLLER_PORT: Final = 9093
API_VERSIONS: Final = "/opt/kafka/bin/kafka-broker-api-versions.sh"


def container_engine() -> str | None:
    """The command of a container engine that answers and has compose; None without one."""
    for name in ENGINES:
        found = shutil.which(name)
        if found and all(_is_answered([found, *words]) for words in (["info"], ["compose", "ls"])):
            return found
    return None


def _is_answered(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=ANSWER_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def compose_file(
    nodes: Sequence[NodeState], cluster_id: str, properties: Mapping[str, str]
) -> dict[str, Any]:
    """The compose file of these nodes, as a structure."""
    voters = ",".join(
        f"{n.node_id}@{_service(n)}:{CONTROLLER_PORT}" for n in nodes if n.controller_port
    )
    brokers = sum(1 for n in nodes if n.port is not None)
    services = {
        _service(node): _service_of(node, voters, cluster_id, brokers, properties) for node in nodes
    }
    return {
        "name": "ottla-cluster",
        "services": services,
        "volumes": {f"{_service(node)}-data": {} for node in nodes},
    }


def _service(node: NodeState) -> str:
    return f"node-{node.node_id}"


def _service_of(
    node: NodeState, voters: str, cluster_id: str, brokers: int, properties: Mapping[str, str]
) -> dict[str, Any]:
    listeners, advertised = [], []
    if node.port is not None:
        listeners += [f"INNER://:{INNER_PORT}", f"PLAINTEXT://:{node.port}"]
        advertised += [f"INNER://{_service(node)}:{INNER_PORT}"]
        advertised += [f"PLAINTEXT://localhost:{node.port}"]
    if node.controller_port:
        listeners.append(f"CONTROLLER://:{CONTROLLER_PORT}")
    settings = {
        "node.id": str(node.node_id),
        "process.roles": node.role.replace(" ", ""),
        "listeners": ",".join(listeners),
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,INNER:PLAINTEXT,"
        "PLAINTEXT:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": voters,
        "log.dirs": "/var/lib/kafka/data",
        **settings_of_size(brokers),
        **properties,
    }
    if advertised:
        settings["advertised.listeners"] = ",".join(advertised)
        settings["inter.broker.listener.name"] = "INNER"
    service: dict[str, Any] = {
        "image": IMAGE,
        "environment": {
            "CLUSTER_ID": cluster_id,
            "KAFKA_HEAP_OPTS": "-Xms64m -Xmx512m",
            **{_variable(key): value for key, value in settings.items()},
        },
        "volumes": [f"{_service(node)}-data:/var/lib/kafka/data"],
        "stop_grace_period": "30s",
    }
    if node.port is not None:
        service["ports"] = [f"127.0.0.1:{node.port}:{node.port}"]
        probe = f"{API_VERSIONS} --bootstrap-server localhost:{INNER_PORT} >/dev/null"
        service["healthcheck"] = {
            "test": ["CMD-SHELL", probe],
            "interval": "5s",
            "timeout": "10s",
            "retries": 20,
        }
    return service


def _variable(key: str) -> str:
    """The image's name of a setting: dots become underscores, underscores double."""
    return "KAFKA_" + key.replace("_", "__").replace("-", "___").replace(".", "_").upper()


class ContainerCluster(StandingCluster):
    """Commands on a cluster in containers. Errors of all: `EngineError`."""

    def __init__(self, directory: Path, engine: str, progress: Progress = lambda _: None) -> None:
        super().__init__(directory, progress)
        self._engine = engine

    def _compose(self, *words: str) -> str:
        command = [self._engine, "compose", "-f", str(self.directory / COMPOSE_FILE), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason"]
            raise EngineError(f"{Path(self._engine).name} compose {words[0]} failed: {said[-1]}")
        return done.stdout

    def is_running(self, node: NodeState) -> bool:
        """Whether the node's container runs; a paused one does."""
        states = self._states()
        return states.get(_service(node)) in ("running", "paused")

    def _states(self) -> dict[str, str]:
        if not (self.directory / COMPOSE_FILE).exists():
            return {}
        text = self._compose("ps", "--all", "--format", "json").strip()
        # Older engines print one list, newer ones an object a line.
        rows = json.loads(text) if text.startswith("[") else map(json.loads, text.splitlines())
        return {row["Service"]: row["State"].lower() for row in rows}

    def up(
        self,
        *,
        is_combined: bool,
        brokers: int = BROKERS,
        first_port: int = FIRST_PORT,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """All nodes run and the cluster is ready; a stopped cluster goes on with its data."""
        if not self.nodes:
            self.nodes = _nodes(brokers, first_port, is_combined=is_combined)
            for node in self.brokers:
                assert node.port is not None
                self._check_free(node.port)
            structure = compose_file(self.nodes, random_id(), properties or {})
            self._save()
            # JSON is YAML, and needs no library to be written.
            text = json.dumps(structure, indent=2)
            (self.directory / COMPOSE_FILE).write_text(text, encoding="utf-8")
        self.version = KAFKA_VERSION
        engine = Path(self._engine).name
        self.progress(f"starting {IMAGE} with {engine}, {len(self.nodes)} containers")
        self._compose("up", "--detach", "--wait")
        expected = {node.node_id for node in self.brokers}
        deadline = time.monotonic() + START_TIMEOUT_S
        wait_until_ready(self.bootstrap_servers, lambda: expected, deadline)
        self.progress(f"Apache Kafka is ready at {self.bootstrap_servers}")

    def stop_with_us(self) -> None:
        """Containers are the engine's: they go on when this process is killed."""

    def kill(self, node_id: int) -> None:
        self._compose("kill", _service(self._find(node_id)))

    def pause(self, node_id: int) -> None:
        node = self._find(node_id)
        self._compose("pause", _service(node))
        node.is_paused = True
        self._save()

    def start(self, node_id: int) -> None:
        node = self._find(node_id)
        self._compose("unpause" if node.is_paused else "start", _service(node))
        node.is_paused = False
        self._save()

    def stop(self) -> None:
        """Brokers before controllers; the volumes stay."""
        for node in self.nodes:
            if node.is_paused:
                self.start(node.node_id)
        brokers = [_service(n) for n in self.nodes if n.controller_port is None]
        others = [_service(n) for n in self.nodes if n.controller_port is not None]
        for group in (brokers, others):
            if group:
                self._compose("stop", *group)

    def destroy(self) -> None:
        if not (self.directory / COMPOSE_FILE).exists():
            raise EngineError(f"there is no cluster in {self.directory}")
        self._compose("down", "--volumes")
        shutil.rmtree(self.directory)
        self.nodes = []


def _nodes(brokers: int, first_port: int, *, is_combined: bool) -> list[NodeState]:
    inner = CONTROLLER_PORT
    found = [
        NodeState(i + 1, first_port + i, inner if is_combined else None) for i in range(brokers)
    ]
    if not is_combined:
        found += [NodeState(FIRST_CONTROLLER_ID + i, None, inner) for i in range(CONTROLLERS)]
    return found


def open_standing(
    directory: Path, progress: Progress = lambda _: None, *, may_make: bool = True
) -> StandingCluster:
    """The cluster in `directory`, or (if `may_make`) the one that can be made there.

    Processes where there is a Java and Apache Kafka for it, else containers
    where an engine answers. Errors: `EngineError`, with what is missing.
    """
    from ottla.engine.distribution import find
    from ottla.engine.errors import MissingJavaError, MissingKafkaError

    if (directory / COMPOSE_FILE).exists():
        engine = container_engine()
        if engine is None:
            raise EngineError(
                f"the cluster in {directory} runs in containers, and neither docker nor podman"
                " answers; start one of them"
            )
        return ContainerCluster(directory, engine, progress)
    cluster = StandingCluster(directory, progress)
    if cluster.exists or not may_make:
        return cluster
    try:
        find(progress)
    except (MissingJavaError, MissingKafkaError) as error:
        engine = container_engine()
        if engine is None:
            raise
        progress(f"{error}; using containers instead")
        return ContainerCluster(directory, engine, progress)
    return cluster
