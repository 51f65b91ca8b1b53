"""Groups of a cluster: list, describe, commit for, delete."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ottla.cli.workers.failures import raise_for
from ottla.cli.workers.opening import supports
from ottla.client.cluster import Cluster
from ottla.client.offsets import TopicPartition
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message, Request
from ottla.wire.messages.metadata import MetadataResponseBroker

R = TypeVar("R", bound=Message)

CONSUMER_GROUP_DESCRIBE: Final = 69
LIST_GROUPS: Final = 16
#: Newest versions that name topics instead of giving their ids.
OFFSET_FETCH_BY_NAME: Final = 9
OFFSET_COMMIT_BY_NAME: Final = 9


@dataclass(frozen=True)
class GroupListing:
    """What a list of groups says of one."""

    group_id: str
    protocol_type: str
    state: str
    type: str


@dataclass(frozen=True)
class Member:
    """A member of a group; epochs and the target are None in classic groups."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: list[TopicPartition]
    target: list[TopicPartition] | None = None
    epoch: int | None = None
    upgraded: bool | None = None


@dataclass(frozen=True)
class Group:
    """A consumer group, classic or KIP-848; the epochs are None in classic ones."""

    group_id: str
    type: str
    state: str
    assignor: str
    coordinator: MetadataResponseBroker
    members: list[Member] = field(default_factory=list)
    group_epoch: int | None = None
    assignment_epoch: int | None = None


class CommittedOffset(tuple[int, int | None, str]):
    """(offset, leader epoch or None, metadata)."""

    __slots__ = ()

    @property
    def offset(self) -> int:
        return self[0]

    @property
    def leader_epoch(self) -> int | None:
        return self[1]

    @property
    def metadata(self) -> str:
        return self[2]


def ask_coordinator(
    cluster: Cluster, group_id: str, request: Request[R], newest: int | None = None
) -> R:
    """Ask a group's coordinator, again while there is none; at most in version `newest`."""

    def ask() -> R:
        coordinator = cluster.coordinator(group_id)
        version = None
        if newest is not None:
            version = min(newest, coordinator.version_for(request.API_KEY))
        return coordinator.request(request, version)

    return cluster.retry(ask)


def list_groups(
    cluster: Cluster,
    *,
    states: Collection[str] = (),
    types: Collection[str] = (),
    protocol_types: Collection[str] = (),
) -> list[GroupListing]:
    """The groups of every broker, in the order of the answers, filtered where asked.

    `types` are Classic, Consumer, Share, Streams.
    """
    from ottla.wire.messages.list_groups import ListGroupsRequest

    filters_types = supports(cluster, LIST_GROUPS, 5)
    request = ListGroupsRequest(sorted(states), sorted(types))
    listings: dict[str, GroupListing] = {}
    for broker in cluster.brokers():
        response = cluster.connect(broker.host, broker.port).request(request)
        raise_for(response.error_code)
        for group in response.groups:
            # Before KIP-848 there was one type, and no word for it.
            kind = (group.group_type or ("" if filters_types else "classic")).capitalize()
            if types and kind not in types:
                continue
            is_classic = kind in ("Classic", "")
            if protocol_types and is_classic and group.protocol_type not in protocol_types:
                continue
            listings[group.group_id] = GroupListing(
                group.group_id, group.protocol_type, group.group_state, kind
            )
    return list(listings.values())


def list_consumer_groups(
    cluster: Cluster, *, states: Collection[str] = (), types: Collection[str] = ()
) -> list[GroupListing]:
    """The groups that consumers form, classic and KIP-848."""
    return list_groups(
        cluster,
        states=states,
        types=types or ("Classic", "Consumer"),
        protocol_types=("", "consumer"),
    )


def describe_group(cluster: Cluster, group_id: str) -> Group:
    """One consumer group with its members.

    Errors: `RefusedError` when it does not exist.
    """
    missing_message = None
    if supports(cluster, CONSUMER_GROUP_DESCRIBE):
        group, missing_message = _describe_consumer_group(cluster, group_id)
        if group is not None:
            return group
    return _describe_classic_group(cluster, group_id, missing_message)


def coordinator_of(cluster: Cluster, group_id: str) -> MetadataResponseBroker:
    """The broker that coordinates a group; id -1 when metadata does not list it."""
    coordinator = cluster.coordinator(group_id)
    for broker in cluster.brokers():
        if (broker.host, broker.port) == (coordinator.host, coordinator.port):
            return broker
    return MetadataResponseBroker(-1, coordinator.host, coordinator.port)


