"""One group of the classic protocol: its members, its state, and who waits.

This is what a restart may lose or rebuild: `ClassicGroup` lives in memory and
is changed while deciding; the durable side is the `GroupMetadataValue` that
`snapshot` writes and `restore` reads. A restarted group is Stable with its
members, or Empty, as Kafka restores it.

The class keeps its own invariants and knows no time-outs, requests or replies;
`classic_protocol` does.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ottla.coordinator.consumer_protocol import PROTOCOL_TYPE, subscribed_topics
from ottla.coordinator.outcome import Waiter
from ottla.coordinator.records.offsets import GroupMember, GroupMetadataValue
from ottla.wire.errors import ErrorCode, ProtocolError
from ottla.wire.messages.join_group import JoinGroupResponseMember


class GroupState(enum.Enum):
    """States and their names as Kafka's tools print them."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"


NO_WAITER: Final = None
Protocols = list[tuple[str, bytes]]


@dataclass(slots=True)
class ClassicMember:
    """A member; `protocols` are in its order of preference."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocol_type: str
    protocols: Protocols
    assignment: bytes = b""
    is_new: bool = False
    join_waiter: Waiter | None = NO_WAITER
    sync_waiter: Waiter | None = NO_WAITER

    @property
    def is_static(self) -> bool:
        return self.group_instance_id is not None

    @property
    def is_waiting(self) -> bool:
        """Whether a request of the member is parked; then it is surely alive."""
        return self.join_waiter is not None or self.sync_waiter is not None

    def metadata(self, protocol: str | None) -> bytes:
        return next((metadata for name, metadata in self.protocols if name == protocol), b"")

    def vote(self, candidates: frozenset[str]) -> str:
        """The member's favourite among `candidates`, all of which it supports."""
        return next(name for name, _ in self.protocols if name in candidates)


