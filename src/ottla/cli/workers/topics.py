"""Topics of a cluster: list, describe, create, enlarge, delete."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ottla.cli.errors import CommandError
from ottla.cli.workers.failures import raise_for, sentence
from ottla.cli.workers.opening import supports
from ottla.client.cluster import Cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.message import ZERO_UUID

DESCRIBE_TOPIC_PARTITIONS: Final = 75
LIST_PARTITION_REASSIGNMENTS: Final = 46


@dataclass(frozen=True)
class Reassignment:
    """An ongoing move of a partition's replicas."""

    replicas: list[int]
    adding: list[int]
    removing: list[int]


@dataclass(frozen=True)
class Partition:
    """One partition; `leader` is -1 for none, the two ELR lists None where unknown (KIP-966)."""

    number: int
    leader: int
    leader_epoch: int
    replicas: list[int]
    isr: list[int]
    elr: list[int] | None
    last_known_elr: list[int] | None
    error_code: int = 0


@dataclass(frozen=True)
class Topic:
    """One topic with its partitions, ascending."""

    name: str
    topic_id: bytes
    is_internal: bool
    partitions: list[Partition]


def topic_filter(pattern: str) -> re.Pattern[str]:
    """Kafka's include list: a regular expression in which a comma means "or".

    Errors: `CommandError` when it is none.
    """
    cleaned = pattern.strip().replace(",", "|").replace(" ", "").strip("\"'")
    try:
        return re.compile(cleaned)
    except re.error as error:
        raise CommandError(f"{cleaned} is an invalid regex: {error}.") from None


def matching(names: Iterable[str], pattern: str | None) -> list[str]:
    """The names that match the whole pattern, sorted; all without a pattern."""
    if pattern is None:
        return sorted(names)
    regex = topic_filter(pattern)
    return sorted(name for name in names if regex.fullmatch(name))


def list_topics(cluster: Cluster, *, internal: bool = True) -> dict[str, bytes]:
    """Name → id of every topic that may be seen."""
    return {
        topic.name: topic.topic_id
        for topic in cluster.metadata(None).topics
        if topic.name and (internal or not topic.is_internal)
    }


def describe_topics(cluster: Cluster, names: Sequence[str], *, limit: int = 2000) -> list[Topic]:
    """Topics in the order of `names`; `limit` is the partitions per response.

    Errors: `CommandError` for a topic that does not exist.
    """
    if not names:
        return []
    if supports(cluster, DESCRIBE_TOPIC_PARTITIONS):
        topics = _describe_with_replicas(cluster, names, limit)
    else:
        topics = describe_by_metadata(cluster, names)
    return [topics[name] for name in names]


def _describe_with_replicas(cluster: Cluster, names: Sequence[str], limit: int) -> dict[str, Topic]:
    from ottla.wire.messages.describe_topic_partitions import (
        Cursor,
        DescribeTopicPartitionsRequest,
        TopicRequest,
    )

    topics: dict[str, Topic] = {}
    remaining = sorted(names)
    cursor: Cursor | None = None
    while remaining:
        response = cluster.request(
            DescribeTopicPartitionsRequest(
                [TopicRequest(name) for name in remaining], limit, cursor
            )
        )
        for topic in response.topics:
            raise_for(topic.error_code)
            assert topic.name is not None
            known = topics.setdefault(
                topic.name, Topic(topic.name, topic.topic_id, topic.is_internal, [])
            )
            known.partitions.extend(
                Partition(
                    partition.partition_index,
                    partition.leader_id,
                    partition.leader_epoch,
                    partition.replica_nodes,
                    partition.isr_nodes,
                    partition.eligible_leader_replicas or [],
                    partition.last_known_elr or [],
                    partition.error_code,
                )
                for partition in topic.partitions
            )
        if response.next_cursor is None:
            break
        cursor = Cursor(response.next_cursor.topic_name, response.next_cursor.partition_index)
        remaining = [name for name in remaining if name >= cursor.topic_name]
    for topic_ in topics.values():
        topic_.partitions.sort(key=lambda partition: partition.number)
    return topics


def describe_by_metadata(cluster: Cluster, names: Sequence[str]) -> dict[str, Topic]:
    """As `describe_topics`, from Metadata, which every broker serves; ELRs are unknown."""
    topics = {}
    for topic in cluster.metadata(list(names)).topics:
        raise_for(topic.error_code)
        assert topic.name is not None
        topics[topic.name] = Topic(
            topic.name,
            topic.topic_id,
            topic.is_internal,
            [
                Partition(
                    partition.partition_index,
                    partition.leader_id,
                    partition.leader_epoch,
                    partition.replica_nodes,
                    partition.isr_nodes,
                    None,
                    None,
                    partition.error_code,
                )
                for partition in sorted(topic.partitions, key=lambda p: p.partition_index)
            ],
        )
    return topics


