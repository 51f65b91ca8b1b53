"""Apache Kafka on this machine: one node or several, started and stopped for you.

    with ApacheKafka(brokers=3) as kafka:
        print(kafka.bootstrap_servers)

Nodes are combined (broker and controller) unless controllers of their own are
asked for. All listen on loopback only. Started means ready: every broker is
registered, and the group coordinator answers.
"""

from __future__ import annotations

import atexit
import base64
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final

from ottla.client import ClientError, Cluster, Settings
from ottla.engine.distribution import Distribution, Progress, find
from ottla.engine.errors import EngineError
from ottla.engine.node import HOST, POLL_S, Node
from ottla.engine.ports import free_ports
from ottla.wire.errors import ErrorCode

#: Small machines: little memory, and half the time to start.
JAVA_OPTIONS: Final = ("-Xmx512m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
#: Six nodes take 12 s on two idle cores, and several times that on busy ones.
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 20.0
FIRST_CONTROLLER_ID: Final = 3_000
PROBED_GROUPS: Final = 16
#: Java processes that format data directories at the same time.
MAX_FORMATTING: Final = 4


def random_id() -> str:
    """A random id in Kafka's spelling, which never begins with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))[0] == "-":
        pass
    return text


def _what_is_missing(cluster: Cluster, expected: set[int]) -> str | None:
    """Why a client would have to wait; None when the cluster is ready.

    Coordinators answer for a group only when its partition of
    `__consumer_offsets` is loaded, hence groups enough to meet all of them.
    """
    from ottla.wire.messages.describe_groups import DescribeGroupsRequest

    registered = {broker.node_id for broker in cluster.brokers()}
    if not expected <= registered:
        return f"brokers {sorted(expected - registered)} are not registered yet"
    for number in range(PROBED_GROUPS):
        name = f"ottla-probe-{number}"
        (group,) = cluster.coordinator(name).request(DescribeGroupsRequest([name])).groups
        if group.error_code not in (ErrorCode.NONE, ErrorCode.GROUP_ID_NOT_FOUND):
            return f"group coordinators are not loaded yet (error {group.error_code})"
    return None


def settings_of_size(brokers: int) -> dict[str, str]:
    """What suits a cluster of so many brokers: copies of everything, and quick groups."""
    factor, in_sync = str(min(3, brokers)), str(max(1, min(2, brokers - 1)))
    settings = {
        "default.replication.factor": factor,
        "min.insync.replicas": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.min.isr": in_sync,
    }
    for prefix in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        settings[f"{prefix}.replication.factor"] = factor
        settings[f"{prefix}.num.partitions"] = "4"
    return settings


def wait_until_ready(
    bootstrap_servers: str,
    expected: Callable[[], set[int]],
    deadline: float,
    check_wanted: Callable[[], None] = lambda: None,
) -> None:
    """Wait until the expected brokers are registered and groups can be joined.

    `deadline` is in `time.monotonic` seconds. Errors: `EngineError` with what is missing.
    """
    settings = Settings(client_id="ottla-engine", request_timeout_ms=5_000)
    while True:
        check_wanted()
        with Cluster(bootstrap_servers, settings) as cluster:
            try:
                problem = _what_is_missing(cluster, expected())
                if problem is None:
                    return
            except ClientError as error:
                problem = str(error)
        if time.monotonic() > deadline:
            raise EngineError(f"Apache Kafka did not become ready: {problem}")
        time.sleep(POLL_S)


class ApacheKafka:
    """A cluster of Apache Kafka nodes. Errors of all methods: `EngineError`.

    `controllers=0` makes every broker a controller too. `properties` are added
    to each node's, and win. Without `directory` the data goes when it stops.
    Brokers have the ids 1 to `brokers`, controllers of their own 3000 onwards.
    """

    def __init__(
        self,
        *,
        brokers: int = 1,
        controllers: int = 0,
        directory: Path | None = None,
        ports: Sequence[int] = (),
        controller_ports: Sequence[int] = (),
        properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = JAVA_OPTIONS,
        progress: Progress = lambda _: None,
        distribution: Distribution | None = None,
    ) -> None:
        if brokers < 1 or controllers < 0 or (ports and len(ports) != brokers):
            raise EngineError("at least one broker is needed, and a port for each or none")
        self.progress = progress
        self.properties = dict(properties or {})
        self.is_throw_away = directory is None
        self.distribution = distribution or find(progress)
        self.directory = directory or Path(tempfile.mkdtemp(prefix="ottla-apache-kafka-"))
        controller_count = controllers or brokers
        if controller_ports and len(controller_ports) != controller_count:
            raise EngineError("a port for each controller is needed, or none")
        chosen = [*controller_ports] or free_ports(controller_count)
        chosen += [] if ports else free_ports(brokers)
        broker_ports = list(ports) or chosen[controller_count:]
        self._is_abandoned = False
        self.nodes: list[Node] = []
        for i in range(brokers):
            self._add_node(i + 1, broker_ports[i], None if controllers else chosen[i], java_options)
        for i in range(controllers):
            self._add_node(FIRST_CONTROLLER_ID + i, None, chosen[i], java_options)

    def _add_node(
        self, node_id: int, port: int | None, controller: int | None, options: Sequence[str]
    ) -> None:
        self.nodes.append(
            Node(
                node_id,
                self.directory / f"node-{node_id}",
                port=port,
                controller_port=controller,
                distribution=self.distribution,
                java_options=options,
            )
        )

    @property
    def brokers(self) -> list[Node]:
        return [node for node in self.nodes if node.is_broker]

    @property
    def controllers(self) -> list[Node]:
        return [node for node in self.nodes if node.controller_port is not None]

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all brokers, for a client to start from."""
        return ",".join(f"{HOST}:{node.port}" for node in self.brokers)

    def node(self, node_id: int) -> Node:
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        raise EngineError(f"there is no node {node_id}")

    def __enter__(self) -> ApacheKafka:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _properties_of(self, node: Node) -> dict[str, str]:
        listeners = []
        if node.port is not None:
            listeners.append(f"PLAINTEXT://{HOST}:{node.port}")
        if node.controller_port is not None:
            listeners.append(f"CONTROLLER://{HOST}:{node.controller_port}")
        voters = ",".join(f"{HOST}:{n.controller_port}" for n in self.controllers)
        properties = {
            "process.roles": node.roles,
            "node.id": str(node.node_id),
            "log.dirs": str(node.data),
            "listeners": ",".join(listeners),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": voters,
            **settings_of_size(len(self.brokers)),
        }
        if node.port is not None:
            properties["advertised.listeners"] = f"PLAINTEXT://{HOST}:{node.port}"
            properties["inter.broker.listener.name"] = "PLAINTEXT"
        return properties | self.properties

    def start(self) -> None:
        """Start all nodes and wait until the cluster is ready.

        After an error everything is stopped again.
        """
        atexit.register(self.stop)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        count = f"{len(self.nodes)} node{'s' if len(self.nodes) > 1 else ''}"
        self.progress(f"starting Apache Kafka {self.distribution.version}, {count}")
        deadline = time.monotonic() + START_TIMEOUT_S
        cluster_id = random_id()
        voters = ",".join(
            f"{n.node_id}@{HOST}:{n.controller_port}:{random_id()}" for n in self.controllers
        )
        for node in self.nodes:
            node.write_properties(self._properties_of(node))
        with ThreadPoolExecutor(MAX_FORMATTING) as pool:
            jobs = [
                pool.submit(node.format, cluster_id, voters if node.controller_port else None)
                for node in self.nodes
            ]
        for job in jobs:
            job.result()
        for node in sorted(self.nodes, key=lambda n: n.is_broker):
            self._check_wanted()
            node.start()
        for node in self.nodes:
            node.wait_until_started(deadline)
        self.wait_until_ready(deadline)
        self.progress(f"Apache Kafka is ready at {self.bootstrap_servers}")

    def wait_until_ready(self, deadline: float | None = None) -> None:
        """Wait until every running broker is registered and groups can be joined."""
        if deadline is None:
            deadline = time.monotonic() + START_TIMEOUT_S

        def running() -> set[int]:
            return {n.node_id for n in self.brokers if n.is_running and not n.is_paused}

        wait_until_ready(self.bootstrap_servers, running, deadline, self._check_wanted)

    def abandon(self) -> None:
        """A start that is under way in another thread ends with an error, soon."""
        self._is_abandoned = True
        for node in self.nodes:
            node.terminate()

    def _check_wanted(self) -> None:
        if self._is_abandoned:
            raise EngineError("the start was abandoned")

    def restart(self, node_id: int) -> None:
        """Start a node again that was killed or stopped, and wait until it takes part."""
        node = self.node(node_id)
        node.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        node.wait_until_started(deadline)
        self.wait_until_ready(deadline)

    def release(self) -> None:
        """The nodes go on by themselves: this process no longer stops them at its end."""
        atexit.unregister(self.stop)
        for node in self.nodes:
            node.release()

    def stop(self) -> None:
        """Stop everything in order, brokers before controllers; the second call does nothing."""
        atexit.unregister(self.stop)
        running = [node for node in self.nodes if node.is_running]
        if running:
            self.progress("stopping Apache Kafka")
        brokers = [n for n in running if n.controller_port is None]
        for group in (brokers, [n for n in running if n not in brokers]):
            for node in group:
                node.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT_S
            for node in group:
                node.wait_until_ended(max(0.0, deadline - time.monotonic()))
        for node in self.nodes:
            node.kill()  # there is nothing left of those that have ended by themselves
        if self.is_throw_away:
            shutil.rmtree(self.directory, ignore_errors=True)
