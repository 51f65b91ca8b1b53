"""Where a share group starts on each partition, asked for and moved (KIP-932)."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import TopicPartition

from ottla.console.cluster import ClusterView
from ottla.console.group_watch import kind_of
from ottla.console.raw import check, raw_cluster
from ottla.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)


def is_share_group(cluster: ClusterView, group: str) -> bool:
    """Errors: `ClusterError`."""
    with raw_cluster(cluster) as client:
        return kind_of(client, group) == "share"


def starts(cluster: ClusterView, group: str) -> list[TopicPartition]:
    """Below these everything is settled; partitions not begun are left out.

    Errors: `ClusterError`.
    """
    request = DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup(group)])
    found = []
    with raw_cluster(cluster) as client:
        for answer in client.request_coordinator(group, request).groups:
            check(answer.error_code, answer.error_message)
            for topic in answer.topics:
                for partition in topic.partitions:
                    check(partition.error_code, partition.error_message)
                    place = (topic.topic_name, partition.partition_index, partition.start_offset)
                    if partition.start_offset >= 0:
                        found.append(TopicPartition(*place))
    return found


def set_starts(cluster: ClusterView, group: str, offsets: Iterable[tuple[str, int, int]]) -> None:
    """(topic, partition, offset) are where the group goes on; it must have no members.

    Errors: `ClusterError`.
    """
    topics: dict[str, AlterShareGroupOffsetsRequestTopic] = {}
    for topic, number, offset in offsets:
        entry = topics.setdefault(topic, AlterShareGroupOffsetsRequestTopic(topic))
        entry.partitions.append(AlterShareGroupOffsetsRequestPartition(number, offset))
    with raw_cluster(cluster) as client:
        request = AlterShareGroupOffsetsRequest(group, list(topics.values()))
        answer = client.request_coordinator(group, request)
        check(answer.error_code, answer.error_message)
        for response in answer.responses:
            for partition in response.partitions:
                check(partition.error_code, partition.error_message)
