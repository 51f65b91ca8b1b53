"""`ottla move` from an embedded broker to another Kafka: everything arrives, once, in order."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions

from ottla.cli import main
from ottla.client.cluster import Cluster
from ottla.labs.chaos_proxy import ChaosProxy, Faults, broker_behind
from ottla.moving import copier
from ottla.moving.copier import Copier
from ottla.moving.errors import MoveError
from ottla.moving.partitions import Where
from ottla.moving.state import MoveState, PartitionState
from ottla.moving.writer import RateLimit
from ottla.testing import KafkaForTests, Record
from ottla.testing.kafka import eventually


@pytest.fixture(scope="module")
def source() -> Iterator[KafkaForTests]:
    with KafkaForTests.start() as kafka:
        yield kafka


@pytest.fixture(scope="module")
def target(bootstrap_servers: str) -> KafkaForTests:
    return KafkaForTests(bootstrap_servers)


def contents(records: list[Record]) -> list[tuple[Any, ...]]:
    """All of a record but its offset, which the target may count without gaps."""
    return [(r.partition, r.key, r.value, r.timestamp, r.headers) for r in records]


def move(source: KafkaForTests, target: KafkaForTests, state: Path, *more: str) -> int:
    return main.main(
        [
            "move", "--from", source.bootstrap_servers, "--to", target.bootstrap_servers,
            "--state", str(state), *more,
        ]
    )  # fmt: skip


def fill(source: KafkaForTests, topic: str) -> None:
    """Compressed and plain batches, keys, headers, committed and aborted transactions."""
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = source.producer(compression_type=codec)
        for n in range(200):
            producer.produce(
                topic, f"{codec}-{n}" * 5, key=f"k{n}", headers=[("h", codec.encode())]
            )
        assert producer.flush(90) == 0
    transactional = source.producer(transactional_id=f"tx-{topic}")
    transactional.init_transactions()
    for number in range(4):
        transactional.begin_transaction()
        for n in range(10):
            transactional.produce(topic, f"tx-{number}-{n}", partition=1)
        if number % 2:
            transactional.commit_transaction()
        else:
            transactional.abort_transaction()


def test_records_configuration_and_offsets_arrive(
    source: KafkaForTests,
    target: KafkaForTests,
    unique: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source.new_topic(3, {"retention.ms": "7200000"}, unique)
    fill(source, unique)
    # With automatic commits librdkafka commits, when it closes, behind a transaction's marker
    # that it has fetched, although the records before it were not given to anybody.
    consumer = source.consumer(unique, group_id=unique, enable_auto_commit=False)
    seen = 0
    while seen < 500:
        seen += len(consumer.consume(500 - seen, 1.0))
    consumer.commit(asynchronous=False)
    consumer.close()
    assert move(source, target, tmp_path / "state", "--topics", unique, "--groups", unique) == 0
    assert "equal" in capsys.readouterr().out
    assert contents(target.records(unique)) == contents(source.records(unique))
    left = len(source.records(unique)) - 500
    assert target.lag(unique) <= source.lag(unique)
    reader = target.consumer(unique, group_id=unique)
    assert len(target.consume_exactly(reader, left)) == left
    reader.close()
    from confluent_kafka.admin import ConfigResource, ResourceType

    resource = ConfigResource(ResourceType.TOPIC, unique)
    configs = target.admin.describe_configs([resource])[resource].result(90)
    assert configs["retention.ms"].value == "7200000"


def test_more_partitions_than_an_answer_has_room_for_arrive_in_full(
    source: KafkaForTests,
    target: KafkaForTests,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copier, "FETCH_BYTES", 20_000)
    monkeypatch.setattr(copier, "PARTITION_FETCH_BYTES", 10_000)
    source.new_topic(12, {}, unique)
    producer = source.producer()
    for n in range(2_400):
        producer.produce(unique, f"{n}".ljust(200), partition=n % 12)
    assert producer.flush(90) == 0
    assert move(source, target, tmp_path / "state", "--topics", unique) == 0
    assert contents(target.records(unique)) == contents(source.records(unique))


def test_running_it_again_copies_nothing_twice_and_goes_on(
    source: KafkaForTests, target: KafkaForTests, unique: str, tmp_path: Path
) -> None:
    source.new_topic(1, name=unique)
    source.produce(unique, *map(str, range(100)))
    for more in (0, 50):
        if more:
            source.produce(unique, *map(str, range(more)))
        assert move(source, target, tmp_path / "state", "--topics", unique) == 0
        assert contents(target.records(unique)) == contents(source.records(unique))


def test_a_crash_before_the_state_was_saved_costs_nothing(
    source: KafkaForTests, target: KafkaForTests, unique: str, tmp_path: Path
) -> None:
    source.new_topic(1, name=unique)
    state = tmp_path / "state"
    source.produce(unique, *map(str, range(100)))
    assert move(source, target, state, "--topics", unique) == 0
    before = state.read_text()
    source.produce(unique, *map(str, range(300)))
    source.produce(unique, "last")
    assert move(source, target, state, "--topics", unique) == 0
    state.write_text(before)
    source.produce(unique, "after the crash")
    assert move(source, target, state, "--topics", unique) == 0
    assert contents(target.records(unique)) == contents(source.records(unique))


def test_log_append_time_and_gaps_of_compaction_are_kept(
    source: KafkaForTests, target: KafkaForTests, unique: str, tmp_path: Path
) -> None:
    source.new_topic(1, {"message.timestamp.type": "LogAppendTime"}, unique)
    source.produce(unique, "a", "b", "c", timestamp=1000)
    assert move(source, target, tmp_path / "state", "--topics", unique) == 0
    assert contents(target.records(unique)) == contents(source.records(unique))


@contextlib.contextmanager
def following(
    source: KafkaForTests, target: KafkaForTests, state: Path, *more: str
) -> Iterator[subprocess.Popen[str]]:
    """`ottla move --follow`, which has made a topic; ended at the latest with the block."""
    words = ["--from", source.bootstrap_servers, "--to", target.bootstrap_servers, *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", "move", "--follow", "--state", str(state), *words],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            assert "1 topics created" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_follow_goes_on_until_told_to_stop(
    source: KafkaForTests, target: KafkaForTests, unique: str, tmp_path: Path
) -> None:
    source.new_topic(2, name=unique)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            source.produce(unique, *map(str, range(20)))

    writer = threading.Thread(target=write)
    with following(source, target, tmp_path / "state", "--topics", unique) as process:
        writer.start()
        try:
            eventually(lambda: len(target.records(unique)), lambda count: count >= 100)
        finally:
            stop.set()
            writer.join()
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
    assert contents(target.records(unique)) == contents(source.records(unique))


def test_follow_takes_new_topics_and_partitions_along(
    source: KafkaForTests, target: KafkaForTests, unique: str, tmp_path: Path
) -> None:
    first, second = f"{unique}-1", f"{unique}-2"
    source.new_topic(1, name=first)
    source.produce(first, "a", "b")
    report = tmp_path / "report.json"
    more = ("--topics", f"{unique}.*", "--report", str(report))
    with following(source, target, tmp_path / "state", *more) as process:
        assert process.stdout is not None
        source.new_topic(2, {"retention.ms": "7200000"}, second)
        source.produce(second, "c", "d")
        assert "1 topics created" in process.stdout.readline()
        source.admin.create_partitions([NewPartitions(first, 3)])[first].result(90)
        for number in range(3):
            source.produce(first, f"to {number}", partition=number)
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
    for topic in (first, second):
        assert contents(target.records(topic)) == contents(source.records(topic))
    written = json.loads(report.read_text())
    assert written["is_good"]
    assert len(written["partitions"]) == 5
    assert {row["verdict"] for row in written["partitions"]} == {"equal"}


@pytest.mark.slow
def test_lost_connections_neither_lose_nor_double_anything(
    source: KafkaForTests, unique: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.new_topic(2, name=unique)
    producer = source.producer(linger_ms=1, batch_size=4_000)
    with ChaosProxy(faults=Faults(), seed=7) as proxy, broker_behind(proxy) as broker:
        behind = KafkaForTests(broker.bootstrap_servers)
        for _ in range(30):
            for number in range(2_000):
                producer.produce(unique, f"{number} " + "x" * 300)
            assert producer.flush(90) == 0
            proxy.faults.cut = 0.02
            assert move(source, behind, tmp_path / "state", "--topics", unique) == 0
            proxy.faults.cut = 0.0
            assert "equal" in capsys.readouterr().out
            if proxy.seen.cuts > 2:
                break
        assert contents(behind.records(unique)) == contents(source.records(unique))
    assert proxy.seen.cuts > 2


def test_topics_that_hold_records_already_are_left_alone(
    source: KafkaForTests,
    target: KafkaForTests,
    unique: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for kafka in (source, target):
        kafka.new_topic(1, name=unique)
        kafka.produce(unique, "x")
    assert move(source, target, tmp_path / "state", "--topics", unique) == 1
    assert "holds records already" in capsys.readouterr().err
    assert len(target.records(unique)) == 1


def test_mistakes_are_one_sentence(
    source: KafkaForTests, target: KafkaForTests, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        (source, source, [], "same cluster"),
        (source, target, ["--topics", "("], "not a regular expression"),
        (source, target, ["--topics", "none-such"], "no topic to move"),
    ]
    for one, other, more, sentence in cases:
        assert move(one, other, tmp_path / "state", *more) == 1
        error = capsys.readouterr().err
        assert sentence in error
        assert "Traceback" not in error


def test_foreign_records_in_the_target_are_noticed(
    source: KafkaForTests, target: KafkaForTests, unique: str, tmp_path: Path
) -> None:
    source.new_topic(1, name=unique)
    target.new_topic(1, name=unique)
    source.produce(unique, "1", "2")
    with Cluster(source.bootstrap_servers) as a, Cluster(target.bootstrap_servers) as b:
        state = MoveState(tmp_path / "state", "a", "b")
        copier = Copier(a, b, state, RateLimit(0))
        copier.prepare([Where(unique, 0)])
        target.produce(unique, "somebody else")
        with pytest.raises(MoveError, match="that this move did not write"):
            copier.copy_until({Where(unique, 0): 2}, lambda _: None, lambda: False)


def test_offsets_are_translated_across_gaps() -> None:
    state = PartitionState(next_offset=40, target_end=30)
    for source_offset, target_offset in ((0, 0), (10, 10), (25, 20)):
        state.note(source_offset, target_offset)
    assert state.runs == [[0, 0], [25, 20]]
    assert [state.translate(o) for o in (0, 5, 20, 24, 25, 30, 40)] == [0, 5, 20, 20, 20, 25, 30]


def test_the_state_survives_and_belongs_to_its_move(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = MoveState.load(path, "a", "b")
    state.partitions["t-0"] = PartitionState(5, 4, runs=[[0, 0]])
    state.save()
    assert MoveState.load(path, "a", "b").partitions == state.partitions
    with pytest.raises(MoveError, match="between other clusters"):
        MoveState.load(path, "a", "c")
    path.write_text(json.dumps({"version": 1}))
    with pytest.raises(MoveError, match="cannot be read"):
        MoveState.load(path, "a", "b")
