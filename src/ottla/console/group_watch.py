"""A group as it is now, and its rebalances while somebody looks."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ottla.client.cluster import Cluster
from ottla.console.cluster import ClusterView
from ottla.console.raw import check
from ottla.console.watch import Watch
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import consumer_group_describe
from ottla.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.messages.describe_groups import DescribeGroupsRequest
from ottla.wire.messages.list_groups import ListGroupsRequest
from ottla.wire.messages.share_group_describe import Assignment as ShareAssignment
from ottla.wire.messages.share_group_describe import ShareGroupDescribeRequest
from ottla.wire.messages.streams_group_describe import StreamsGroupDescribeRequest, TaskIds

POLL_S = 0.7

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member; `target` is what it shall have once the others have given it up."""

    member_id: str
    client_id: str
    host: str
    epoch: int | None
    partitions: frozenset[Place]
    target: frozenset[Place] | None = None
    #: Copies of other members' tasks that a member of a streams group keeps up to date.
    standbys: int = 0

    @property
    def name(self) -> str:
        return f"{self.client_id or 'member'} …{self.member_id[-6:]}"


@dataclass(frozen=True, slots=True)
class GroupPicture:
    """A group at one moment; `epoch` is the generation's or KIP-848's group epoch.

    Members of a streams group have tasks: (number of the subtopology, partition).
    """

    kind: str
    state: str
    assignor: str
    epoch: int | None
    members: tuple[MemberView, ...]
    #: Of a streams group: which subtopologies read a topic.
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class GroupWatch(Watch):
    """Looks at one group more than once a second; `picture` is the last look."""

    def __init__(self, cluster: ClusterView, group: str) -> None:
        super().__init__(cluster, "console-group", POLL_S)
        self.group = group
        self.picture: GroupPicture | None = None
        #: When each partition came to the member that has it, on the monotonic clock.
        self.moved_at: dict[Place, float] = {}
        self._kind = ""

    def look(self, client: Cluster) -> None:
        if self._kind == "" or self.picture is None or not self.picture.members:
            self._kind = kind_of(client, self.group)  # an empty group may change its kind
        picture = describe(client, self.group, self._kind)
        before = self.picture
        if before is not None:
            moment = int(time.time() * 1000)
            for sentence in changes(before, picture):
                self.events.appendleft((moment, sentence))
            owners = owners_of(before)
            for place, owner in owners_of(picture).items():
                if owners.get(place) != owner:
                    self.moved_at[place] = time.monotonic()
        self.picture = picture


def kind_of(client: Cluster, group: str) -> str:
    """classic, consumer, share or streams, as the brokers list it; classic when unlisted."""
    for broker in client.brokers():
        answer = client.connect(broker.host, broker.port).request(ListGroupsRequest())
        for listed in answer.groups:
            if listed.group_id == group:
                return (listed.group_type or "classic").lower()
    return "classic"


def list_kinds(client: Cluster) -> dict[str, tuple[str, str]]:
    """(kind, state) of every group the brokers list."""
    found = {}
    for broker in client.brokers():
        answer = client.connect(broker.host, broker.port).request(ListGroupsRequest())
        check(answer.error_code)
        for listed in answer.groups:
            kind = (listed.group_type or "classic").lower()
            found[listed.group_id] = (kind, listed.group_state)
    return found


def describe(client: Cluster, group: str, kind: str) -> GroupPicture:
    """The group now. Errors: `ClientError`."""
    if kind == "consumer":
        return _describe_consumer(client, group)
    if kind == "share":
        return _describe_share(client, group)
    if kind == "streams":
        return _describe_streams(client, group)
    return _describe_classic(client, group)


def _describe_classic(client: Cluster, group: str) -> GroupPicture:
    answer = client.request_coordinator(group, DescribeGroupsRequest([group]))
    found = answer.groups[0]
    if found.error_code != ErrorCode.GROUP_ID_NOT_FOUND:
        check(found.error_code, found.error_message)
    members = tuple(
        MemberView(
            m.member_id,
            m.client_id,
            m.client_host.lstrip("/"),
            None,
            frozenset(assigned(bytes(m.member_assignment))),
        )
        for m in sorted(found.members, key=lambda m: (m.client_id, m.member_id))
    )
    return GroupPicture("classic", found.group_state, found.protocol_data, None, members)


def _describe_consumer(client: Cluster, group: str) -> GroupPicture:
    found = client.request_coordinator(group, ConsumerGroupDescribeRequest([group])).groups[0]
    check(found.error_code, found.error_message)
    members = tuple(
        MemberView(
            m.member_id,
            m.client_id,
            m.client_host.lstrip("/"),
            m.member_epoch,
            frozenset(
                (t.topic_name, p) for t in m.assignment.topic_partitions for p in t.partitions
            ),
            frozenset(
                (t.topic_name, p)
                for t in m.target_assignment.topic_partitions
                for p in t.partitions
            ),
        )
        for m in sorted(found.members, key=lambda m: (m.client_id, m.member_id))
    )
    return GroupPicture(
        "consumer", found.group_state, found.assignor_name, found.group_epoch, members
    )


