"""Streams groups (KIP-1071): describe them, and their offsets and lag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ottla.cli.workers.failures import RefusedError, raise_for
from ottla.cli.workers.groups import ask_coordinator, committed_offsets, coordinator_of
from ottla.cli.workers.opening import supports
from ottla.client.cluster import Cluster
from ottla.client.offsets import EARLIEST, LATEST, TopicPartition, find_offsets
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.metadata import MetadataResponseBroker

if TYPE_CHECKING:
    from ottla.wire.messages.streams_group_describe import Assignment, TaskIds

STREAMS_GROUP_DESCRIBE: Final = 89

#: (subtopology, its partitions).
Tasks = list[tuple[str, list[int]]]


@dataclass(frozen=True)
class Assigned:
    """The tasks of a member."""

    active: Tasks
    standby: Tasks
    warmup: Tasks


@dataclass(frozen=True)
class StreamsMember:
    """A thread of an application."""

    member_id: str
    member_epoch: int
    topology_epoch: int
    process_id: str
    client_id: str
    is_classic: bool
    assigned: Assigned
    target: Assigned


@dataclass(frozen=True)
class StreamsGroup:
    """An application: its members, and the topics of its topology."""

    group_id: str
    state: str
    coordinator: MetadataResponseBroker
    group_epoch: int
    assignment_epoch: int
    members: list[StreamsMember]
    #: Topics that each subtopology reads, the internal ones included.
    topics_read: dict[str, list[str]]
    source_topics: list[str]
    internal_topics: list[str]


@dataclass(frozen=True)
class StreamsOffset:
    """How far a partition's task has come; None where nothing is committed."""

    current: int | None
    leader_epoch: int | None
    end: int
    lag: int


def serves_streams_groups(cluster: Cluster) -> bool:
    return supports(cluster, STREAMS_GROUP_DESCRIBE)


def describe_streams_group(cluster: Cluster, group_id: str) -> StreamsGroup:
    """One streams group. Errors: `RefusedError` when there is none, or brokers know none."""
    from ottla.wire.messages.streams_group_describe import StreamsGroupDescribeRequest

    if not serves_streams_groups(cluster):
        raise RefusedError(
            ErrorCode.UNSUPPORTED_VERSION, "The node does not support STREAMS_GROUP_DESCRIBE"
        )
    request = StreamsGroupDescribeRequest([group_id])
    (described,) = ask_coordinator(cluster, group_id, request).groups
    raise_for(described.error_code, described.error_message)
    members = [
        StreamsMember(
            member.member_id,
            member.member_epoch,
            member.topology_epoch,
            member.process_id,
            member.client_id,
            member.is_classic,
            _assigned(member.assignment),
            _assigned(member.target_assignment),
        )
        for member in described.members
    ]
    subtopologies = (described.topology.subtopologies if described.topology else None) or []
    return StreamsGroup(
        group_id,
        described.group_state,
        coordinator_of(cluster, group_id),
        described.group_epoch,
        described.assignment_epoch,
        members,
        {
            s.subtopology_id: [*s.source_topics, *(t.name for t in s.repartition_source_topics)]
            for s in subtopologies
        },
        [topic for s in subtopologies for topic in s.source_topics],
        [
            topic.name
            for s in subtopologies
            for topic in (*s.state_changelog_topics, *s.repartition_source_topics)
        ],
    )


def _assigned(assignment: Assignment) -> Assigned:
    def tasks(ids: Iterable[TaskIds]) -> Tasks:
        return [(task.subtopology_id, list(task.partitions)) for task in ids]

    return Assigned(
        tasks(assignment.active_tasks),
        tasks(assignment.standby_tasks),
        tasks(assignment.warmup_tasks),
    )


def streams_offsets(cluster: Cluster, group: StreamsGroup) -> dict[TopicPartition, StreamsOffset]:
    """Of each partition that an active task reads; what lies before any commit is lag, too."""
    partitions = {
        (topic, number): None
        for member in group.members
        for subtopology, numbers in member.assigned.active
        for topic in group.topics_read.get(subtopology, [])
        for number in numbers
    }
    committed = committed_offsets(cluster, group.group_id)
    starts = find_offsets(cluster, dict.fromkeys(partitions, EARLIEST))
    ends = find_offsets(cluster, dict.fromkeys(partitions, LATEST))
    found: dict[TopicPartition, StreamsOffset] = {}
    for partition in partitions:
        raise_for(ends[partition].error_code)
        commit, end = committed.get(partition), ends[partition].offset
        seen = starts[partition].offset if commit is None else commit.offset
        found[partition] = StreamsOffset(
            None if commit is None else commit.offset,
            None if commit is None else commit.leader_epoch,
            end,
            max(0, end - seen),
        )
    return found
