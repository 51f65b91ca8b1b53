"""Fraud detection on a real broker: nobody missed, nobody judged twice, not even after a kill."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from ottla.demos.fraud.accounts import BankAccount, account_drawer
from ottla.demos.fraud.detector import Detector, Tally
from ottla.demos.fraud.producer import send_accounts
from ottla.demos.fraud.veritas import ChanceVeritas, Veritas, VeritasDownError
from ottla.demos.kafka_clients import Stop, create_topic

RUN_DEMO = """
import argparse, sys
from ottla.cli import demo
parser = argparse.ArgumentParser()
demo.add_arguments(parser)
sys.exit(demo.run(parser.parse_args()))
"""


@pytest.fixture
def settings(bootstrap_servers: str) -> dict[str, str]:
    return {"bootstrap.servers": bootstrap_servers}


class Detection:
    """A detector at work in a thread."""

    def __init__(
        self,
        settings: dict[str, str],
        topic: str,
        veritas: Veritas,
        *,
        starts: bool = True,
        **more: bool,
    ) -> None:
        self.lines: list[str] = []
        self.stop = Stop()
        self.ready = threading.Event()
        self.detector = Detector(settings, topic, veritas, self.lines.append, group=topic, **more)
        self._thread = threading.Thread(
            target=self.detector.run, args=(self.stop,), kwargs={"on_ready": self.ready.set}
        )
        if starts:
            self.start()

    def start(self) -> None:
        self._thread.start()
        assert self.ready.wait(90)

    @property
    def tally(self) -> Tally:
        return self.detector.tally

    def end(self) -> None:
        self.stop.set()
        self._thread.join()


@pytest.fixture
def detect(settings: dict[str, str], unique: str) -> Iterator[Callable[..., Detection]]:
    detections: list[Detection] = []

    def start(veritas: Veritas | None = None, **more: bool) -> Detection:
        detection = Detection(settings, unique, veritas or ChanceVeritas(seed=1), **more)
        detections.append(detection)
        return detection

    yield start
    for detection in detections:
        detection.end()


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def send(settings: dict[str, str], topic: str, size: int, seed: int = 1) -> None:
    sent = send_accounts(settings, topic, size, Random(seed), Stop())
    assert sent.acknowledged == size


def read_committed(
    settings: dict[str, str], topic: str
) -> list[tuple[bytes | None, dict[str, bytes]]]:
    """Keys and headers of all committed records of a topic; none if there is no topic."""
    consumer = Consumer(
        {**settings, "group.id": "reader", "isolation.level": "read_committed",
         "enable.auto.commit": False, "enable.partition.eof": True}
    )  # fmt: skip
    metadata = consumer.list_topics(timeout=90).topics.get(topic)
    partitions = metadata.partitions if metadata else {}
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found, ended = [], 0
    deadline = time.monotonic() + 60
    while ended < len(partitions):
        assert time.monotonic() < deadline
        for message in consumer.consume(1_000, 0.2):
            if message.error() is not None:
                ended += 1
            else:
                found.append((message.key(), dict(message.headers() or [])))
    consumer.close()
    return found


def test_a_consumer_started_first_misses_none_of_the_ten(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    detection = detect()
    send(settings, unique, 10)
    wait_until(lambda: detection.tally.received == 10)
    detection.end()
    verdicts = [line for line in detection.lines if line.startswith("--")]
    assert len(verdicts) == 10
    for line in verdicts:
        assert re.fullmatch(r"--(UN)?AUTHORIZED-- bank account for user \S.*", line)
    assert sum(line.startswith("Received message | Topic(") for line in detection.lines) == 10
    assert sum(line.startswith("Calling Veritas for ") for line in detection.lines) == 10


def test_a_consumer_starts_at_the_newest_and_goes_on_where_its_group_stopped(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    send(settings, unique, 7)
    first = detect()
    send(settings, unique, 5, seed=2)
    wait_until(lambda: first.tally.received >= 5)
    first.end()
    assert first.tally.received == 5
    send(settings, unique, 3, seed=3)
    second = detect()
    wait_until(lambda: second.tally.received >= 3)
    second.end()
    assert second.tally.received == 3


def test_malformed_accounts_are_set_aside_with_the_reason(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    create_topic(settings, unique, 1)
    detection = detect()
    producer = Producer(settings)
    producer.produce(unique, b'{"FirstName":', key="k")
    producer.produce(unique, None)
    assert producer.flush(90) == 0
    send(settings, unique, 4)
    wait_until(lambda: detection.tally.received == 6)
    detection.end()
    assert detection.tally.malformed == 2
    set_aside = read_committed(settings, f"{unique}-malformed")
    reasons = [headers["reason"].decode() for _, headers in set_aside]
    assert len(reasons) == 2
    assert all("not JSON" in reason for reason in reasons)
    assert set_aside[0][1]["source"] == f"{unique}[0]@0".encode()


def test_consumers_of_a_group_share_the_partitions(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    create_topic(settings, unique, 4)
    first, second = detect(is_quiet=True), detect(is_quiet=True)
    sent = 0

    def both_have_decided() -> bool:
        nonlocal sent
        send(settings, unique, 200, seed=sent)
        sent += 200
        return bool(first.tally.received and second.tally.received)

    wait_until(both_have_decided)
    wait_until(lambda: first.tally.received + second.tally.received == sent)
    first.end()
    second.end()
    decisions = read_committed(settings, f"{unique}-authorized")
    decisions += read_committed(settings, f"{unique}-unauthorized")
    sources = Counter(headers["source"] for _, headers in decisions)
    assert len(sources) == sent
    assert set(sources.values()) == {1}


class UnwellVeritas:
    """Answers only after a number of calls."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def is_authorized(self, account: BankAccount) -> bool:
        if self.failures:
            self.failures -= 1
            raise VeritasDownError("unwell", retry_after_s=0.05)
        return True

    def close(self) -> None:
        pass


