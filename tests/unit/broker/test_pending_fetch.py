"""Fetches that wait: for the disk, for the budget, for more than one thing at once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from simulation.disk import SimulatedDisk
from tests.support.core import Core, batch, values
from tests.support.requests import create_topic, fetch, produce

from ottla.broker.budget import FLOOR_BYTES
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.fetch import FetchPartition, FetchTopic, ForgottenTopic


@pytest.fixture
def cold() -> Core:
    """A broker on a disk of which nothing is in the page cache, with workers run by hand."""
    disk = SimulatedDisk(random.Random(1))
    disk.cold_share = 1.0
    core = Core("/data", filesystem=disk)
    client = core.client()
    client.call(create_topic("t"), 7)
    client.call(produce("t", batch("a")), 9)
    core.sink.jobs = []
    return core


def run_jobs(core: Core) -> None:
    assert core.sink.jobs is not None
    jobs, core.sink.jobs = core.sink.jobs, []
    for job in jobs:
        job()


def test_cold_records_are_read_by_a_worker(cold: Core) -> None:
    client = cold.client()
    client.send(fetch("t"), 12)
    assert client.read() is None
    run_jobs(cold)
    assert values(client.read().responses[0].partitions[0].records) == ["a"]


def test_records_that_leave_are_counted_in_bytes(cold: Core) -> None:
    client = cold.client()
    client.send(fetch("t"), 12)
    run_jobs(cold)
    records = client.read().responses[0].partitions[0].records
    assert cold.broker.metrics.bytes_out == len(records)


def test_nobody_is_answered_who_left_meanwhile(cold: Core) -> None:
    client = cold.client()
    client.send(fetch("t", max_wait_ms=500), 12)
    cold.broker.connection_lost(client.connection)
    run_jobs(cold)
    assert client.read() is None
    assert cold.broker.budget.unsent_bytes == 0


def test_old_clients_read_cold_records_too(cold: Core) -> None:
    client = cold.client()
    found = client.call(fetch("t"), 3).responses[0].partitions[0]
    assert found.error_code == 0
    assert found.records


def test_a_topic_deleted_during_a_cold_read_shows_nothing(cold: Core) -> None:
    client = cold.client()
    client.send(fetch("t"), 12)
    topic = cold.broker.metadata.topics["t"]
    cold.broker.topics.delete(topic)
    run_jobs(cold)
    assert not client.read().responses[0].partitions[0].records


def test_readers_that_do_not_read_leave_the_floor_to_the_others(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), {"ottla.unsent.max.bytes": "1048576"})
    writer = core.client()
    writer.call(create_topic("t"), 7)
    writer.call(create_topic("small"), 7)
    for _ in range(30):
        writer.call(produce("t", batch("x" * 100_000)), 9)
    writer.call(produce("small", batch("y")), 9)
    stuck = [core.client() for _ in range(20)]
    core.sink.is_stuck = True
    for client in stuck:
        client.send(fetch("t", max_wait_ms=60_000, max_bytes=50_000_000), 12)
    core.sink.is_stuck = False
    assert core.broker.budget.unsent_bytes < 1048576 + 20 * FLOOR_BYTES
    assert core.broker.fetches_waiting_for_budget
    healthy = core.client()
    found = healthy.call(fetch("small"), 12).responses[0].partitions[0]
    assert values(found.records) == ["y"]
    healthy.send(fetch("t", max_wait_ms=60_000), 12)
    assert healthy.read() is None
    for client in stuck:
        if client.connection.unsent_bytes:
            core.broker.unsent_changed(client.connection, 0)
    answer = healthy.read()
    assert values(answer.responses[0].partitions[0].records) == ["x" * 100_000] * len(
        values(answer.responses[0].partitions[0].records)
    )
    assert core.broker.budget.unsent_bytes == 0
    core.broker.close(core.wall_ms)


def test_who_waits_for_the_budget_too_long_gets_an_empty_answer(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), {"ottla.unsent.max.bytes": "1048576"})
    client, other = core.client(), core.client()
    client.call(create_topic("t"), 7)
    client.call(produce("t", batch("x" * 100_000)), 9)
    core.broker.budget.change_unsent(2 * 1048576)
    other.send(fetch("t", max_wait_ms=500), 12)
    assert other.read() is None
    core.advance(500)
    answer = other.read().responses[0].partitions[0]
    assert answer.error_code == 0
    assert not answer.records
    core.broker.close(core.wall_ms)


def test_a_session_forgets_serves_in_turn_and_repeats_errors(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t", 3), 7)
    for i in range(3):
        client.call(produce("t", batch("x" * 1000), i), 9)
    request = fetch("t", session_epoch=0, max_bytes=1)
    request.topics[0].partitions = [
        FetchPartition(i, partition_max_bytes=2000) for i in (0, 1, 2, 9)
    ]
    first = client.call(request, 12)
    rows = {p.partition_index: p for p in first.responses[0].partitions}
    assert [i for i, p in rows.items() if p.records] == [0]
    assert rows[9].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    again = fetch(session_id=first.session_id, session_epoch=1, max_bytes=1)
    rows = {p.partition_index: p for p in client.call(again, 12).responses[0].partitions}
    assert [i for i, p in rows.items() if p.records] == [1]
    assert rows[9].error_code
    last = fetch(session_id=first.session_id, session_epoch=2, max_bytes=1)
    last.topics = [FetchTopic(topic="t", partitions=[FetchPartition(1, fetch_offset=1)])]
    last.forgotten_topics_data = [ForgottenTopic(topic="t", partitions=[9])]
    rows = {p.partition_index: p for p in client.call(last, 12).responses[0].partitions}
    assert [i for i, p in rows.items() if p.records] == [2]
    assert 9 not in rows
    core.broker.close(core.wall_ms)


def test_followers_that_have_diverged_are_told_where(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t"), 7)
    client.call(produce("t", batch("a", "b")), 9)
    core.restart()
    client = core.client()
    client.call(produce("t", batch("c")), 9)
    request = fetch("t", 3)
    request.topics[0].partitions[0].last_fetched_epoch = 0
    found = client.call(request, 12).responses[0].partitions[0]
    assert (found.diverging_epoch.epoch, found.diverging_epoch.end_offset) == (0, 2)
    core.broker.close(core.wall_ms)


def test_a_fetch_below_the_last_segment_does_not_wait_for_more_bytes(tmp_path: Path) -> None:
    # kafka-go gives up on an answer that takes all of max_wait_ms, and asks the same again.
    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t", segment_bytes="100"), 7)
    for value in "abc":
        client.call(produce("t", batch(value)), 9)
    for version in (3, 12):
        client.send(fetch("t", 1, max_wait_ms=60_000, min_bytes=1_000), version)
        assert client.read().responses[0].partitions[0].records
    client.send(fetch("t", 2, max_wait_ms=60_000, min_bytes=1_000), 12)
    assert client.read() is None
    core.advance(60_000)
    assert values(client.read().responses[0].partitions[0].records) == ["c"]
    core.broker.close(core.wall_ms)


def test_a_batch_that_does_not_fit_counts_as_bytes_to_read(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"))
    client = core.client()
    client.call(create_topic("t"), 7)
    for value in "abc":
        client.call(produce("t", batch(value)), 9)
    one = len(batch("a"))
    narrow = fetch("t", max_wait_ms=60_000, min_bytes=one + 20, partition_max_bytes=one + 20)
    client.send(narrow, 12)
    assert values(client.read().responses[0].partitions[0].records) == ["a"]
    core.broker.close(core.wall_ms)
