"""One group of the consumer protocol (KIP-848), as its records tell it.

Everything here is durable: only the `replay_*` methods change it, from records
of key types 3 to 8 and 16. Decisions, in `consumer_group_protocol`, read it and
make new records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ottla.coordinator.assignors import Partitions
from ottla.coordinator.reconciliation import MemberState, Position
from ottla.coordinator.records import consumer_groups as records
from ottla.wire.errors import ErrorCode

#: Epochs in heartbeats that mean leaving: for good, or (static members) for a while.
LEAVE_EPOCH: Final = -1
STATIC_LEAVE_EPOCH: Final = -2


@dataclass(frozen=True, slots=True)
class ClassicSide:
    """What a member of the classic protocol brings into a consumer group."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerMember:
    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    subscribed_topic_names: tuple[str, ...] = ()
    subscribed_topic_regex: str = ""
    rebalance_timeout_ms: int = -1
    server_assignor: str | None = None
    classic: ClassicSide | None = None
    position: Position = field(default_factory=Position)

    def is_reconciled_to(self, assignment_epoch: int) -> bool:
        return (
            self.position.state is MemberState.STABLE
            and self.position.member_epoch == assignment_epoch
        )

    def metadata_record(self) -> records.ConsumerGroupMemberMetadataValue:
        classic = None
        if self.classic is not None:
            classic = records.ClassicMemberMetadata(
                self.classic.session_timeout_ms,
                [records.ClassicProtocolRecord(n, m) for n, m in self.classic.protocols],
            )
        return records.ConsumerGroupMemberMetadataValue(
            instance_id=self.instance_id,
            rack_id=self.rack_id,
            client_id=self.client_id,
            client_host=self.client_host,
            subscribed_topic_names=list(self.subscribed_topic_names),
            subscribed_topic_regex=self.subscribed_topic_regex,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            server_assignor=self.server_assignor,
            classic_member_metadata=classic,
        )

    def position_record(self) -> records.ConsumerGroupCurrentMemberAssignmentValue:
        position = self.position
        return records.ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=position.member_epoch,
            previous_member_epoch=position.previous_member_epoch,
            state=position.state,
            assigned_partitions=_current(position.assigned, position.since),
            partitions_pending_revocation=_current(position.pending_revocation, position.since),
        )


def _current(
    partitions: Partitions, since: Mapping[tuple[bytes, int], int]
) -> list[records.CurrentPartitions]:
    return [
        records.CurrentPartitions(
            topic_id, sorted(found), [since.get((topic_id, p), 0) for p in sorted(found)]
        )
        for topic_id, found in sorted(partitions.items())
    ]


def _since(
    found: Iterable[records.CurrentPartitions], member_epoch: int
) -> Iterator[tuple[tuple[bytes, int], int]]:
    """Records from before KIP-1251 do not say since when."""
    for item in found:
        epochs = item.assignment_epochs or [member_epoch] * len(item.partitions)
        for partition, epoch in zip(item.partitions, epochs, strict=False):
            yield (item.topic_id, partition), epoch


def _partitions(
    found: Iterable[records.CurrentPartitions | records.TargetPartitions],
) -> Partitions:
    return {item.topic_id: frozenset(item.partitions) for item in found}


