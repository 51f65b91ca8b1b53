"""Offsets of partitions: where they begin and end, and where a time falls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from ottla.client.cluster import Cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)

#: (topic, partition).
TopicPartition: TypeAlias = tuple[str, int]

#: What ListOffsets understands instead of a timestamp.
LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6

#: The version that brought each of them.
SINCE: Final = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}


class FoundOffset(NamedTuple):
    """An answer; `offset` and `timestamp_ms` are -1 where nothing was found."""

    offset: int
    timestamp_ms: int
    error_code: int


def partition_leaders(cluster: Cluster, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Broker id of each partition's leader, -1 without one; unknown topics are left out."""
    names = sorted(set(topics))
    if not names:
        return {}
    return {
        (topic.name or "", partition.partition_index): partition.leader_id
        for topic in cluster.metadata(names).topics
        if topic.error_code == 0
        for partition in topic.partitions
    }


def find_offsets(
    cluster: Cluster,
    times: Mapping[TopicPartition, int],
    *,
    read_committed: bool = False,
    leaders: Mapping[TopicPartition, int] | None = None,
) -> dict[TopicPartition, FoundOffset]:
    """The offset of a time, or of one of the constants above, per partition.

    Partitions without a leader, or that do not exist, answer with an error code. Who has just
    looked at the metadata passes the `leaders`.
    """
    if leaders is None:
        leaders = partition_leaders(cluster, (topic for topic, _ in times))
    by_leader: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    found: dict[TopicPartition, FoundOffset] = {}
    for partition in times:
        leader = leaders.get(partition)
        if leader is None:
            found[partition] = FoundOffset(-1, -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        elif leader < 0:
            found[partition] = FoundOffset(-1, -1, ErrorCode.LEADER_NOT_AVAILABLE)
        else:
            by_leader[leader][partition[0]].append(partition[1])
    at_least = max((SINCE.get(time, 1) for time in times.values()), default=1)
    for leader, topics in by_leader.items():
        request = ListOffsetsRequest(
            -1,
            1 if read_committed else 0,
            [
                ListOffsetsTopic(
                    topic,
                    [ListOffsetsPartition(n, timestamp=times[topic, n]) for n in numbers],
                )
                for topic, numbers in topics.items()
            ],
            cluster.settings.request_timeout_ms,
        )
        for topic in cluster.broker(leader).request(request, at_least=at_least).topics:
            for answer in topic.partitions:
                found[topic.name, answer.partition_index] = FoundOffset(
                    answer.offset, answer.timestamp, answer.error_code
                )
    return found


def end_offsets(
    cluster: Cluster, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """Log end offset of each partition that has one."""
    found = find_offsets(cluster, dict.fromkeys(partitions, LATEST))
    return {partition: end.offset for partition, end in found.items() if not end.error_code}
