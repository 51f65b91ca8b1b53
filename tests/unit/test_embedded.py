"""`ottla.Broker`: a broker for as long as a block lasts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

import ottla

LIMIT_S = 90


def produce(broker: ottla.Broker, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "retries": 0})
    failures: list[object] = []
    producer.produce("t", value, on_delivery=lambda e, _: failures.append(e) if e else None)
    assert producer.flush(LIMIT_S) == 0
    assert failures == []


def first_value(broker: ottla.Broker) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"})
    consumer.assign([TopicPartition("t", 0, OFFSET_BEGINNING)])
    message = consumer.poll(LIMIT_S)
    consumer.close()
    assert message is not None
    return message.value()


def contents(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_throw_away_leaves_nothing(temporary: Path) -> None:
    threads = set(threading.enumerate())
    with ottla.Broker() as broker:
        produce(broker, b"x")
        assert first_value(broker) == b"x"
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []
    assert {t for t in threading.enumerate() if t.name.startswith("ottla")} <= threads
    with pytest.raises(ottla.StartError, match="not running"):
        print(broker.bootstrap_servers)


async def test_it_works_in_asynchronous_programs_too(temporary: Path) -> None:
    async with ottla.Broker(config={"num.partitions": "3"}) as broker:
        produce(broker, b"x")
        partitions = Producer({"bootstrap.servers": broker.bootstrap_servers}).list_topics(
            "t", LIMIT_S
        )
        assert len(partitions.topics["t"].partitions) == 3
    assert contents(temporary) == []


def test_topics_to_begin_with_exist(tmp_path: Path) -> None:
    for count in (3, 5):
        with ottla.Broker(data_dir=tmp_path / "data", topics={"orders": count, "t": 1}) as broker:
            producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
            topics = producer.list_topics(timeout=LIMIT_S).topics
            assert {name: len(t.partitions) for name, t in topics.items()} == {"orders": 3, "t": 1}
    for wrong in ("a:b", "a:0", "no name", "a:1:3", "a:1:1:burn"):
        with pytest.raises(ottla.StartError, match="cannot be created"):
            ottla.Broker(data_dir=tmp_path / "data", config={"ottla.create.topics": wrong}).start()


def test_named_data_stays(tmp_path: Path) -> None:
    for _ in range(2):
        with ottla.Broker(data_dir=tmp_path / "data") as broker:
            produce(broker, b"kept")
            assert first_value(broker) == b"kept"


def test_several_run_side_by_side_and_each_may_start_again() -> None:
    first, second = ottla.Broker(), ottla.Broker()
    with first, second:
        assert first.port != second.port
        with pytest.raises(ottla.StartError, match="already"):
            first.start()
    with first:
        produce(first, b"x")
    first.stop()


def test_what_prevents_a_start_is_told_in_one_sentence(tmp_path: Path, temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ottla.StartError, match="in use"):
            ottla.Broker(port=taken.getsockname()[1]).start()
    with pytest.raises(ottla.StartError, match=r"num\.partitions"):
        ottla.Broker(config={"num.partitions": "none"}).start()
    with ottla.Broker(data_dir=tmp_path / "data"):
        with pytest.raises(ottla.StartError, match="in use by another"):
            ottla.Broker(data_dir=tmp_path / "data").start()
    assert [path for path in temporary.iterdir() if path.name.startswith("ottla-")] == []


def test_a_program_that_forgets_to_stop_leaves_nothing(tmp_path: Path) -> None:
    program = "import ottla; print(ottla.Broker().start().port)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="[not-on-this-platform] no fork")
def test_a_forked_child_leaves_its_parents_broker_alone(tmp_path: Path) -> None:
    program = (
        "import os, sys, ottla\n"
        "broker = ottla.Broker().start()\n"
        "if os.fork() == 0:\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "print(len(os.listdir(os.environ['TMPDIR'])))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr, ended.returncode) == ("1\n", "", 0)
    assert contents(tmp_path) == []


def test_importing_the_package_loads_nothing() -> None:
    program = "import ottla, sys; print('asyncio' in sys.modules, ottla.__version__)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("False")
    with pytest.raises(AttributeError):
        print(ottla.nothing)  # type: ignore[attr-defined]


def test_its_metrics_can_be_read() -> None:
    with ottla.Broker(config={"ottla.metrics.port": "0"}) as broker:
        produce(broker, b"x")
        base = f"http://127.0.0.1:{broker.metrics_port}"
        with urllib.request.urlopen(f"{base}/metrics", timeout=LIMIT_S) as page:
            text = page.read().decode()
        assert 'ottla_requests_total{api="Produce"} 1' in text
        assert 'ottla_request_seconds_count{api="Produce"} 1' in text
        with urllib.request.urlopen(f"{base}/health", timeout=LIMIT_S) as page:
            assert page.read() == b"ok\n"
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"{base}/nothing", timeout=LIMIT_S)
        refused.value.close()


def test_each_metric_says_what_it_means() -> None:
    with ottla.Broker(config={"ottla.metrics.port": "0"}, topics={"orders": 1}) as broker:
        url = f"http://127.0.0.1:{broker.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=90) as answer:
            text = answer.read().decode()
    families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert families
    assert families == set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
