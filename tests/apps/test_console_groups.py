"""What the console does to groups of all kinds, and how it draws those of Kafka Streams."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from ottla.console import administration, share_offsets
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.group_watch import GroupPicture, MemberView, changes, lags_of_tasks
from ottla.console.pages.group_drawing import group_svg
from ottla.demos.kafka_clients import create_topic


@pytest.fixture
def cluster(bootstrap_servers: str) -> ClusterView:
    """Not started: nothing is sampled here."""
    return ClusterView("test", {"bootstrap.servers": bootstrap_servers})


@pytest.fixture
def topic(bootstrap_servers: str, unique: str) -> str:
    """A partition with ten records."""
    settings = {"bootstrap.servers": bootstrap_servers}
    create_topic(settings, unique, 1)
    producer = Producer(settings)
    for number in range(10):
        producer.produce(unique, str(number))
    assert producer.flush(60) == 0
    return unique


def test_a_consumer_group_is_reset(
    cluster: ClusterView, bootstrap_servers: str, topic: str
) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": topic})
    consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    for where, number, then in (
        ("earliest", 0, 0),
        ("latest", 0, 10),
        ("offset", 7, 7),
        ("shift", -3, 1),
        ("shift", 100, 10),
        ("time", 0, 0),
    ):
        plan = administration.planned_offsets(cluster, topic, where, number)
        assert plan == [(topic, 0, 4, then)]
    administration.reset_offsets(cluster, topic, plan)
    assert consumer.committed([TopicPartition(topic, 0)], timeout=60)[0].offset == 0
    consumer.close()


def test_a_share_group_is_reset(cluster: ClusterView, topic: str) -> None:
    share_offsets.set_starts(cluster, topic, [(topic, 0, 6)])
    plan = administration.planned_offsets(cluster, topic, "shift", -2)
    assert plan == [(topic, 0, 6, 4)]
    administration.reset_offsets(cluster, topic, plan)
    (start,) = share_offsets.starts(cluster, topic)
    assert (start.topic, start.partition, start.offset) == (topic, 0, 4)
    administration.delete_group(cluster, topic)
    with pytest.raises(ClusterError):
        administration.planned_offsets(cluster, topic, "earliest")


def streams_group(*tasks: frozenset[tuple[str, int]]) -> GroupPicture:
    members = tuple(
        MemberView(f"member-{n}", f"app-{n}", "host", 1, held, held, standbys=n)
        for n, held in enumerate(tasks)
    )
    return GroupPicture("streams", "Stable", "", 1, members, {"orders": ("0",), "users": ("0",)})


def test_tasks_of_a_streams_group() -> None:
    before = streams_group(frozenset({("0", 0), ("0", 1)}), frozenset())
    now = streams_group(frozenset({("0", 0)}), frozenset({("0", 1)}))
    assert changes(before, now) == ["task 0_1: app-0 …mber-0 → app-1 …mber-1"]
    lags = {("orders", 1): 3, ("users", 1): 4, ("other", 0): 9}
    assert lags_of_tasks(now, lags) == {("0", 1): 7}
    drawn = group_svg(now, lags, {})
    assert "task 0_1" in drawn
    assert "7 behind" in drawn
    assert "1 task, 1 standby" in drawn
    assert "2 tasks held by 2 members" in drawn
    assert "other" not in drawn