def _describe_consumer_group(cluster: Cluster, group_id: str) -> tuple[Group | None, str | None]:
    from ottla.wire.messages.consumer_group_describe import (
        Assignment,
        ConsumerGroupDescribeRequest,
    )

    (described,) = ask_coordinator(
        cluster, group_id, ConsumerGroupDescribeRequest([group_id])
    ).groups
    if described.error_code in (ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION):
        return None, described.error_message
    raise_for(described.error_code, described.error_message)

    def partitions(assignment: Assignment) -> list[TopicPartition]:
        return [
            (topic.topic_name, number)
            for topic in assignment.topic_partitions
            for number in topic.partitions
        ]

    members = [
        Member(
            member.member_id,
            member.instance_id,
            member.client_id,
            member.client_host,
            partitions(member.assignment),
            partitions(member.target_assignment),
            member.member_epoch,
            None if member.member_type == -1 else member.member_type == 1,
        )
        for member in described.members
    ]
    group = Group(
        group_id,
        "Consumer",
        described.group_state,
        described.assignor_name,
        coordinator_of(cluster, group_id),
        members,
        described.group_epoch,
        described.assignment_epoch,
    )
    return group, None


def _describe_classic_group(cluster: Cluster, group_id: str, missing_message: str | None) -> Group:
    from ottla.wire.messages.describe_groups import DescribeGroupsRequest

    (described,) = ask_coordinator(cluster, group_id, DescribeGroupsRequest([group_id])).groups
    raise_for(described.error_code, described.error_message or missing_message)
    members = [
        Member(
            member.member_id,
            member.group_instance_id,
            member.client_id,
            member.client_host,
            decode_assignment(bytes(member.member_assignment)),
        )
        for member in described.members
    ]
    return Group(
        group_id,
        "Classic",
        described.group_state,
        described.protocol_data,
        coordinator_of(cluster, group_id),
        members,
    )


def decode_assignment(data: bytes) -> list[TopicPartition]:
    """The partitions in a classic member's assignment; none when it is not readable."""
    partitions: list[TopicPartition] = []
    try:
        (topics,) = struct.unpack_from(">xxi", data)
        position = 6
        for _ in range(topics):
            (length,) = struct.unpack_from(">h", data, position)
            position += 2
            topic = data[position : position + length].decode()
            position += length
            (count,) = struct.unpack_from(">i", data, position)
            numbers = struct.unpack_from(f">{count}i", data, position + 4)
            position += 4 + 4 * count
            partitions.extend((topic, number) for number in numbers)
    except (struct.error, UnicodeDecodeError):
        return []
    return partitions


def committed_offsets(cluster: Cluster, group_id: str) -> dict[TopicPartition, CommittedOffset]:
    """Every offset committed for the group."""
    from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup

    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id, topics=None)], group_id=group_id, topics=None
    )
    response = ask_coordinator(cluster, group_id, request, OFFSET_FETCH_BY_NAME)
    group = response.groups[0] if response.groups else response
    raise_for(group.error_code)
    return {
        (topic.name, partition.partition_index): CommittedOffset(
            (
                partition.committed_offset,
                None if partition.committed_leader_epoch < 0 else partition.committed_leader_epoch,
                partition.metadata or "",
            )
        )
        for topic in group.topics
        for partition in topic.partitions
        if partition.committed_offset >= 0
    }


def commit_offsets(cluster: Cluster, group_id: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit offsets for a group without members. Errors: `RefusedError`."""
    from ottla.wire.messages.offset_commit import (
        OffsetCommitRequest,
        OffsetCommitRequestPartition,
        OffsetCommitRequestTopic,
    )

    topics: dict[str, OffsetCommitRequestTopic] = {}
    for (topic, number), offset in offsets.items():
        entry = topics.setdefault(topic, OffsetCommitRequestTopic(name=topic))
        entry.partitions.append(OffsetCommitRequestPartition(number, offset, committed_metadata=""))
    request = OffsetCommitRequest(group_id, topics=list(topics.values()))
    response = ask_coordinator(cluster, group_id, request, OFFSET_COMMIT_BY_NAME)
    for answer in response.topics:
        for partition in answer.partitions:
            raise_for(partition.error_code)


def delete_groups(cluster: Cluster, group_ids: Iterable[str]) -> dict[str, int]:
    """Delete groups; returns the error code of each."""
    from ottla.wire.messages.delete_groups import DeleteGroupsRequest

    codes = {}
    for group_id in group_ids:
        response = ask_coordinator(cluster, group_id, DeleteGroupsRequest([group_id]))
        codes[group_id] = response.results[0].error_code
    return codes


def delete_offsets(
    cluster: Cluster, group_id: str, partitions: Sequence[TopicPartition]
) -> tuple[int, dict[TopicPartition, int]]:
    """Forget what a group committed for partitions; returns (group's code, code of each)."""
    from ottla.wire.messages.offset_delete import (
        OffsetDeleteRequest,
        OffsetDeleteRequestPartition,
        OffsetDeleteRequestTopic,
    )

    topics: dict[str, OffsetDeleteRequestTopic] = {}
    for topic, number in partitions:
        entry = topics.setdefault(topic, OffsetDeleteRequestTopic(topic))
        entry.partitions.append(OffsetDeleteRequestPartition(number))
    response = ask_coordinator(
        cluster, group_id, OffsetDeleteRequest(group_id, list(topics.values()))
    )
    codes = {
        (topic.name, partition.partition_index): partition.error_code
        for topic in response.topics
        for partition in topic.partitions
    }
    return response.error_code, codes
