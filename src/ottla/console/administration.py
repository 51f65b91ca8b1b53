"""What a person may change: topics, records, groups. Each call returns when Kafka has done it.

Errors of all calls: `ClusterError`, one sentence for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from ottla.console import share_offsets
from ottla.console.cluster import ClusterError, ClusterView, reason_of
from ottla.console.exchange import NewRecord
from ottla.lag.feed import quiet_logger

T = TypeVar("T")
TIMEOUT_S = 20.0


def done(future: Future[T]) -> T:
    """The future's result, or what went wrong in words."""
    try:
        return future.result(TIMEOUT_S)
    except (KafkaException, TimeoutError, ValueError) as error:
        raise ClusterError(reason_of(error)) from None


def create_topic(
    cluster: ClusterView, name: str, partitions: int, replicas: int, config: dict[str, str]
) -> None:
    """The topic exists; replicas -1 is the cluster's default."""
    wanted = NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=config)
    done(cluster.admin.create_topics([wanted])[name])


def delete_topic(cluster: ClusterView, name: str) -> None:
    done(cluster.admin.delete_topics([name])[name])


def add_partitions(cluster: ClusterView, name: str, total: int) -> None:
    """The topic has `total` partitions; never fewer than before."""
    done(cluster.admin.create_partitions([NewPartitions(name, total)])[name])


def empty_topic(cluster: ClusterView, name: str) -> None:
    """Every record of the topic is gone; its offsets go on from where they were."""
    partitions = [TopicPartition(name, number) for number in cluster.partition_numbers(name)]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ends = cluster.admin.list_offsets(dict.fromkeys(partitions, latest))
    targets = [
        TopicPartition(name, where.partition, done(future).offset) for where, future in ends.items()
    ]
    for future in cluster.admin.delete_records(targets).values():
        done(future)


def set_config(cluster: ClusterView, topic: str, key: str, value: str | None) -> None:
    """One key of the topic has this value; None gives it back its default."""
    operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    entry = ConfigEntry(
        key,
        value,
        source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
        incremental_operation=operation,
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    done(cluster.admin.incremental_alter_configs([resource])[resource])


def produce(
    cluster: ClusterView,
    topic: str,
    value: str | None,
    key: str | None,
    headers: list[tuple[str, str]],
    partition: int | None,
) -> tuple[int, int]:
    """(partition, offset) of the record, once it is acknowledged."""
    outcome: list[Any] = []
    producer = Producer(cluster.client_config, logger=quiet_logger)
    arguments: dict[str, Any] = {"headers": headers} if headers else {}
    if partition is not None:
        arguments["partition"] = partition

    def delivered(error: Any, message: Any) -> None:
        outcome.append(error or (message.partition(), message.offset()))

    try:
        producer.produce(topic, value, key, on_delivery=delivered, **arguments)
    except KafkaException as error:
        raise ClusterError(reason_of(error)) from None
    producer.flush(TIMEOUT_S)
    if not outcome:
        raise ClusterError(
            "Nobody has acknowledged the record in time: Kafka does not answer. It may or may not"
            " be in the topic; look before you send it again."
        )
    result = outcome[0]
    if not isinstance(result, tuple):
        raise ClusterError(result.str())
    return result


def produce_many(
    cluster: ClusterView,
    topic: str,
    records: Iterable[NewRecord],
    progress: Callable[[int], None],
    *,
    keeps_partitions: bool,
) -> int:
    """All records are acknowledged; returns how many. `progress` gets the count now and then."""
    failures: list[str] = []
    producer = Producer({**cluster.client_config, "linger.ms": 20}, logger=quiet_logger)

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(error.str())

    count = 0
    for record in records:
        more: dict[str, Any] = {"headers": record.headers} if record.headers else {}
        if keeps_partitions and record.partition is not None:
            more["partition"] = record.partition
        if record.timestamp_ms is not None:
            more["timestamp"] = record.timestamp_ms
        while True:
            try:
                producer.produce(topic, record.value, record.key, on_delivery=delivered, **more)
                break
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                raise ClusterError(f"Record {count + 1}: {reason_of(error)}") from None
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
            progress(count)
        if failures:
            break
    if producer.flush(TIMEOUT_S) and not failures:
        failures.append("not all records were acknowledged in time")
    if failures:
        raise ClusterError(f"{len(failures)} of {count:,} records failed: {failures[0]}")
    return count


def planned_offsets(
    cluster: ClusterView, group: str, where: str, number: int = 0
) -> list[tuple[str, int, int, int]]:
    """(topic, partition, offset now, offset then) of a reset, for all the group has committed.

    `where` is "earliest", "latest", "time" (milliseconds since 1970), "offset" or "shift".
    """
    admin = cluster.admin
    if share_offsets.is_share_group(cluster, group):
        committed = share_offsets.starts(cluster, group)
    else:
        asked = ConsumerGroupTopicPartitions(group)
        committed = done(admin.list_consumer_group_offsets([asked])[group]).topic_partitions or []
    if not committed:
        raise ClusterError(f"Group {group} has not committed anything.")
    places = [TopicPartition(p.topic, p.partition) for p in committed]
    lows = _offsets(admin, places, OffsetSpec.earliest)
    highs = _offsets(admin, places, OffsetSpec.latest)
    at_time: dict[tuple[str, int], int] = {}
    if where == "time":
        at_time = _offsets(admin, places, lambda: OffsetSpec.for_timestamp(number))
    plan = []
    for place in committed:
        spot = (place.topic, place.partition)
        low, high = lows[spot], highs[spot]
        wanted = {
            "earliest": low,
            "latest": high,
            "offset": number,
            "shift": place.offset + number,
            "time": high if at_time.get(spot, -1) < 0 else at_time[spot],
        }[where]
        plan.append((*spot, place.offset, min(max(wanted, low), high)))
    return sorted(plan)


def _offsets(
    admin: AdminClient, places: list[TopicPartition], spec: Callable[[], Any]
) -> dict[tuple[str, int], int]:
    found = admin.list_offsets({place: spec() for place in places})
    return {(p.topic, p.partition): done(f).offset for p, f in found.items()}


def reset_offsets(cluster: ClusterView, group: str, plan: list[tuple[str, int, int, int]]) -> None:
    """The group reads on at the planned offsets; it must have no members."""
    if share_offsets.is_share_group(cluster, group):
        share_offsets.set_starts(cluster, group, [(t, number, then) for t, number, _, then in plan])
        return
    targets = [TopicPartition(topic, number, then) for topic, number, _, then in plan]
    request = ConsumerGroupTopicPartitions(group, targets)
    answer = done(cluster.admin.alter_consumer_group_offsets([request])[group])
    for partition in answer.topic_partitions or []:
        if partition.error is not None:
            raise ClusterError(f"{partition.topic}-{partition.partition}: {partition.error.str()}")


def delete_group(cluster: ClusterView, group: str) -> None:
    """The group and its offsets are gone; it must have no members."""
    done(cluster.admin.delete_consumer_groups([group])[group])