@dataclass(slots=True)
class ConsumerGroup:
    group_id: str
    group_epoch: int = 0
    assignment_epoch: int = 0
    assignment_timestamp_ms: int = 0
    metadata_hash: int = 0
    members: dict[str, ConsumerMember] = field(default_factory=dict)
    static_members: dict[str, str] = field(default_factory=dict)
    target: dict[str, Partitions] = field(default_factory=dict)
    #: (topic id, partition) -> the member that holds it, given up or not.
    holders: dict[tuple[bytes, int], str] = field(default_factory=dict)
    #: Expression -> the topics it stood for when it was last looked at.
    resolved: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: At which state of the topics the group was last checked; a restart may lose it.
    checked_epoch: int = field(default=-1, compare=False)

    @property
    def state(self) -> str:
        """The name of the state as Kafka's tools print it."""
        if not self.members:
            return "Empty"
        if self.group_epoch > self.assignment_epoch:
            return "Assigning"
        if all(m.is_reconciled_to(self.assignment_epoch) for m in self.members.values()):
            return "Stable"
        return "Reconciling"

    def is_held(self, topic_id: bytes, partition: int) -> bool:
        return (topic_id, partition) in self.holders

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """Every topic the member is subscribed to, by name or by expression."""
        by_regex = self.resolved.get(member.subscribed_topic_regex, ())
        return frozenset(member.subscribed_topic_names) | frozenset(by_regex)

    def is_subscribed_to(self, topic: str) -> bool:
        return any(topic in self.topics_of(member) for member in self.members.values())

    def check_commit(
        self, member_id: str, member_epoch: int, api_version: int, *, in_transaction: bool
    ) -> ErrorCode:
        """Whether a commit fits; see `check_commit` for classic groups."""
        if member_epoch < 0 and not self.members:
            return ErrorCode.NONE
        member = self.members.get(member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not in_transaction and member.classic is None and api_version < 9:
            return ErrorCode.UNSUPPORTED_VERSION
        return _check_epoch(member, member_epoch)

    def is_still_owned(
        self, member_id: str, member_epoch: int, topic_id: bytes, partition: int
    ) -> bool:
        """Whether a member held a partition in an earlier epoch and has ever since.

        Then what it commits of it is good, although the member has moved on (KIP-1251).
        """
        member = self.members.get(member_id)
        if member is None or member.classic is not None:
            return False
        since = member.position.since.get((topic_id, partition))
        return since is not None and since <= member_epoch < member.position.member_epoch

    def check_fetch(self, member_id: str | None, member_epoch: int) -> ErrorCode:
        """Whether a fetch of offsets comes from a member in its present epoch."""
        if member_id is None and member_epoch < 0:
            return ErrorCode.NONE
        member = self.members.get(member_id or "")
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return _check_epoch(member, member_epoch)

    # --- replay

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left, as after the tombstones of a deleted group."""
        return not (self.group_epoch or self.members or self.target or self.assignment_epoch)

    def replay_epoch(self, value: records.ConsumerGroupMetadataValue | None) -> None:
        self.group_epoch = 0 if value is None else value.epoch
        self.metadata_hash = 0 if value is None else value.metadata_hash

    def replay_member(
        self, member_id: str, value: records.ConsumerGroupMemberMetadataValue | None
    ) -> None:
        known = self.members.get(member_id)
        if value is None:
            if known is not None:
                self._let_go(known)
                del self.members[member_id]
                if self.static_members.get(known.instance_id or "") == member_id:
                    del self.static_members[known.instance_id or ""]
            return
        classic = value.classic_member_metadata
        self.members[member_id] = ConsumerMember(
            member_id=member_id,
            instance_id=value.instance_id,
            rack_id=value.rack_id,
            client_id=value.client_id,
            client_host=value.client_host,
            subscribed_topic_names=tuple(value.subscribed_topic_names),
            subscribed_topic_regex=value.subscribed_topic_regex or "",
            rebalance_timeout_ms=value.rebalance_timeout_ms,
            server_assignor=value.server_assignor,
            classic=None
            # Nothing is said in what Ottla wrote before it wrote the null that Kafka writes.
            if classic is None or not classic.supported_protocols
            else ClassicSide(
                classic.session_timeout_ms,
                tuple((p.name, bytes(p.metadata)) for p in classic.supported_protocols),
            ),
            position=Position() if known is None else known.position,
        )
        if value.instance_id is not None:
            self.static_members[value.instance_id] = member_id

    def replay_assignment_epoch(
        self, value: records.ConsumerGroupTargetAssignmentMetadataValue | None
    ) -> None:
        self.assignment_epoch = 0 if value is None else value.assignment_epoch
        self.assignment_timestamp_ms = 0 if value is None else value.assignment_timestamp_ms

    def replay_target(
        self, member_id: str, value: records.ConsumerGroupTargetAssignmentMemberValue | None
    ) -> None:
        if value is None:
            self.target.pop(member_id, None)
        else:
            self.target[member_id] = _partitions(value.topic_partitions)

    def replay_position(
        self, member_id: str, value: records.ConsumerGroupCurrentMemberAssignmentValue | None
    ) -> None:
        known = self.members.get(member_id)
        if known is None:
            if value is None:
                return
            # Compaction may have kept this record and moved the metadata's behind it.
            known = ConsumerMember(member_id=member_id)
        self._let_go(known)
        position = Position()
        if value is not None:
            states = {state.value for state in MemberState}
            position = Position(
                member_epoch=value.member_epoch,
                previous_member_epoch=value.previous_member_epoch,
                state=MemberState(value.state) if value.state in states else MemberState.UNKNOWN,
                assigned=_partitions(value.assigned_partitions),
                pending_revocation=_partitions(value.partitions_pending_revocation),
                since=dict(
                    _since(
                        [*value.assigned_partitions, *value.partitions_pending_revocation],
                        value.member_epoch,
                    )
                ),
            )
        self.members[member_id] = replace(known, position=position)
        for partitions in (position.assigned, position.pending_revocation):
            for topic_id, found in partitions.items():
                for partition in found:
                    self.holders[topic_id, partition] = member_id

    def _let_go(self, member: ConsumerMember) -> None:
        for partitions in (member.position.assigned, member.position.pending_revocation):
            for topic_id, found in partitions.items():
                for partition in found:
                    if self.holders.get((topic_id, partition)) == member.member_id:
                        del self.holders[topic_id, partition]

    def replay_regex(
        self, regex: str, value: records.ConsumerGroupRegularExpressionValue | None
    ) -> None:
        if value is None:
            self.resolved.pop(regex, None)
        else:
            self.resolved[regex] = tuple(value.topics)


def _check_epoch(member: ConsumerMember, member_epoch: int) -> ErrorCode:
    if member_epoch == member.position.member_epoch:
        return ErrorCode.NONE
    if member.classic is not None:
        return ErrorCode.ILLEGAL_GENERATION
    return ErrorCode.STALE_MEMBER_EPOCH
