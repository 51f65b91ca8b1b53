"""Share groups (KIP-932): describe, and move or forget where they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ottla.cli.workers.failures import raise_for
from ottla.cli.workers.groups import Member, ask_coordinator, coordinator_of
from ottla.client.cluster import Cluster
from ottla.client.offsets import TopicPartition
from ottla.wire.messages.metadata import MetadataResponseBroker


@dataclass(frozen=True)
class ShareGroup:
    """A share group and its members."""

    group_id: str
    state: str
    coordinator: MetadataResponseBroker
    group_epoch: int
    assignment_epoch: int
    members: list[Member]


@dataclass(frozen=True)
class ShareOffset:
    """Where a partition's share starts; None for what is not known."""

    start: int | None
    leader_epoch: int | None
    lag: int | None


def describe_share_group(cluster: Cluster, group_id: str) -> ShareGroup:
    """One share group. Errors: `RefusedError` when it does not exist."""
    from ottla.wire.messages.share_group_describe import ShareGroupDescribeRequest

    (described,) = ask_coordinator(cluster, group_id, ShareGroupDescribeRequest([group_id])).groups
    raise_for(described.error_code, described.error_message)
    members = [
        Member(
            member.member_id,
            None,
            member.client_id,
            member.client_host,
            [
                (topic.topic_name, number)
                for topic in member.assignment.topic_partitions
                for number in topic.partitions
            ],
            epoch=member.member_epoch,
        )
        for member in described.members
    ]
    return ShareGroup(
        group_id,
        described.group_state,
        coordinator_of(cluster, group_id),
        described.group_epoch,
        described.assignment_epoch,
        sorted(members, key=lambda member: member.member_id),
    )


def share_offsets(cluster: Cluster, group_id: str) -> dict[TopicPartition, ShareOffset]:
    """Where the group starts in each partition it knows. Errors: `RefusedError`."""
    from ottla.wire.messages.describe_share_group_offsets import (
        DescribeShareGroupOffsetsRequest,
        DescribeShareGroupOffsetsRequestGroup,
    )

    asked = DescribeShareGroupOffsetsRequestGroup(group_id, topics=None)
    (group,) = ask_coordinator(cluster, group_id, DescribeShareGroupOffsetsRequest([asked])).groups
    raise_for(group.error_code, group.error_message)
    return {
        (topic.topic_name, partition.partition_index): ShareOffset(
            None if partition.start_offset < 0 else partition.start_offset,
            None if partition.leader_epoch < 0 else partition.leader_epoch,
            None if partition.lag < 0 else partition.lag,
        )
        for topic in group.topics
        for partition in topic.partitions
        if not partition.error_code
    }


def alter_share_offsets(
    cluster: Cluster, group_id: str, offsets: Mapping[TopicPartition, int]
) -> None:
    """Let an empty group start elsewhere. Errors: `RefusedError`."""
    from ottla.wire.messages.alter_share_group_offsets import (
        AlterShareGroupOffsetsRequest,
        AlterShareGroupOffsetsRequestPartition,
        AlterShareGroupOffsetsRequestTopic,
    )

    topics: dict[str, AlterShareGroupOffsetsRequestTopic] = {}
    for (topic, number), offset in offsets.items():
        entry = topics.setdefault(topic, AlterShareGroupOffsetsRequestTopic(topic))
        entry.partitions.append(AlterShareGroupOffsetsRequestPartition(number, offset))
    response = ask_coordinator(
        cluster, group_id, AlterShareGroupOffsetsRequest(group_id, list(topics.values()))
    )
    raise_for(response.error_code, response.error_message)
    for answer in response.responses:
        for partition in answer.partitions:
            raise_for(partition.error_code, partition.error_message)


def delete_share_offsets(
    cluster: Cluster, group_id: str, topics: Sequence[str]
) -> dict[str, tuple[int, str | None]]:
    """Forget topics of an empty group; returns (code, message) of each. Errors: `RefusedError`."""
    from ottla.wire.messages.delete_share_group_offsets import (
        DeleteShareGroupOffsetsRequest,
        DeleteShareGroupOffsetsRequestTopic,
    )

    asked = [DeleteShareGroupOffsetsRequestTopic(topic) for topic in topics]
    response = ask_coordinator(cluster, group_id, DeleteShareGroupOffsetsRequest(group_id, asked))
    raise_for(response.error_code, response.error_message)
    return {
        topic.topic_name: (topic.error_code, topic.error_message) for topic in response.responses
    }
