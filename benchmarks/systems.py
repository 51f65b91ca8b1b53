"""What is measured: Ottla and Apache Kafka in both durabilities, and librdkafka's mock cluster.

All of them run at the same time, each in a process of its own, and are idle
while another one is measured.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Final, Protocol

from benchmarks.processes import free_port, wait_for_port
from benchmarks.security import PASSWORD, USER, Certificates, client_settings
from ottla.client import Cluster, Settings
from ottla.engine.distribution import Distribution
from ottla.engine.node import Node
from ottla.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from ottla.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 150
STOP_TIMEOUT_S: Final = 30
#: As bin/kafka-server-start.sh and kafka-run-class.sh of the distribution have them.
KAFKA_JAVA_OPTIONS: Final = (
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)
OTTLA_FSYNC, OTTLA_CACHE = "ottla-fsync", "ottla-cache"
APACHE_FSYNC, APACHE_CACHE = "apache-fsync", "apache-cache"
MOCK, NULL = "mock", "null"
NAMES: Final = {
    OTTLA_FSYNC: "Ottla, fsync",
    OTTLA_CACHE: "Ottla, page-cache",
    APACHE_FSYNC: "Apache Kafka, flush.messages=1",
    APACHE_CACHE: "Apache Kafka, page-cache",
    MOCK: "librdkafka mock",
    NULL: "no broker",
}

_NULL: Final = "benchmarks.null_broker"
_MOCK: Final = """
import sys
from benchmarks.librdkafka import MockCluster
with MockCluster() as cluster:
    print(cluster.bootstrap_servers, flush=True)
    for line in sys.stdin:
        name, partitions = line.split()
        cluster.create_topic(name, int(partitions))
        print("created", flush=True)
"""


class System(Protocol):
    """A broker that can be started, measured and stopped."""

    key: str

    @property
    def bootstrap_servers(self) -> str: ...
    @property
    def pid(self) -> int: ...
    def prepare(self) -> None:
        """Whatever comes before a start: directories, formatting."""

    def start(self) -> None:
        """Start the process; returns when its port is open."""

    def stop(self) -> None: ...
    def create_topic(self, partitions: int, **config: str) -> str: ...
    def delete_topic(self, name: str) -> None: ...


class _Broker:
    """What Ottla and Apache Kafka have in common: ports, topics, settings."""

    def __init__(self, key: str, directory: Path, certificates: Certificates | None) -> None:
        self.key = key
        self.directory = directory
        self.certificates = certificates
        self.port = free_port()
        self.tls_port = free_port()
        self.sasl_port = free_port()

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.bootstrap_servers, Settings(request_timeout_ms=90_000))

    def listeners(self) -> str:
        plain = f"PLAINTEXT://{HOST}:{self.port}"
        if self.certificates is None:
            return plain
        return f"{plain},SSL://{HOST}:{self.tls_port},SASL_SSL://{HOST}:{self.sasl_port}"

    def properties(self) -> dict[str, str]:
        """Settings both understand: security in the path, small internal topics, no waiting."""
        found = {
            "listeners": self.listeners(),
            "log.segment.delete.delay.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            "transaction.state.log.num.partitions": "4",
            "offsets.topic.num.partitions": "4",
            "share.coordinator.state.topic.num.partitions": "4",
            # Everybody who comes by the plain listener may do everything, after being asked.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        if self.certificates is not None:
            jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required"
            found |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.certificates.broker),
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                    f'{jaas} user_{USER}="{PASSWORD}";'
                ),
            }
        return found

    def create_topic(self, partitions: int, **config: str) -> str:
        """Returns the topic's name."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        settings = [CreatableTopicConfig(k.replace("_", "."), v) for k, v in config.items()]
        topic = CreatableTopic(name, partitions, 1, configs=settings)
        with self.cluster as cluster:
            (answer,) = cluster.request_controller(CreateTopicsRequest([topic], 60_000)).topics
            if answer.error_code:
                raise RuntimeError(f"no topic: {answer.error_message}")
        return name

    def delete_topic(self, name: str) -> None:
        with self.cluster as cluster:
            cluster.request_controller(
                DeleteTopicsRequest([DeleteTopicState(name)], [name], 60_000)
            )

    def secured(self, protocol: str) -> dict[str, str]:
        """librdkafka's settings for the listener with TLS, or with SASL over TLS."""
        assert self.certificates is not None
        port = self.tls_port if protocol == "SSL" else self.sasl_port
        settings = client_settings(protocol, self.certificates)
        return {"bootstrap.servers": f"{HOST}:{port}", **settings}


