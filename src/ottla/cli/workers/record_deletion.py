"""Deleting the oldest records of partitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from ottla.client.cluster import Cluster
from ottla.client.offsets import TopicPartition, partition_leaders
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)


class Deletion(NamedTuple):
    """The first offset that is left, or an error code."""

    low_watermark: int
    error_code: int


def delete_records(
    cluster: Cluster, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Deletion]:
    """Delete the records before an offset (-1: all) of each partition."""
    leaders = partition_leaders(cluster, (topic for topic, _ in offsets))
    done: dict[TopicPartition, Deletion] = {}
    by_leader: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic, number in offsets:
        leader = leaders.get((topic, number), -1)
        if leader < 0:
            done[topic, number] = Deletion(-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        else:
            by_leader[leader][topic].append(number)
    for leader, topics in by_leader.items():
        request = DeleteRecordsRequest(
            [
                DeleteRecordsTopic(
                    topic, [DeleteRecordsPartition(n, offsets[topic, n]) for n in numbers]
                )
                for topic, numbers in topics.items()
            ],
            cluster.settings.request_timeout_ms,
        )
        for result in cluster.broker(leader).request(request).topics:
            for partition in result.partitions:
                done[result.name, partition.partition_index] = Deletion(
                    partition.low_watermark, partition.error_code
                )
    return done