@dataclass(slots=True)
class ClassicGroup:
    group_id: str
    state: GroupState = GroupState.EMPTY
    state_timestamp_ms: int = -1
    generation_id: int = 0
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader_id: str | None = None
    members: dict[str, ClassicMember] = field(default_factory=dict)
    static_members: dict[str, str] = field(default_factory=dict)
    #: Members that were given an id (KIP-394) and have not come back with it.
    pending_members: dict[str, None] = field(default_factory=dict)
    #: Members that have not sent SyncGroup in this generation.
    pending_sync: dict[str, None] = field(default_factory=dict)
    #: How many members support each protocol.
    supporters: dict[str, int] = field(default_factory=dict)
    subscribed_topics: frozenset[str] | None = None
    #: The generation being prepared is the first since the group was empty.
    is_initial_rebalance: bool = False
    has_new_member: bool = False
    initial_delay_ms: int = 0
    initial_remaining_ms: int = 0

    def is_in(self, *states: GroupState) -> bool:
        return self.state in states

    def move_to(self, state: GroupState, wall_ms: int) -> None:
        self.state = state
        self.state_timestamp_ms = wall_ms

    # --- members

    def add(self, member: ClassicMember) -> None:
        assert member.member_id not in self.members
        if not self.members:
            self.protocol_type = member.protocol_type
        self.members[member.member_id] = member
        self._count_supporter(member, 1)
        self.pending_members.pop(member.member_id, None)
        if member.group_instance_id is not None:
            assert member.group_instance_id not in self.static_members
            self.static_members[member.group_instance_id] = member.member_id
        if self.leader_id is None:
            self.leader_id = member.member_id

    def remove(self, member_id: str) -> None:
        """Forget a member or a pending one; another member becomes leader."""
        self.pending_members.pop(member_id, None)
        self.pending_sync.pop(member_id, None)
        member = self.members.pop(member_id, None)
        if member is None:
            return
        self._count_supporter(member, -1)
        if member.group_instance_id is not None:
            self.static_members.pop(member.group_instance_id)
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)

    def replace_static(self, old_id: str, new_id: str) -> ClassicMember:
        """Give a static member its new id (KIP-345); its assignment stays."""
        member = self.members.pop(old_id)
        assert member.group_instance_id is not None
        member.member_id = new_id
        self.members[new_id] = member
        self.static_members[member.group_instance_id] = new_id
        if self.pending_sync.pop(old_id, 0) is None:
            self.pending_sync[new_id] = None
        if self.leader_id == old_id:
            self.leader_id = new_id
        return member

    def check_member(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """NONE, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID (KIP-345)."""
        if group_instance_id is not None:
            holder = self.static_members.get(group_instance_id)
            if holder is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if holder != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def check_commit(
        self,
        member_id: str,
        group_instance_id: str | None,
        generation_id: int,
        *,
        in_transaction: bool,
    ) -> ErrorCode:
        """Whether a commit fits the group's state.

        Without a member and a generation it comes from an administrator, a consumer
        that assigns itself, or an old transactional producer.
        """
        if generation_id < 0 and self.state is GroupState.EMPTY:
            return ErrorCode.NONE
        if generation_id >= 0 or member_id or group_instance_id is not None:
            error = self.check_member(member_id, group_instance_id)
            if error is not ErrorCode.NONE:
                return error
            if generation_id != self.generation_id:
                return ErrorCode.ILLEGAL_GENERATION
        elif not in_transaction and self.state is not GroupState.EMPTY:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not in_transaction and self.state is GroupState.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    @property
    def waiting_to_join(self) -> int:
        return sum(1 for member in self.members.values() if member.join_waiter is not None)

    @property
    def has_all_members_joined(self) -> bool:
        return not self.pending_members and self.waiting_to_join == len(self.members)

    def elect_joined_leader(self) -> bool:
        """Make sure that the leader is waiting to join; False if nobody is."""
        if self.leader_id is None:
            return False
        if self.members[self.leader_id].join_waiter is not None:
            return True
        for member in self.members.values():
            if member.join_waiter is not None:
                self.leader_id = member.member_id
                return True
        return False

    # --- protocols

    def _count_supporter(self, member: ClassicMember, change: int) -> None:
        for name in {name for name, _ in member.protocols}:
            self.supporters[name] = self.supporters.get(name, 0) + change

    def change_protocols(self, member: ClassicMember, protocols: Protocols) -> None:
        """The member supports these from now on."""
        self._count_supporter(member, -1)
        member.protocols = protocols
        self._count_supporter(member, 1)

    def _candidates(self) -> frozenset[str]:
        """Protocols that all members support."""
        everybody = len(self.members)
        return frozenset(name for name, count in self.supporters.items() if count == everybody)

    def supports(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        if not self.members:
            return bool(protocol_type) and any(True for _ in protocols)
        if self.protocol_type != protocol_type:
            return False
        everybody = len(self.members)
        return any(self.supporters.get(name) == everybody for name in protocols)

    def select_protocol(self) -> str:
        """The protocol with most votes among those that all members support."""
        candidates = self._candidates()
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = member.vote(candidates)
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=lambda name: votes[name])

    def compute_subscribed_topics(self) -> None:
        """Learn the subscribed topics; None when they cannot be known."""
        self.subscribed_topics = None
        if self.protocol_type != PROTOCOL_TYPE:
            return
        if not self.members:
            self.subscribed_topics = frozenset()
        elif self.protocol_name is not None:
            try:
                self.subscribed_topics = frozenset(
                    topic
                    for member in self.members.values()
                    for topic in subscribed_topics(member.metadata(self.protocol_name))
                )
            except ProtocolError:
                self.subscribed_topics = None

    def is_subscribed_to(self, topic: str) -> bool:
        if self.subscribed_topics is not None:
            return topic in self.subscribed_topics
        return self.protocol_type == PROTOCOL_TYPE and bool(self.members)

    def begin_generation(self, wall_ms: int) -> None:
        """Start the next generation, waiting for the leader's assignment, or empty."""
        self.generation_id = 1 if self.generation_id == 2**31 - 1 else self.generation_id + 1
        self.pending_sync.clear()
        if self.members:
            self.protocol_name = self.select_protocol()
            self.move_to(GroupState.COMPLETING_REBALANCE, wall_ms)
        else:
            self.protocol_name = None
            self.move_to(GroupState.EMPTY, wall_ms)
        self.compute_subscribed_topics()

    def member_list(self) -> list[JoinGroupResponseMember]:
        """What the leader is told of the members."""
        return [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.metadata(self.protocol_name),
            )
            for member in self.members.values()
        ]

    # --- the durable side

    def snapshot(self, assignments: dict[str, bytes]) -> GroupMetadataValue:
        """The group as its record tells it, each member with its assignment."""
        return GroupMetadataValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation_id,
            protocol=self.protocol_name,
            leader=self.leader_id,
            current_state_timestamp_ms=self.state_timestamp_ms,
            members=[
                GroupMember(
                    member_id=member.member_id,
                    group_instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout_ms=member.rebalance_timeout_ms,
                    session_timeout_ms=member.session_timeout_ms,
                    subscription=member.metadata(self.protocol_name),
                    assignment=assignments.get(member.member_id, b""),
                )
                for member in self.members.values()
            ],
        )


def restore(group_id: str, value: GroupMetadataValue) -> ClassicGroup:
    """The group that a restart finds: Stable with its members, or Empty."""
    group = ClassicGroup(
        group_id=group_id,
        state=GroupState.STABLE if value.members else GroupState.EMPTY,
        state_timestamp_ms=value.current_state_timestamp_ms,
        generation_id=value.generation,
        protocol_name=value.protocol,
        leader_id=value.leader,
    )
    for saved in value.members:
        # Version 0 of the record had one time-out for both purposes.
        rebalance_timeout_ms = saved.rebalance_timeout_ms
        group.add(
            ClassicMember(
                member_id=saved.member_id,
                group_instance_id=saved.group_instance_id,
                client_id=saved.client_id,
                client_host=saved.client_host,
                rebalance_timeout_ms=(
                    saved.session_timeout_ms if rebalance_timeout_ms == -1 else rebalance_timeout_ms
                ),
                session_timeout_ms=saved.session_timeout_ms,
                protocol_type=value.protocol_type,
                protocols=[(value.protocol or "", bytes(saved.subscription))],
                assignment=bytes(saved.assignment),
            )
        )
    group.protocol_type = value.protocol_type or None
    group.compute_subscribed_topics()
    return group
