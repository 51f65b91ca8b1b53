"""One share group (KIP-932): who belongs to it, as its records tell it.

Members of a share group share partitions, so that nobody has to give anything
up before another takes it: a member is where its target is as soon as it has
heard of it. What of a partition is acquired, accepted or left is another
matter, see `share_partition`.

Only the `replay_*` methods change a group, from records of key types 10 to 15.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ottla.coordinator.assignors import Partitions
from ottla.coordinator.records import share_groups as records


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareMember:
    member_id: str
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    subscribed_topic_names: tuple[str, ...] = ()
    member_epoch: int = 0
    previous_member_epoch: int = 0
    assigned: Partitions = field(default_factory=dict)


@dataclass(slots=True)
class ShareGroup:
    group_id: str
    #: Whether it has an epoch; without one only remains of a deleted group are left.
    is_known: bool = False
    group_epoch: int = 0
    assignment_epoch: int = 0
    assignment_timestamp_ms: int = 0
    metadata_hash: int = 0
    members: dict[str, ShareMember] = field(default_factory=dict)
    target: dict[str, Partitions] = field(default_factory=dict)
    #: Topic id -> (name, partitions) of every topic the group has begun to read.
    initialized: dict[bytes, tuple[str, frozenset[int]]] = field(default_factory=dict)
    #: At which state of the topics the group was last checked; a restart may lose it.
    checked_epoch: int = field(default=-1, compare=False)

    @property
    def state(self) -> str:
        """The name of the state as Kafka's tools print it."""
        return "Stable" if self.members else "Empty"

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left, as after the tombstones of a deleted group."""
        return not (self.is_known or self.members or self.target or self.assignment_epoch)

    # --- replay

    def replay_epoch(self, value: records.ShareGroupMetadataValue | None) -> None:
        self.is_known = value is not None
        self.group_epoch = 0 if value is None else value.epoch
        self.metadata_hash = 0 if value is None else value.metadata_hash

    def replay_member(
        self, member_id: str, value: records.ShareGroupMemberMetadataValue | None
    ) -> None:
        if value is None:
            self.members.pop(member_id, None)
            return
        known = self.members.get(member_id) or ShareMember(member_id=member_id)
        self.members[member_id] = ShareMember(
            member_id=member_id,
            rack_id=value.rack_id,
            client_id=value.client_id,
            client_host=value.client_host,
            subscribed_topic_names=tuple(value.subscribed_topic_names),
            member_epoch=known.member_epoch,
            previous_member_epoch=known.previous_member_epoch,
            assigned=known.assigned,
        )

    def replay_assignment_epoch(
        self, value: records.ShareGroupTargetAssignmentMetadataValue | None
    ) -> None:
        self.assignment_epoch = 0 if value is None else value.assignment_epoch
        self.assignment_timestamp_ms = 0 if value is None else value.assignment_timestamp_ms

    def replay_target(
        self, member_id: str, value: records.ShareGroupTargetAssignmentMemberValue | None
    ) -> None:
        if value is None:
            self.target.pop(member_id, None)
        else:
            self.target[member_id] = to_map(value.topic_partitions)

    def replay_position(
        self, member_id: str, value: records.ShareGroupCurrentMemberAssignmentValue | None
    ) -> None:
        known = self.members.get(member_id)
        if value is None and known is None:
            return
        known = known or ShareMember(member_id=member_id)
        self.members[member_id] = ShareMember(
            member_id=member_id,
            rack_id=known.rack_id,
            client_id=known.client_id,
            client_host=known.client_host,
            subscribed_topic_names=known.subscribed_topic_names,
            member_epoch=0 if value is None else value.member_epoch,
            previous_member_epoch=0 if value is None else value.previous_member_epoch,
            assigned={} if value is None else to_map(value.assigned_partitions),
        )

    def replay_topics(self, value: records.ShareGroupStatePartitionMetadataValue | None) -> None:
        self.initialized = {}
        if value is not None:
            for topic in [*value.initializing_topics, *value.initialized_topics]:
                self.initialized[topic.topic_id] = (topic.topic_name, frozenset(topic.partitions))


def to_map(found: list[records.SharePartitions]) -> Partitions:
    return {item.topic_id: frozenset(item.partitions) for item in found}


def to_list(partitions: Partitions) -> list[records.SharePartitions]:
    return [records.SharePartitions(t, sorted(p)) for t, p in sorted(partitions.items())]