def _describe_share(client: Cluster, group: str) -> GroupPicture:
    found = client.request_coordinator(group, ShareGroupDescribeRequest([group])).groups[0]
    check(found.error_code, found.error_message)
    members = tuple(
        MemberView(
            m.member_id,
            m.client_id,
            m.client_host.lstrip("/"),
            m.member_epoch,
            frozenset(
                (t.topic_name, p) for t in m.assignment.topic_partitions for p in t.partitions
            ),
        )
        for m in sorted(found.members, key=lambda m: (m.client_id, m.member_id))
    )
    return GroupPicture("share", found.group_state, found.assignor_name, found.group_epoch, members)


def _places(assignment: consumer_group_describe.Assignment | ShareAssignment) -> frozenset[Place]:
    return frozenset((t.topic_name, p) for t in assignment.topic_partitions for p in t.partitions)


def _describe_streams(client: Cluster, group: str) -> GroupPicture:
    """A task is named as Kafka names it: the subtopology's number and the partition's."""
    found = client.request_coordinator(group, StreamsGroupDescribeRequest([group])).groups[0]
    check(found.error_code, found.error_message)
    members = tuple(
        MemberView(
            m.member_id,
            m.client_id,
            m.client_host.lstrip("/"),
            m.member_epoch,
            _tasks(m.assignment.active_tasks),
            _tasks(m.target_assignment.active_tasks),
            len(_tasks(m.assignment.standby_tasks)),
        )
        for m in sorted(found.members, key=lambda m: (m.client_id, m.member_id))
    )
    readers: dict[str, tuple[str, ...]] = {}
    for part in (found.topology.subtopologies or ()) if found.topology else ():
        repartitioned = [topic.name for topic in part.repartition_source_topics]
        for topic in (*part.source_topics, *repartitioned):
            readers[topic] = (*readers.get(topic, ()), part.subtopology_id)
    return GroupPicture("streams", found.group_state, "", found.group_epoch, members, readers)


def _tasks(found: Iterable[TaskIds]) -> frozenset[Place]:
    return frozenset((task.subtopology_id, number) for task in found for number in task.partitions)


def lags_of_tasks(picture: GroupPicture, lags: Mapping[Place, int]) -> dict[Place, int]:
    """The lag of each task: of the partitions that it reads, together."""
    found: dict[Place, int] = {}
    for (topic, number), lag in lags.items():
        for subtopology in picture.readers.get(topic, ()):
            found[subtopology, number] = found.get((subtopology, number), 0) + lag
    return found


def assigned(data: bytes) -> list[Place]:
    """What a classic member's assignment holds; nothing when it is not a consumer's."""
    try:
        (count,) = struct.unpack_from(">i", data, 2)
        position, found = 6, []
        for _ in range(count):
            (length,) = struct.unpack_from(">h", data, position)
            topic = data[position + 2 : position + 2 + length].decode()
            position += 2 + length
            (partitions,) = struct.unpack_from(">i", data, position)
            numbers = struct.unpack_from(f">{partitions}i", data, position + 4)
            position += 4 + 4 * partitions
            found += [(topic, number) for number in numbers]
    except (struct.error, UnicodeDecodeError):
        return []
    return found


def owners_of(picture: GroupPicture) -> dict[Place, str]:
    """Which member has each partition (one of them, in a share group)."""
    return {place: m.member_id for m in picture.members for place in m.partitions}


def name_of(kind: str, place: Place) -> str:
    """A partition, or a streams group's task, as Kafka writes it."""
    return f"task {place[0]}_{place[1]}" if kind == "streams" else f"{place[0]}-{place[1]}"


def changes(before: GroupPicture, now: GroupPicture) -> list[str]:
    """Sentences about what happened to the group between two looks."""
    found = []
    old = {m.member_id: m for m in before.members}
    new = {m.member_id: m for m in now.members}
    found += [f"{new[i].name} joined" for i in sorted(new.keys() - old.keys())]
    found += [f"{old[i].name} left" for i in sorted(old.keys() - new.keys())]
    if before.state != now.state:
        found.append(f"{before.state or 'unknown'} → {now.state or 'unknown'}")
    if now.epoch is not None and before.epoch is not None and now.epoch > before.epoch:
        found.append(f"Group epoch {before.epoch} → {now.epoch}")
    if now.kind == "share":
        return found
    was, is_ = owners_of(before), owners_of(now)
    names = {i: m.name for i, m in {**old, **new}.items()}
    moves: dict[tuple[str, str], list[str]] = {}
    for place in sorted(was.keys() | is_.keys()):
        if was.get(place) != is_.get(place):
            end = (
                names.get(was.get(place, ""), "nobody"),
                names.get(is_.get(place, ""), "nobody"),
            )
            moves.setdefault(end, []).append(name_of(now.kind, place))
    for (giver, taker), places in moves.items():
        some = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
        found.append(f"{some}: {giver} → {taker}")
    return found