def test_accounts_wait_for_a_veritas_that_does_not_answer(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    detection = detect(UnwellVeritas(failures=3))
    send(settings, unique, 5)
    wait_until(lambda: detection.tally.received == 5)
    detection.end()
    assert detection.tally.authorized == 5
    assert sum("Veritas does not answer (unwell)" in line for line in detection.lines) == 3


def test_a_killed_consumer_loses_no_account_and_judges_none_twice(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    create_topic(settings, unique, 2)
    send(settings, unique, 20_000)
    words = ["fraud", "consumer", "--topic", unique, "--group", unique, "--quiet"]
    words += ["--from-beginning", "--bootstrap-servers", settings["bootstrap.servers"]]
    process = subprocess.Popen([sys.executable, "-c", RUN_DEMO, *words], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: f"{unique}-authorized" in topics(settings))
    finally:
        process.kill()
        process.wait()
    survivor = detect(ChanceVeritas(seed=99), is_quiet=True, from_start=True)
    decided: Counter[bytes] = Counter()

    def all_are_decided() -> bool:
        decided.clear()
        for verdict in ("authorized", "unauthorized"):
            for _, headers in read_committed(settings, f"{unique}-{verdict}"):
                decided[headers["source"]] += 1
        return len(decided) >= 20_000

    wait_until(all_are_decided, 90)
    survivor.end()
    assert len(decided) == 20_000
    assert set(decided.values()) == {1}


def topics(settings: dict[str, str]) -> set[str]:
    producer = Producer(settings)
    return set(producer.list_topics(timeout=90).topics)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_consumer_cleanly(
    settings: dict[str, str], unique: str, number: signal.Signals
) -> None:
    words = ["fraud", "consumer", "--topic", unique, "--group", unique]
    words += ["--bootstrap-servers", settings["bootstrap.servers"]]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_DEMO, *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "Consumer started\n"
        send(settings, unique, 10)
        seen = ""
        while seen.count("AUTHORIZED--") < 10:
            seen += process.stdout.readline()
        process.send_signal(number)
        rest, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Interrupt is detected" in rest
    assert "10 received" in rest


def test_a_fenced_detector_begins_again_and_judges_nobody_twice(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    create_topic(settings, unique, 2)
    detection = detect()
    send(settings, unique, 300)
    wait_until(lambda: detection.tally.received >= 300)
    # As the coordinator does when a transaction takes too long: the producer's epoch is over.
    usurper = Producer({**settings, "transactional.id": detection.detector._transactional_id})
    usurper.init_transactions(20)
    send(settings, unique, 200, seed=2)
    wait_until(lambda: detection.tally.received >= 500)
    detection.end()
    decided = [
        headers["source"]
        for verdict in ("authorized", "unauthorized")
        for _, headers in read_committed(settings, f"{unique}-{verdict}")
    ]
    assert len(decided) == len({*decided}) == 500


class MomentousVeritas:
    """Something happens at its so-and-so-manyth call; then it is unwell once."""

    def __init__(self, call: int, happening: Callable[[], None]) -> None:
        self.calls = 0
        self._call = call
        self._happening = happening

    def is_authorized(self, account: BankAccount) -> bool:
        self.calls += 1
        if self.calls == self._call:
            self._happening()
            raise VeritasDownError("unwell", retry_after_s=0.05)
        return True

    def close(self) -> None:
        pass


def send_to_each(settings: dict[str, str], topic: str, partitions: int, size: int) -> None:
    """As many accounts in each partition."""
    producer = Producer(settings)
    draw = account_drawer(Random(5))
    for number in range(partitions * size):
        producer.produce(topic, draw(), partition=number // size)
    assert producer.flush(90) == 0


def decided_sources(settings: dict[str, str], topic: str) -> Counter[bytes]:
    return Counter(
        headers["source"]
        for verdict in ("authorized", "unauthorized")
        for _, headers in read_committed(settings, f"{topic}-{verdict}")
    )


def test_what_was_in_hand_when_a_transaction_failed_is_read_again(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    """Also of partitions of which nothing had been decided yet."""
    create_topic(settings, unique, 2)
    send_to_each(settings, unique, 2, 10)
    detections: list[Detection] = []

    def fence() -> None:
        name = detections[0].detector._transactional_id
        Producer({**settings, "transactional.id": name}).init_transactions(90)

    veritas = MomentousVeritas(5, fence)
    detection = Detection(settings, unique, veritas, from_start=True, starts=False)
    detections.append(detection)
    detection.start()
    try:
        wait_until(lambda: detection.tally.received >= 20)
    finally:
        detection.end()
    found = decided_sources(settings, unique)
    assert len(found) == 20
    assert set(found.values()) == {1}


class SulkingVeritas:
    """Answers nobody until it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def is_authorized(self, account: BankAccount) -> bool:
        if not self.answers.is_set():
            raise VeritasDownError("sulking", retry_after_s=0.05)
        return True

    def close(self) -> None:
        pass


def test_what_another_has_taken_over_meanwhile_is_not_judged_twice(
    settings: dict[str, str], unique: str, detect: Callable[..., Detection]
) -> None:
    """A partition goes to a second consumer while the first, with its accounts in hand, waits."""
    create_topic(settings, unique, 2)
    send_to_each(settings, unique, 2, 10)
    sulking = SulkingVeritas()
    first = detect(sulking, from_start=True)
    wait_until(lambda: any("does not answer" in line for line in first.lines))
    second = detect(is_quiet=True, from_start=True)
    wait_until(lambda: second.tally.received == 10)
    sulking.answers.set()
    wait_until(lambda: first.tally.received + second.tally.received >= 20)
    found = decided_sources(settings, unique)
    assert len(found) == 20
    assert set(found.values()) == {1}