def create_topic(
    cluster: Cluster,
    name: str,
    *,
    partitions: int = -1,
    replication_factor: int = -1,
    assignment: Mapping[int, list[int]] | None = None,
    configs: Mapping[str, str] | None = None,
    if_not_exists: bool = False,
) -> bool:
    """Create a topic; -1 means the broker's default.

    Returns False when it existed already and `if_not_exists` allows that.
    Errors: `CommandError` with the broker's reason.
    """
    from ottla.wire.messages.create_topics import (
        CreatableReplicaAssignment,
        CreatableTopic,
        CreatableTopicConfig,
        CreateTopicsRequest,
    )

    request = CreateTopicsRequest(
        [
            CreatableTopic(
                name,
                -1 if assignment else partitions,
                -1 if assignment else replication_factor,
                [
                    CreatableReplicaAssignment(number, brokers)
                    for number, brokers in (assignment or {}).items()
                ],
                [CreatableTopicConfig(key, value) for key, value in (configs or {}).items()],
            )
        ],
        timeout_ms=cluster.settings.request_timeout_ms,
    )
    result = cluster.request_controller(request).topics[0]
    if result.error_code == ErrorCode.TOPIC_ALREADY_EXISTS and if_not_exists:
        return False
    raise_for(result.error_code, result.error_message)
    return True


def create_partitions(
    cluster: Cluster, name: str, count: int, assignment: Sequence[list[int]] | None = None
) -> None:
    """Give a topic `count` partitions in all. Errors: `CommandError`."""
    from ottla.wire.messages.create_partitions import (
        CreatePartitionsAssignment,
        CreatePartitionsRequest,
        CreatePartitionsTopic,
    )

    replicas = None
    if assignment is not None:
        replicas = [CreatePartitionsAssignment(brokers) for brokers in assignment]
    request = CreatePartitionsRequest(
        [CreatePartitionsTopic(name, count, replicas)],
        timeout_ms=cluster.settings.request_timeout_ms,
    )
    for result in cluster.request_controller(request).results:
        raise_for(result.error_code, result.error_message)


def delete_topics(cluster: Cluster, names: Sequence[str]) -> None:
    """Delete topics. Errors: `CommandError`."""
    from ottla.wire.messages.delete_topics import (
        DeleteTopicsRequest,
        DeleteTopicState,
    )

    request = DeleteTopicsRequest(
        [DeleteTopicState(name=name) for name in names],
        list(names),
        timeout_ms=cluster.settings.request_timeout_ms,
    )
    for result in cluster.request_controller(request).responses:
        raise_for(result.error_code, result.error_message)


def wait_for_topic(cluster: Cluster, name: str) -> Topic:
    """The topic, once every partition of it has a leader.

    Errors: `CommandError` when that takes longer than the cluster's time-out.
    """
    deadline = time.monotonic() + cluster.settings.request_timeout_ms / 1000
    while True:
        found = cluster.metadata([name]).topics[0]
        ready = found.error_code == 0 and all(p.leader_id >= 0 for p in found.partitions)
        if ready:
            return describe_by_metadata(cluster, [name])[name]
        if time.monotonic() > deadline:
            raise CommandError(f"Topic {name} is not ready: {sentence(found.error_code)}")
        time.sleep(0.05)


def reassignments(
    cluster: Cluster, topics: Sequence[Topic] | None
) -> dict[tuple[str, int], Reassignment]:
    """The moves under way among these topics, or among all.

    None of them where the broker cannot tell. Errors: `RefusedError`, when all
    topics are asked for.
    """
    from ottla.wire.messages.list_partition_reassignments import (
        ListPartitionReassignmentsRequest,
        ListPartitionReassignmentsTopics,
    )

    if topics == [] or not supports(cluster, LIST_PARTITION_REASSIGNMENTS):
        return {}
    wanted = None
    if topics is not None:
        wanted = [
            ListPartitionReassignmentsTopics(topic.name, [p.number for p in topic.partitions])
            for topic in topics
        ]
    response = cluster.request_controller(ListPartitionReassignmentsRequest(topics=wanted))
    if response.error_code:
        if topics is None:
            raise_for(response.error_code, response.error_message)
        return {}
    return {
        (topic.name, partition.partition_index): Reassignment(
            partition.replicas, partition.adding_replicas, partition.removing_replicas
        )
        for topic in response.topics
        for partition in topic.partitions
    }


def uuid_text(topic_id: bytes) -> str:
    """A topic id as Kafka writes it: base64url without padding."""
    import base64

    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode()


def uuid_from_text(text: str) -> bytes:
    """The 16 bytes of a topic id. Errors: `CommandError` when it is none."""
    import base64
    import binascii

    try:
        decoded = base64.urlsafe_b64decode(text + "==")
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != len(ZERO_UUID):
        raise CommandError(f"'{text}' is not a topic id; they look like 3fL2jV9FRgCqgoVgD9kUCQ.")
    return decoded
