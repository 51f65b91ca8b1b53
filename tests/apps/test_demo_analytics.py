"""The shop's events on a real broker: sent, acknowledged, and all of them on the dashboard."""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions

from ottla.dashboard.app import Dashboard
from ottla.dashboard.reader import Reader
from ottla.demos.analytics.producer import Pace, ShopProducer, Tally
from ottla.demos.analytics.program import add_arguments, run
from ottla.demos.analytics.rules import Rules, default_rules_text
from ottla.demos.analytics.shop import PRESETS, Shop
from ottla.demos.kafka_clients import Stop, create_topic


@pytest.fixture
def settings(bootstrap_servers: str) -> dict[str, str]:
    return {"bootstrap.servers": bootstrap_servers}


@pytest.fixture
def open_reader(settings: dict[str, str], unique: str) -> Iterator[Callable[[], Reader]]:
    readers: list[Reader] = []

    def open_one() -> Reader:
        reader = Reader(settings, unique)
        readers.append(reader)
        reader.start()
        return reader

    yield open_one
    for reader in readers:
        reader.close()


def send_events(settings: dict[str, str], topic: str, count: int) -> Tally:
    random = Random(4)
    shop = Shop(PRESETS["5000"], Rules(default_rules_text(), random), random)
    create_topic(settings, topic, 3)
    create_topic(settings, f"{topic}-traffic", 1)
    pace = Pace(is_paced=False, max_events=count)
    return ShopProducer(settings, topic, shop, pace, Stop()).run(lambda _: None)


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_event_sent_is_acknowledged_and_counted_by_the_dashboard(
    settings: dict[str, str], unique: str, open_reader: Callable[[], Reader]
) -> None:
    tally = send_events(settings, unique, 5_000)
    assert (tally.sent, tally.acknowledged, tally.is_complete) == (5_000, 5_000, True)
    reader = open_reader()
    assert reader.wait_until_caught_up(20)
    snapshot = reader.snapshot(60)
    assert (snapshot.events, snapshot.malformed) == (5_000, 0)
    wait_until(lambda: sum(reader.snapshot(60).per_second) == 5_000)
    assert all(snapshot.lists.values())
    assert snapshot.countries
    wait_until(lambda: reader.snapshot(1).online is not None)


def test_the_dashboard_goes_on_live_and_finds_new_partitions(
    settings: dict[str, str], unique: str, open_reader: Callable[[], Reader]
) -> None:
    send_events(settings, unique, 100)
    reader = open_reader()
    assert reader.wait_until_caught_up(20)
    send_events(settings, unique, 150)
    wait_until(lambda: reader.snapshot(1).events == 250)
    admin = AdminClient(settings)
    admin.create_partitions([NewPartitions(unique, 4)])[unique].result()
    event = {"event": "pageView", "page": "/new", "userId": "", "sessionId": "s", "time": 1}
    producer = Producer(settings)
    wait_until(lambda: len(producer.list_topics(unique).topics[unique].partitions) == 4)
    producer.produce(unique, json.dumps(event), partition=3)
    assert producer.flush(90) == 0
    wait_until(lambda: reader.snapshot(1).events == 251)


def test_malformed_events_are_counted_and_stop_nothing(
    settings: dict[str, str], unique: str, open_reader: Callable[[], Reader]
) -> None:
    create_topic(settings, unique, 1)
    producer = Producer(settings)
    for value in (b'{"uuid":"x","msg":success"}', None, b"\xff"):
        producer.produce(unique, value, key="k", partition=0)
    assert producer.flush(90) == 0
    send_events(settings, unique, 20)
    reader = open_reader()
    assert reader.wait_until_caught_up(20)
    snapshot = reader.snapshot(1)
    assert (snapshot.events, snapshot.malformed) == (20, 3)
    assert snapshot.last_malformed is not None
    assert snapshot.last_malformed.offset == 2


def test_the_dashboard_waits_for_its_topic_and_commits_nothing(
    settings: dict[str, str], unique: str, open_reader: Callable[[], Reader]
) -> None:
    reader = open_reader()
    wait_until(lambda: "is not there" in reader.trouble)
    admin = AdminClient(settings)
    assert unique not in admin.list_topics().topics
    send_events(settings, unique, 10)
    wait_until(lambda: reader.snapshot(1).events == 10)
    groups = admin.list_consumer_groups().result().valid
    assert "ottla-dash" not in {group.group_id for group in groups}


async def test_the_dashboard_shows_real_traffic(settings: dict[str, str], unique: str) -> None:
    send_events(settings, unique, 2_000)
    app = Dashboard(Reader(settings, unique))
    async with app.run_test(size=(140, 45)) as pilot:
        for _ in range(200):
            await pilot.pause(0.1)
            if app._reader.is_caught_up:
                break
        app._show()
        await pilot.pause()
        svg = app.export_screenshot()
        assert "Fjord" in svg
        assert "2.00k" in svg


def test_the_topic_of_the_demo_forgets_after_an_hour(
    settings: dict[str, str], unique: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--topic", unique, "--events", "50", "--speed", "50", "--seed", "1"]
    assert run(parser.parse_args(words), settings) == 0
    assert "50 events sent" in capsys.readouterr().out
    resource = ConfigResource(ConfigResource.Type.TOPIC, unique)
    admin = AdminClient(settings)
    configs = admin.describe_configs([resource])[resource].result()
    assert configs["retention.ms"].value == "3600000"
    assert configs["segment.ms"].value == "600000"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_with_everything_acknowledged(
    settings: dict[str, str], unique: str, number: signal.Signals
) -> None:
    words = ["demo", "analytics", "--topic", unique, "--status", "0.2", "--speed", "20"]
    words += ["--bootstrap-servers", settings["bootstrap.servers"]]
    process = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        while " events/s " not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        rest, _ = process.communicate(timeout=90)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    tally = re.search(r"([\d,]+) events sent in .*: ([\d,]+) acknowledged, 0 failed", rest)
    assert tally
    sent, acknowledged = (int(text.replace(",", "")) for text in tally.groups())
    assert sent == acknowledged > 0
    done = subprocess.run(
        [sys.executable, "-m", "ottla.cli.main", "dash", "--once", "--topic", unique,
         "--bootstrap-servers", settings["bootstrap.servers"]],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"{sent:,} events, 0 malformed")


def test_a_broker_that_is_not_there_is_told_in_one_sentence() -> None:
    words = ["dash", "--once", "--bootstrap-servers", "127.0.0.1:1", "--patience", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "ottla.cli.main", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Nothing to show: no broker answers.\n"
