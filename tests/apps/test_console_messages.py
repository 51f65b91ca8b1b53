"""What the console reads of a topic, where the last offsets hold no record, or nobody answers."""

from __future__ import annotations

import json
import threading

import pytest
from confluent_kafka import Producer

from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.messages import Progress, Range, RecordView, filter_of, read_slice, search
from ottla.demos.kafka_clients import create_topic


@pytest.fixture
def cluster(bootstrap_servers: str) -> ClusterView:
    """Not started: nothing is sampled here."""
    return ClusterView("test", {"bootstrap.servers": bootstrap_servers})


@pytest.fixture
def producer(bootstrap_servers: str, unique: str) -> Producer:
    return Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": unique})


def search_all(cluster: ClusterView, topic: str) -> Progress:
    def matches(record: RecordView) -> bool:
        return record.value == b"kept"

    *_, last = search(cluster, topic, Range(start="beginning"), matches, lambda: False)
    return last


def test_a_topic_that_ends_with_markers_and_aborted_records(
    cluster: ClusterView, producer: Producer, bootstrap_servers: str, unique: str
) -> None:
    create_topic({"bootstrap.servers": bootstrap_servers}, unique, 2)
    producer.init_transactions(30)
    for value, end in (("kept", producer.commit_transaction), ("gone", producer.abort_transaction)):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(unique, value, partition=partition)
        producer.flush(30)
        end(30)
    records = read_slice(cluster, unique, Range(start="beginning", limit=10))
    assert [record.value for record in records] == [b"kept", b"kept"]
    newest = read_slice(cluster, unique, Range(start="end", limit=1))
    assert [record.value for record in newest] == [b"kept"], "beyond the last offset's marker"
    found = search_all(cluster, unique)
    assert found.is_complete
    assert found.matches == 2
    assert found.scanned == found.total == 8


def test_an_empty_topic(cluster: ClusterView, bootstrap_servers: str, unique: str) -> None:
    create_topic({"bootstrap.servers": bootstrap_servers}, unique, 1)
    assert read_slice(cluster, unique, Range(start="end", limit=10)) == []
    assert search_all(cluster, unique).is_complete


def test_a_topic_that_is_not_there(cluster: ClusterView, unique: str) -> None:
    with pytest.raises(ClusterError, match=unique):
        read_slice(cluster, unique, Range(start="end", limit=10))


def test_where_to_start_and_what_to_look_for(
    cluster: ClusterView, bootstrap_servers: str, unique: str
) -> None:
    create_topic({"bootstrap.servers": bootstrap_servers}, unique, 2)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(20):
        producer.produce(
            unique,
            json.dumps({"n": n, "who": {"names": [f"user-{n % 4}"]}}),
            key=f"key-{n}",
            headers=[("trace", f"t{n}".encode())],
            partition=n % 2,
            timestamp=1_700_000_000_000 + n,
        )
    assert producer.flush(60) == 0

    def numbers(wanted: Range) -> list[int]:
        return [json.loads(r.value or b"")["n"] for r in read_slice(cluster, unique, wanted)]

    assert numbers(Range(start="end", limit=4)) == [19, 18, 17, 16]
    assert numbers(Range(start="beginning", limit=3, partition=1)) == [1, 3, 5]
    assert numbers(Range(start="offset", offset=8)) == [16, 17, 18, 19]
    assert numbers(Range(start="time", time_ms=1_700_000_000_017)) == [17, 18, 19]

    def found(*words: str, **more: bool | str) -> int:
        matches = filter_of(*words, **more)  # type: ignore[arg-type]
        *_, last = search(cluster, unique, Range(start="beginning"), matches, lambda: False)
        assert last.is_complete
        return last.matches

    assert found("key-1", "key") == 11
    assert found("^key-1$", "key", is_regex=True) == 1
    assert found("trace: t7", "header") == 1
    assert found("user-2", "value") == 5
    assert found("user-2", json_path="who.names[0]") == 5
    assert found("", json_path="who.names.3") == 0
    with pytest.raises(ClusterError, match="regular expression"):
        filter_of("(", is_regex=True)


def test_a_search_says_how_far_it_came_when_it_is_stopped(
    cluster: ClusterView, bootstrap_servers: str, unique: str
) -> None:
    create_topic({"bootstrap.servers": bootstrap_servers}, unique, 1)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(5_000):
        producer.produce(unique, str(n))
    assert producer.flush(60) == 0
    *_, last = search(cluster, unique, Range(start="beginning"), lambda _: True, lambda: True)
    assert not last.is_complete
    assert 0 < last.scanned < last.total == 5_000


def test_a_regular_expression_without_end_is_given_up_and_holds_up_nobody() -> None:
    matches = filter_of("(a|aa)+$", is_regex=True)
    ticks, ended = [0], threading.Event()

    def tick() -> None:
        while not ended.wait(0.01):
            ticks[0] += 1

    others = threading.Thread(target=tick)
    others.start()
    try:
        with pytest.raises(ClusterError, match="needs more than 1 s"):
            matches(RecordView(0, 0, 0, None, b"a" * 60 + b"b", []))
    finally:
        ended.set()
        others.join()
    assert ticks[0] > 5, "others waited for it"
    assert matches(RecordView(0, 0, 0, None, b"xAA", []))
