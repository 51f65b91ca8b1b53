"""A cluster of Apache Kafka nodes that outlives the command that started it.

Shape of its directory: `cluster.json` (ids, ports and process ids of the
nodes) beside one folder for each node. Every command reads it, acts on the
processes it names, and writes it back; a process id counts only while that
process still runs the node's own configuration file.

    python -m ottla.engine.standing DIRECTORY

stops it, for whoever must not outlive its starter.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ottla.engine.apache import JAVA_OPTIONS, START_TIMEOUT_S, STOP_TIMEOUT_S, ApacheKafka
from ottla.engine.distribution import Progress
from ottla.engine.errors import EngineError
from ottla.engine.node import HOST, POLL_S, Node

STATE_FILE: Final = "cluster.json"
FIRST_PORT: Final = 9092
BROKERS: Final = 3
CONTROLLERS: Final = 3


@dataclass(slots=True)
class NodeState:
    """What is remembered of a node between commands."""

    node_id: int
    port: int | None
    controller_port: int | None
    pid: int = 0
    is_paused: bool = False

    @property
    def role(self) -> str:
        if self.port is not None and self.controller_port is not None:
            return "broker, controller"
        return "broker" if self.port is not None else "controller"


class StandingCluster:
    """Commands on the cluster in `directory`. Errors of all: `EngineError`."""

    def __init__(self, directory: Path, progress: Progress = lambda _: None) -> None:
        self.directory = directory
        self.progress = progress
        self.nodes: list[NodeState] = []
        self.version = ""
        self._seen: dict[int, bool] = {}
        self._starting: ApacheKafka | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        if (directory / STATE_FILE).exists():
            self._load()

    @property
    def exists(self) -> bool:
        return bool(self.nodes)

    @property
    def brokers(self) -> list[NodeState]:
        return [n for n in self.nodes if n.port is not None]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"{HOST}:{n.port}" for n in self.brokers)

    def _load(self) -> None:
        try:
            state = json.loads((self.directory / STATE_FILE).read_text())
            self.nodes = [NodeState(**node) for node in state["nodes"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError(
                f"{self.directory / STATE_FILE} cannot be read ({error}); remove the directory to"
                " start anew"
            ) from None

    def _save(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": 1, "nodes": [asdict(n) for n in self.nodes]}, indent=1)
        temporary = self.directory / f"{STATE_FILE}.new"
        temporary.write_text(text)
        temporary.replace(self.directory / STATE_FILE)

    # --- processes

    def is_running(self, node: NodeState) -> bool:
        """Whether the node's process lives, and is really this node's."""
        return node.pid > 0 and self._command_of(node.pid).find(self._properties(node)) >= 0

    def _properties(self, node: NodeState) -> str:
        return str((self.directory / f"node-{node.node_id}" / "server.properties").resolve())

    @staticmethod
    def _command_of(pid: int) -> str:
        """The command line of a process; empty when there is none."""
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            pass
        listed = subprocess.run(
            ["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
        )
        return listed.stdout if listed.returncode == 0 else ""

    def _signal(self, node: NodeState, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.pid, number)

    def _wait_until_ended(self, nodes: list[NodeState], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while any(self.is_running(n) for n in nodes):
            self.reap()
            if time.monotonic() > deadline:
                for node in nodes:
                    if self.is_running(node):
                        self._signal(node, signal.SIGKILL)
                deadline = time.monotonic() + timeout_s
            time.sleep(POLL_S)

    def reap(self) -> None:
        """Collect nodes that this very process started, or they look alive for ever."""
        for node in self.nodes:
            if node.pid > 0:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(node.pid, os.WNOHANG)

    def changes(self) -> list[str]:
        """What has ended or runs again since it was last asked, in sentences."""
        if (self.directory / STATE_FILE).exists():
            self._load()  # another command may have started or paused nodes
        self.reap()
        said = []
        for node in self.nodes:
            runs = self.is_running(node)
            if runs != self._seen.get(node.node_id, True):
                hint = "runs again" if runs else f"ended; `ottla cluster start {node.node_id}`"
                said.append(f"node {node.node_id} {hint}")
            self._seen[node.node_id] = runs
        return said

    # --- commands

    def up(
        self,
        *,
        is_combined: bool,
        brokers: int = BROKERS,
        first_port: int = FIRST_PORT,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """All nodes run and the cluster is ready; a stopped cluster goes on with its data."""
        if any(self.is_running(n) for n in self.nodes):
            raise EngineError(
                f"the cluster in {self.directory} is running; `ottla cluster status` shows it"
            )
        controllers = 0 if is_combined else CONTROLLERS
        ports = [n.port for n in self.brokers if n.port is not None]
        ports = ports or list(range(first_port, first_port + brokers))
        for port in ports:
            self._check_free(port)
        known = [n.controller_port for n in self.nodes if n.controller_port is not None]
        if self.nodes:
            controllers = sum(1 for n in self.nodes if n.port is None)
        cluster = ApacheKafka(
            brokers=len(ports),
            controllers=controllers,
            directory=self.directory.resolve(),
            ports=ports,
            controller_ports=known,
            properties=properties,
            progress=self.progress,
        )
        for index, node in enumerate(cluster.nodes):
            node.java_options = java_options(index)
        self.version = cluster.distribution.version
        self._starting = cluster
        try:
            cluster.start()
        finally:
            self._starting = None
        self.nodes = [
            NodeState(n.node_id, n.port, n.controller_port, n.process.pid if n.process else 0)
            for n in cluster.nodes
        ]
        self._save()
        cluster.release()

    def abandon(self) -> None:
        """An `up` that is under way in another thread ends with an error, soon."""
        if self._starting is not None:
            self._starting.abandon()

    def stop_with_us(self) -> None:
        """However this process ends, the nodes are stopped in order.

        A shell waits for the end of a pipe that only we hold open.
        """
        stop = (sys.executable, "-m", "ottla.engine.standing", str(self.directory.resolve()))
        self._guard = subprocess.Popen(
            ["sh", "-c", 'cat; exec "$@"', "ottla-guard", *stop],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard = None

    @staticmethod
    def _check_free(port: int) -> None:
        try:
            with socket.create_server((HOST, port)):
                pass
        except OSError:
            raise EngineError(
                f"port {port} is in use by another program; stop it, or choose others with"
                " --first-port"
            ) from None

    def _find(self, node_id: int) -> NodeState:
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        known = ", ".join(str(n.node_id) for n in self.nodes) or "none"
        raise EngineError(f"there is no node {node_id} in {self.directory}; its nodes are {known}")

    def kill(self, node_id: int) -> None:
        """The node is gone at once, as after a crash."""
        node = self._find(node_id)
        if not self.is_running(node):
            raise EngineError(f"node {node_id} is not running")
        self._signal(node, signal.SIGKILL)
        self._wait_until_ended([node], STOP_TIMEOUT_S)
        node.is_paused = False
        self._save()

    def pause(self, node_id: int) -> None:
        """The node does nothing until it is started again, as with a lost network."""
        node = self._find(node_id)
        if not self.is_running(node):
            raise EngineError(f"node {node_id} is not running")
        self._signal(node, signal.SIGSTOP)
        node.is_paused = True
        self._save()

    def start(self, node_id: int) -> None:
        """A killed or paused node takes part again when this returns."""
        node = self._find(node_id)
        if node.is_paused and self.is_running(node):
            self._signal(node, signal.SIGCONT)
            node.is_paused = False
            self._save()
            return
        if self.is_running(node):
            raise EngineError(f"node {node_id} is running already")
        from ottla.engine.distribution import find

        process_node = Node(
            node.node_id,
            (self.directory / f"node-{node.node_id}").resolve(),
            port=node.port,
            controller_port=node.controller_port,
            distribution=find(self.progress),
            java_options=java_options(self.nodes.index(node)),
        )
        process_node.start()
        assert process_node.process is not None
        node.pid, node.is_paused = process_node.process.pid, False
        self._save()
        try:
            process_node.wait_until_started(time.monotonic() + START_TIMEOUT_S)
        finally:
            process_node.release()

    def stop(self) -> None:
        """Every node has shut down in order, brokers before controllers."""
        running = [n for n in self.nodes if self.is_running(n)]
        brokers = [n for n in running if n.controller_port is None]
        for group in (brokers, [n for n in running if n not in brokers]):
            for node in group:
                self._signal(node, signal.SIGCONT)
                self._signal(node, signal.SIGTERM)
            self._wait_until_ended(group, STOP_TIMEOUT_S)
        for node in self.nodes:
            node.pid, node.is_paused = 0, False
        if self.nodes:
            self._save()
        self._dismiss_guard()

    def destroy(self) -> None:
        """Stopped, and its directory is gone."""
        if not (self.directory / STATE_FILE).exists():
            raise EngineError(f"there is no cluster in {self.directory}")
        self.stop()
        shutil.rmtree(self.directory)
        self.nodes = []


def java_options(index: int) -> tuple[str, ...]:
    """Options of a node's Java: KAFKA_HEAP_OPTS, KAFKA_OPTS and JMX_PORT as Kafka's scripts.

    JMX_PORT is the first node's port; the next nodes have the next ports.
    """
    heap = shlex.split(os.environ.get("KAFKA_HEAP_OPTS", ""))
    options = [*JAVA_OPTIONS, *heap, *shlex.split(os.environ.get("KAFKA_OPTS", ""))]
    first_port = os.environ.get("JMX_PORT", "")
    if first_port.isdigit():
        port = int(first_port) + index
        prefix = "-Dcom.sun.management.jmxremote"
        options += [
            f"{prefix}=true",
            f"{prefix}.authenticate=false",
            f"{prefix}.ssl=false",
            f"{prefix}.port={port}",
            f"{prefix}.rmi.port={port}",
            f"{prefix}.local.only=true",
            "-Djava.rmi.server.hostname=127.0.0.1",
        ]
    return tuple(options)


if __name__ == "__main__":
    StandingCluster(Path(sys.argv[1])).stop()