class Ottla(_Broker):
    """`ottla up --bare`, as installed: its metrics endpoint is open."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def durability(self) -> str:
        return "fsync" if self.key == OTTLA_FSYNC else "page-cache"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{k}={v}\n" for k, v in self.properties().items())
        (self.directory / "server.properties").write_text(lines)

    def start(self) -> None:
        command = [
            str(Path(sys.executable).with_name("ottla")), "up", "--bare",
            "--config", str(self.directory / "server.properties"),
            "--data-dir", str(self.directory / "data"),
            "--durability", self.durability,
            "--set", "ottla.metrics.port=0",
        ]  # fmt: skip
        # An installed Ottla is compiled; what forbids that here would be measured, too.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        wait_for_port(self.port, START_TIMEOUT_S)

    def stop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


class Apache(_Broker):
    """One node of Apache Kafka, broker and controller, with its own scripts' Java options."""

    def __init__(
        self,
        key: str,
        directory: Path,
        certificates: Certificates | None,
        distribution: Distribution,
    ) -> None:
        super().__init__(key, directory, certificates)
        self._controller_port = free_port()
        self._node = Node(
            1,
            directory,
            port=self.port,
            controller_port=self._controller_port,
            distribution=distribution,
            java_options=KAFKA_JAVA_OPTIONS,
        )

    @property
    def pid(self) -> int:
        assert self._node.process is not None
        return self._node.process.pid

    def properties(self) -> dict[str, str]:
        found = super().properties() | {
            "process.roles": "broker,controller",
            "node.id": "1",
            "log.dirs": str(self._node.data),
            "listeners": f"{self.listeners()},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": self.listeners(),
            "listener.security.protocol.map": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL"
            ),
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"{HOST}:{self._controller_port}",
        }
        for prefix in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
            found[f"{prefix}.replication.factor"] = "1"
        found["transaction.state.log.min.isr"] = "1"
        found["share.coordinator.state.topic.min.isr"] = "1"
        if self.key == APACHE_FSYNC:
            found["log.flush.interval.messages"] = "1"
        return found

    def prepare(self) -> None:
        self._node.write_properties(self.properties())
        voter = f"1@{HOST}:{self._controller_port}:{_kafka_uuid()}"
        self._node.format(_kafka_uuid(), voter)

    def start(self) -> None:
        self._node.start()
        wait_for_port(self.port, START_TIMEOUT_S)

    def stop(self) -> None:
        self._node.terminate()
        self._node.wait_until_ended(STOP_TIMEOUT_S)
        self._node.kill()


class Helper:
    """A process of our own that prints its address and takes topics by its input.

    librdkafka's mock is C, in memory, without checksum or disk: an upper bound,
    not an equal. The null broker does nothing at all: the client's own limit.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._process: subprocess.Popen[str] | None = None
        self.bootstrap_servers = ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def prepare(self) -> None:
        """There is nothing to be made before."""

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *(("-c", _MOCK) if self.key == MOCK else ("-m", _NULL))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.bootstrap_servers = self._answer()
        if not self.bootstrap_servers:
            raise RuntimeError(f"{NAMES[self.key]} did not start")

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def create_topic(self, partitions: int, **config: str) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self._process.stdin.write(f"{name} {partitions}\n")
        self._process.stdin.flush()
        self._answer()
        return name

    def delete_topic(self, name: str) -> None:
        """The mock keeps what it has (5 MB a partition at most), the null broker had nothing."""

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None


def _kafka_uuid() -> str:
    """A random id in Kafka's spelling, which never begins with a dash."""
    while (text := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[:22])[0] == "-":
        pass
    return text


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def broker(
    key: str,
    directory: Path,
    distribution: Distribution | None,
    certificates: Certificates | None = None,
) -> Ottla | Apache:
    """Ottla or Apache Kafka, prepared; its data below `directory`."""
    place = directory / f"{key}-{uuid.uuid4().hex[:6]}"
    found: Ottla | Apache
    if key in (OTTLA_FSYNC, OTTLA_CACHE):
        found = Ottla(key, place, certificates)
    else:
        assert distribution is not None
        found = Apache(key, place, certificates, distribution)
    found.prepare()
    return found


def remove(system: Ottla | Apache) -> None:
    """Stop it and delete its data."""
    system.stop()
    shutil.rmtree(system.directory, ignore_errors=True)
