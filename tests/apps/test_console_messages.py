"""What the console reads of a topic, where the last offsets hold no record, or nobody answers."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.messages import Progress, Range, RecordView, read_slice, search
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
