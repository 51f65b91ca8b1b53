"""Compose files of the common images: their `environment:` leads to a broker that works.

Each set is what the image's own documentation or its usual examples write. Names of containers
and fixed ports are replaced, because there is no container network here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ottla.engine.ports import free_ports
from ottla.testing import KafkaForTests

CONTAINERFILE = (Path(__file__).parents[2] / "Containerfile").read_text()
#: What the image sets and starts.
IMAGE = dict(
    pair.split("=", 1)
    for line in re.findall(r"^ENV (.*)$", CONTAINERFILE, re.MULTILINE)
    for pair in line.split()
    if pair.startswith(("KAFKA_", "OTTLA_"))
)
(COMMAND,) = map(json.loads, re.findall(r"^CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE))
#: `A`, `B`, … stand for free ports; `broker` for this machine. After the variables: the ports that
#: clients can use, and those of them that other machines reach, too.
SETS: dict[str, tuple[dict[str, str], str, str]] = {
    "confluentinc/cp-kafka": (
        {
            "KAFKA_NODE_ID": "1",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"
            ),
            "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:A,PLAINTEXT_HOST://localhost:B",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_JMX_PORT": "9101",
            "KAFKA_JMX_HOSTNAME": "localhost",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:C",
            "KAFKA_LISTENERS": "PLAINTEXT://broker:A,CONTROLLER://broker:C,PLAINTEXT_HOST://0.0.0.0:B",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LOG_DIRS": "DATA",
            "KAFKA_LOG4J_LOGGERS": "kafka=WARN",
            "KAFKA_HEAP_OPTS": "-Xmx256M",
            "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
        },
        "AB",
        "B",
    ),
    "confluentinc/cp-kafka with ZooKeeper": (
        {
            "KAFKA_BROKER_ID": "1",
            "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
            "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:A,PLAINTEXT_HOST://localhost:B",
            "KAFKA_METRIC_REPORTERS": "io.confluent.metrics.reporter.ConfluentMetricsReporter",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_CONFLUENT_LICENSE_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_CONFLUENT_SCHEMA_REGISTRY_URL": "http://schema-registry:8081",
            "CONFLUENT_METRICS_ENABLE": "true",
        },
        "AB",
        "AB",
    ),
    "apache/kafka": (
        {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": "PLAINTEXT://localhost:A,CONTROLLER://localhost:C",
            "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:A",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:C",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_NUM_PARTITIONS": "3",
        },
        "A",
        "",
    ),
    "bitnami/kafka": (
        {
            "KAFKA_ENABLE_KRAFT": "yes",
            "KAFKA_CFG_NODE_ID": "0",
            "KAFKA_CFG_PROCESS_ROLES": "controller,broker",
            "KAFKA_CFG_CONTROLLER_QUORUM_VOTERS": "0@broker:C",
            "KAFKA_CFG_LISTENERS": "PLAINTEXT://:A,CONTROLLER://:C,EXTERNAL://:B",
            "KAFKA_CFG_ADVERTISED_LISTENERS": "PLAINTEXT://broker:A,EXTERNAL://localhost:B",
            "KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP": (
                "CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT"
            ),
            "KAFKA_CFG_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_CFG_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
            "KAFKA_CFG_AUTO_CREATE_TOPICS_ENABLE": "true",
            "KAFKA_KRAFT_CLUSTER_ID": "abcdefghijklmnopqrstuv",
            "ALLOW_PLAINTEXT_LISTENER": "yes",
            "BITNAMI_DEBUG": "false",
        },
        "AB",
        "AB",
    ),
    "bitnami/kafka with ZooKeeper": (
        {
            "KAFKA_BROKER_ID": "1",
            "KAFKA_CFG_ZOOKEEPER_CONNECT": "zookeeper:2181",
            "KAFKA_CFG_LISTENERS": "PLAINTEXT://:A",
            "KAFKA_CFG_ADVERTISED_LISTENERS": "PLAINTEXT://127.0.0.1:A",
            "ALLOW_PLAINTEXT_LISTENER": "yes",
        },
        "A",
        "A",
    ),
    "wurstmeister/kafka": (
        {
            "KAFKA_ADVERTISED_HOST_NAME": "localhost",
            "KAFKA_ADVERTISED_PORT": "A",
            "KAFKA_PORT": "A",
            "KAFKA_CREATE_TOPICS": "first:2:1,second:1:1:compact",
            "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "true",
            "HOSTNAME_COMMAND": "hostname",
        },
        "A",
        "A",
    ),
}

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "drop-in.md").read_text()
(COMPOSE,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETS["the page about it"] = (
    {
        key: re.sub(r"\bkafka:", "broker:", str(value))
        .replace(":29092", ":A")
        .replace(":9092", ":B")
        .replace(":29093", ":C")
        for key, value in yaml.safe_load(COMPOSE)["services"]["kafka"]["environment"].items()
    },
    "AB",
    "B",
)


@contextmanager
def image(environment: dict[str, str], directory: Path) -> Iterator[str]:
    """The Containerfile's command with the variables of a compose file; what it says at first."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    words = [*COMMAND, "--name", directory.name]
    broker = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", *words],
        cwd=directory,
        env={**inherited, **IMAGE, "KAFKA_OTTLA_METRICS_PORT": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert broker.stdout is not None
    with broker, broker.stdout:
        try:
            said = ""
            for line in broker.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            yield said
        finally:
            broker.send_signal(signal.SIGTERM)


def reaches_others(port: int) -> bool:
    """Whether it listens on more than 127.0.0.1, as in a container it has to."""
    try:
        socket.create_connection(("127.0.0.2", port), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("name", SETS)
def test_a_compose_files_environment_works(name: str, tmp_path: Path) -> None:
    written, reachable, open_to_others = SETS[name]
    ports = dict(zip("ABC", map(str, free_ports(3)), strict=True))
    environment = {
        key: re.sub(r"(?<=:)[ABC]\b|^[ABC]$", lambda m: ports[m[0]], value)
        .replace("broker:", "localhost:")
        .replace("DATA", str(tmp_path / "data"))
        for key, value in written.items()
    }
    with image(environment, tmp_path) as said:
        for letter in reachable:
            assert reaches_others(int(ports[letter])) is (letter in open_to_others), said
            kafka = KafkaForTests(f"localhost:{ports[letter]}")
            assert "is ready" in said, said
            topic = kafka.new_topic()
            kafka.produce(topic, "x")
            consumer = kafka.consumer(topic, group_id=f"group-{letter}")
            assert [m.value() for m in kafka.consume_exactly(consumer, 1)] == [b"x"]
            consumer.close()
        for wanted in filter(None, written.get("KAFKA_CREATE_TOPICS", "").split(",")):
            topic, partitions = wanted.split(":")[:2]
            there = kafka.admin.list_topics(timeout=90).topics
            assert len(there[topic].partitions) == int(partitions)


def test_what_means_nothing_here_is_said_once(tmp_path: Path) -> None:
    """Not the images' own switches: those are known not to be settings of a broker."""
    (port,) = free_ports(1)
    environment = {
        "KAFKA_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
        "KAFKA_HEAP_OPTS": "-Xmx1G",
        "KAFKA_NUM_PARTITOINS": "3",
    }
    with image(environment, tmp_path) as said:
        warnings = [line for line in said.splitlines() if "warning" in line]
        assert "zookeeper.connect" in said
        assert "num.partitoins" in said
        assert "heap" not in said.lower()
        assert len(warnings) <= 2, said
