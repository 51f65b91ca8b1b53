"""A demo that is killed in the middle loses nothing, and showed nothing that is not so.

Analytics (its broker killed), fraud's consumer and the services have tests of their own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.apps.test_demo_analytics_crash import broker
from tests.support import asking

from ottla.demos.hello.program import write_messages
from ottla.demos.kafka_clients import Stop, create_topic
from ottla.demos.uuid_log.program import produce
from ottla.engine.ports import free_ports

MESSAGES = 20_000


@pytest.fixture
def settings(bootstrap_servers: str) -> dict[str, str]:
    return {"bootstrap.servers": bootstrap_servers}


class Demo:
    """`ottla demo …` as a process whose lines go to a file."""

    def __init__(self, servers: str, words: list[str], log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ottla.cli.main", "demo", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": servers, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def said(self) -> str:
        """What it has said in whole lines: the last one may have been cut off by a kill."""
        return self.log.read_text().rpartition("\n")[0]

    def wait_for(self, is_enough: Callable[[str], object]) -> None:
        """The test's time-out ends the waiting."""
        is_over = False
        while not is_enough(self.said):
            assert not is_over, self.said[-2_000:]
            is_over = self.process.poll() is not None
            threading.Event().wait(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)


@pytest.fixture
def demo(bootstrap_servers: str, tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*words: str, servers: str = bootstrap_servers) -> Demo:
        started.append(Demo(servers, [*words], tmp_path / f"demo-{len(started)}.log"))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def ends_of(settings: dict[str, str], topic: str, partitions: int) -> dict[int, int]:
    consumer = Consumer({**settings, "group.id": "ends"})
    ends = {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=90)[1]
        for number in range(partitions)
    }
    consumer.close()
    return ends


def committed(settings: dict[str, str], group: str, topic: str, partitions: int) -> dict[int, int]:
    """What is not committed counts as 0."""
    consumer = Consumer({**settings, "group.id": group})
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found = consumer.committed(places, timeout=90)
    consumer.close()
    return {place.partition: max(0, place.offset) for place in found}


def write_uuids(settings: dict[str, str], topic: str) -> None:
    produce(settings, topic, MESSAGES, 0, Stop(), lambda _: None)


def write_hellos(settings: dict[str, str], topic: str) -> None:
    write_messages(settings, topic, MESSAGES, lambda _: None)


@pytest.mark.parametrize(
    ("name", "write", "pattern"),
    [
        ("uuid", write_uuids, r"partition:(\d+) offset:(\d+)"),
        ("hello", write_hellos, r"partition (\d+) offset (\d+): hello"),
    ],
)
def test_what_a_killed_consumer_has_not_shown_its_successor_shows(
    settings: dict[str, str],
    unique: str,
    demo: Callable[..., Demo],
    name: str,
    write: Callable[[dict[str, str], str], None],
    pattern: str,
) -> None:
    create_topic(settings, unique, 2)
    write(settings, unique)
    words = [name, "consumer", "--topic", unique, "--group", unique]
    killed = demo(*words)
    killed.wait_for(lambda said: len(re.findall(pattern, said)) > 500)
    killed.kill()
    shown = set(re.findall(pattern, killed.said))
    # What is committed was shown: nothing was passed over.
    for partition, end in committed(settings, unique, unique, 2).items():
        assert {(str(partition), str(offset)) for offset in range(end)} <= shown
    last = demo(*words)
    last.wait_for(lambda said: len(shown | set(re.findall(pattern, said))) == MESSAGES)
    assert last.end() == 0
    assert sum(committed(settings, unique, unique, 2).values()) == MESSAGES


def test_a_killed_instigator_told_the_truth_and_goes_on(
    settings: dict[str, str], unique: str, demo: Callable[..., Demo]
) -> None:
    """Acknowledged is in the topic, consumed is committed; the next life consumes the rest."""
    words = ["instigator", "--topic", unique, "--group", unique, "--interval", "0.001"]
    words += ["--producer-port", "0", "--consumer-port", "0"]

    def start() -> tuple[Demo, str, str]:
        found = demo(*words)
        found.wait_for(lambda said: said.count("http://") == 2)
        producer, consumer = re.findall(r"http://\S+", found.said)
        return found, producer, consumer

    life, producer, consumer = start()
    asking.get(f"{producer}/start_producer")
    asking.get(f"{consumer}/start_consumer")
    while (consumed := asking.get(consumer).json()["consumed"]) < 100:
        threading.Event().wait(0.01)  # polling the condition
    acknowledged = asking.get(producer).json()["acknowledged"]
    life.kill()
    assert ends_of(settings, unique, 1)[0] >= acknowledged
    assert committed(settings, unique, unique, 1)[0] >= consumed
    life, _, consumer = start()
    end = ends_of(settings, unique, 1)[0]
    left = end - committed(settings, unique, unique, 1)[0]
    asking.get(f"{consumer}/start_consumer")
    while (seen := asking.get(consumer).json()["consumed"]) < left:
        threading.Event().wait(0.01)
    assert seen == left
    assert committed(settings, unique, unique, 1)[0] == end
    assert life.end() == 0


def test_every_account_is_judged_once_though_the_broker_is_killed(
    tmp_path: Path, demo: Callable[..., Demo]
) -> None:
    (port,) = free_ports(1)
    servers = f"127.0.0.1:{port}"
    with broker(tmp_path / "data", port):
        consumer = demo("fraud", "consumer", "--quiet", servers=servers)
        consumer.wait_for(lambda said: "Consumer started" in said)
        producer = demo("fraud", "producer", "--size", "200000", servers=servers)
        client = Producer({"bootstrap.servers": servers})
        while "bankaccount-authorized" not in client.list_topics(timeout=90).topics:
            threading.Event().wait(0.01)  # polling the condition
    with broker(tmp_path / "data", port):
        producer.wait_for(lambda said: "acknowledged" in said)
        assert "200,000 acknowledged, 0 lost" in producer.said
        consumer.wait_for(lambda said: "So far 200,000 received" in said)
        assert consumer.end() == 0
        assert "200,000 received" in consumer.said.splitlines()[-1]
        decided = sources(servers)
        assert len(decided) == len(set(decided)) == 200_000


def sources(servers: str) -> list[bytes]:
    """Of which account each decision is; only what is committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "sources",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    topics = ("bankaccount-authorized", "bankaccount-unauthorized")
    consumer.assign([TopicPartition(topic, 0, 0) for topic in topics])
    found: list[bytes] = []
    ended = 0
    while ended < len(topics):
        for message in consumer.consume(10_000, 0.1):
            if message.error() is not None:
                ended += 1
            else:
                found.append(dict(message.headers() or [])["source"])
    consumer.close()
    return found
