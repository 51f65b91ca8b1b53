"""Instigator's two services, started, stopped and asked over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from tests.support import asking

from ottla.client import Cluster
from ottla.demos.http_services import QuietServer, listen
from ottla.demos.instigator.consuming import MessageConsumer
from ottla.demos.instigator.producing import MessageProducer
from ottla.demos.instigator.service import application
from ottla.demos.instigator.topics import POPULATED, populate
from ottla.demos.instigator.worker import Worker
from ottla.demos.kafka_clients import DemoError, create_topic
from ottla.wire.messages.describe_groups import DescribeGroupsRequest
from ottla.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity


def wait_for(ask: Any, is_right: Any) -> Any:
    deadline = time.monotonic() + 90
    while not is_right(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)  # polling the condition
    return answer


@pytest.fixture
def services(bootstrap_servers: str, unique: str) -> Iterator[tuple[str, str]]:
    """Addresses of the producer's and the consumer's service."""
    settings = {"bootstrap.servers": bootstrap_servers}
    create_topic(settings, unique, 1)
    workers: list[tuple[str, Worker]] = [
        ("producer", MessageProducer(settings, unique, 0.01)),
        ("consumer", MessageConsumer(settings, unique, unique)),
    ]
    addresses, servers, threads = [], [], []
    for role, worker in workers:
        sock = listen(role, "127.0.0.1", 0)
        server = QuietServer(uvicorn.Config(application(role, worker), log_level="warning"))
        thread = threading.Thread(
            target=lambda server=server, sock=sock: asyncio.run(server.serve(sockets=[sock]))
        )
        thread.start()
        addresses.append(f"http://127.0.0.1:{sock.getsockname()[1]}")
        servers.append(server)
        threads.append(thread)
    yield addresses[0], addresses[1]
    for server in servers:
        server.should_exit = True
    for thread in threads:
        thread.join(90)
    for _, worker in workers:
        worker.stop()


def test_messages_flow_only_between_start_and_stop(services: tuple[str, str]) -> None:
    producer, consumer = services
    assert asking.get(producer).json()["state"] == "stopped"
    assert asking.get(f"{consumer}/start_consumer").json()["message"] == "consumer started"
    assert asking.get(f"{producer}/start_producer").json()["message"] == "producer started"
    again = asking.get(f"{producer}/start_producer").json()
    assert again["message"] == "producer was running already"
    wait_for(lambda: asking.get(consumer).json()["consumed"], lambda n: n >= 20)
    stopped = asking.get(f"{producer}/stop_producer").json()
    assert stopped["state"] == "stopped"
    assert stopped["acknowledged"] == stopped["sent"]
    assert asking.get(f"{producer}/stop_producer").json()["message"] == "producer was not running"
    shown = wait_for(
        lambda: asking.get(consumer).json(), lambda s: s["consumed"] == stopped["acknowledged"]
    )
    assert shown["partitions"] == [0]
    assert shown["last"][-1]["offset"] == stopped["acknowledged"] - 1


def test_a_stopped_consumer_goes_on_where_it_was(services: tuple[str, str]) -> None:
    producer, consumer = services
    asking.get(f"{producer}/start_producer")
    asking.get(f"{consumer}/start_consumer")
    wait_for(lambda: asking.get(consumer).json()["consumed"], lambda n: n >= 5)
    assert asking.get(f"{consumer}/stop_consumer").json()["state"] == "stopped"
    total = asking.get(f"{producer}/stop_producer").json()["acknowledged"]
    asking.get(f"{consumer}/start_consumer")
    wait_for(lambda: asking.get(consumer).json()["consumed"], lambda n: n == total)


def test_a_producer_that_is_faster_than_kafka_waits(bootstrap_servers: str, unique: str) -> None:
    settings = {"bootstrap.servers": bootstrap_servers, "queue.buffering.max.messages": "10"}
    producer = MessageProducer(settings, unique, 0)
    assert producer.start()
    wait_for(lambda: producer.acknowledged, lambda n: n > 1_000)
    assert producer.stop()
    assert producer.failure is None
    assert producer.sent == producer.acknowledged


def test_a_consumer_that_lost_its_place_takes_it_again(bootstrap_servers: str, unique: str) -> None:
    """As after a silence longer than its session: its commit is refused."""
    settings = {"bootstrap.servers": bootstrap_servers, "session.timeout.ms": "6000"}
    create_topic(settings, unique, 1)
    producer = MessageProducer(settings, unique, 0.01)
    consumer = MessageConsumer(settings, unique, unique)
    producer.start()
    consumer.start()
    try:
        wait_for(lambda: consumer.consumed, bool)
        gone = expel_members(bootstrap_servers, unique)
        wait_for(lambda: members_of(bootstrap_servers, unique) - gone, bool)
        before = consumer.consumed
        wait_for(lambda: consumer.consumed, lambda n: n > before)
        assert consumer.failure is None  # no longer
        producer.stop()
        wait_for(lambda: consumer.consumed, lambda n: n >= producer.acknowledged)
    finally:
        producer.stop()
        consumer.stop()
    assert consumer.consumed == producer.acknowledged  # nothing that was shown came again


def members_of(bootstrap_servers: str, group: str) -> set[str]:
    with Cluster(bootstrap_servers) as cluster:
        there = cluster.coordinator(group)
        (found,) = there.request(DescribeGroupsRequest([group])).groups
    return {member.member_id for member in found.members}


def expel_members(bootstrap_servers: str, group: str) -> set[str]:
    """The ids of those that were in the group."""
    gone = members_of(bootstrap_servers, group)
    wish = [MemberIdentity(member_id=member) for member in gone]
    with Cluster(bootstrap_servers) as cluster:
        cluster.coordinator(group).request(LeaveGroupRequest(group_id=group, members=wish))
    return gone


def test_populate_makes_the_topics_once(bootstrap_servers: str) -> None:
    settings = {"bootstrap.servers": bootstrap_servers}
    first = populate(settings)
    assert [line.split()[0] for line in first] == list(POPULATED)
    assert all("was there already" in line for line in populate(settings))


def test_a_taken_port_is_one_sentence() -> None:
    with listen("producer", "127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=rf"127\.0\.0\.1:{port} .* --producer-port"):
            listen("producer", "127.0.0.1", port)


class QuickStart:
    """`--full` in a process, until its four doors are said."""

    def __init__(self, directory: Path) -> None:
        words = ["demo", "instigator", "--full", "--producer-port", "0", "--consumer-port", "0"]
        words += ["--console-port", "0", "--burrow-port", "0", "--interval", "0.05"]
        kept = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ottla.cli.main", *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**kept, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.doors: dict[str, str] = {}
        for line in self.process.stdout:
            found = re.match(r"(\S.*?)\s{2,}(https?://\S+)", line)
            if found:
                self.doors[found[1]] = found[2]
            if len(self.doors) == 4:
                break


def test_full_is_the_whole_quick_start(tmp_path: Path) -> None:
    start = QuickStart(tmp_path)
    doors, process = start.doors, start.process
    try:
        assert doors.keys() >= {"Burrow", "Console"}, doors
        producer, consumer = (url for name, url in doors.items() if "nstigator" in name)
        assert asking.get(f"{doors['Burrow']}/v3/kafka").status_code == 200
        assert asking.get(doors["Console"]).status_code == 200
        asking.get(f"{producer}/start_producer")
        asking.get(f"{consumer}/start_consumer")
        wait_for(lambda: asking.get(f"{consumer}/").json()["consumed"], bool)
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "consumer: " in rest


@pytest.mark.skipif(
    sys.platform != "linux", reason="[not-on-this-platform] only Linux tells a child"
)
def test_a_killed_quick_start_leaves_nothing_behind(tmp_path: Path) -> None:
    start = QuickStart(tmp_path)
    start.process.kill()
    start.process.communicate()
    assert len(start.doors) == 4
    for address in start.doors.values():
        wait_for(lambda address=address: can_be_asked(address), lambda is_there: not is_there)


def can_be_asked(address: str) -> bool:
    try:
        asking.get(address)
    except httpx.TransportError:
        return False
    return True
