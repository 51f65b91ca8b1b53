"""ConsumerGroupHeartbeat: joining, keeping alive, reconciling and leaving (KIP-848).

`ConsumerProtocol` decides; it changes only timers. One heartbeat does, in this
order: find or make the member, take over its subscription, raise the group's
epoch if that or the topics changed, compute a new target assignment if the
epoch is ahead of it, and move the member one step towards its target.

Errors are answered with a code and a sentence; `GroupRefusal` carries them.

Timers (`TimerKey.kind`): "session" and "rebalance", each per member, and those
of classic members ("rejoin" and "member-sync", see `consumer_group_classic`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ottla.coordinator.assignors import (
    CONSUMER_ASSIGNORS,
    NOTHING,
    AssignmentMember,
    Partitions,
)
from ottla.coordinator.consumer_group import (
    STATIC_LEAVE_EPOCH,
    ConsumerGroup,
    ConsumerMember,
)
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.linear_regex import LinearRegex, RegexError
from ottla.coordinator.outcome import Client, Outcome
from ottla.coordinator.reconciliation import MemberState, Position, reconcile
from ottla.coordinator.records import consumer_groups as records
from ottla.coordinator.timers import TimerKey, Timers
from ottla.coordinator.topic_catalog import TopicCatalog, TopicInfo
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import consumer_group_heartbeat as messages

#: Kinds of timers that a member may have; the last two only classic members do.
MEMBER_TIMERS: Final = ("session", "rebalance", "rejoin", "member-sync")
#: From this version the client makes its member id itself (KIP-1082).
CLIENT_MAKES_ID_FROM: Final = 1


class GroupRefusal(Exception):
    """A request that the group refuses; nothing has changed."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Step:
    """The group as it will be once the records of this decision are replayed."""

    group: ConsumerGroup
    out: Outcome
    members: dict[str, ConsumerMember]
    target: dict[str, Partitions]
    resolved: dict[str, tuple[str, ...]]
    group_epoch: int
    assignment_epoch: int
    wall_ms: int

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        by_regex = self.resolved.get(member.subscribed_topic_regex, ())
        return frozenset(member.subscribed_topic_names) | frozenset(by_regex)


class ConsumerProtocol:
    def __init__(
        self,
        config: GroupConfig,
        timers: Timers,
        topics: TopicCatalog,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._config = config
        self._timers = timers
        self._topics = topics
        self._random_bytes = random_bytes

    # --- the heartbeat

    def heartbeat(
        self,
        group: ConsumerGroup,
        request: messages.ConsumerGroupHeartbeatRequest,
        client: Client,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> messages.ConsumerGroupHeartbeatResponse:
        """Add the records of a heartbeat to `out`; returns the answer.

        Errors: `GroupRefusal`.
        """
        if request.member_epoch < 0:
            return self._leave(group, request, out)
        joins = request.member_epoch == 0
        if len(group.members) >= self._config.group_consumer_max_size and (
            request.member_id not in group.members
        ):
            raise GroupRefusal(
                ErrorCode.GROUP_MAX_SIZE_REACHED,
                "The consumer group has reached its maximum capacity of "
                f"{self._config.group_consumer_max_size} members.",
            )
        owned = owned_of(request)
        step = self.begin(group, wall_ms, out)
        member_id = request.member_id or self.new_id()
        known = self.find_member(step, member_id, request, owned, joins)
        member = updated(known, request, client)
        self.subscribe(step, known, member)
        member = self.move(step, member, owned, mono_ms)
        self.expect_heartbeat(group.group_id, member, mono_ms)
        response = messages.ConsumerGroupHeartbeatResponse(
            member_id=member.member_id,
            member_epoch=member.position.member_epoch,
            heartbeat_interval_ms=self._config.of_group(
                group.group_id, "consumer.heartbeat.interval.ms"
            ),
        )
        is_full = joins or (
            request.rebalance_timeout_ms != -1
            and (
                request.subscribed_topic_names is not None
                or request.subscribed_topic_regex is not None
            )
            and request.topic_partitions is not None
        )
        if is_full or member.position.assigned != known.position.assigned:
            response.assignment = messages.Assignment(
                [
                    messages.ResponseTopicPartitions(topic_id, sorted(partitions))
                    for topic_id, partitions in sorted(member.position.assigned.items())
                ]
            )
        return response

    def new_id(self) -> str:
        """A member id in the shape of Kafka's own: 22 characters."""
        return base64.urlsafe_b64encode(self._random_bytes(16)).decode().rstrip("=")

    def begin(self, group: ConsumerGroup, wall_ms: int, out: Outcome) -> Step:
        return Step(
            group=group,
            out=out,
            members=dict(group.members),
            target=dict(group.target),
            resolved=dict(group.resolved),
            group_epoch=group.group_epoch,
            assignment_epoch=group.assignment_epoch,
            wall_ms=wall_ms,
        )

    def find_member(
        self,
        step: Step,
        member_id: str,
        request: messages.ConsumerGroupHeartbeatRequest,
        owned: Partitions | None,
        joins: bool,
    ) -> ConsumerMember:
        """The member as it is, or a new one; a static one is replaced if it left."""
        group = step.group
        if request.instance_id is None:
            known = group.members.get(member_id)
            if known is None:
                if not joins:
                    raise unknown_member(member_id, group)
                return ConsumerMember(member_id=member_id)
        else:
            holder = group.static_members.get(request.instance_id)
            known = group.members.get(holder or "")
            if known is None or holder is None:
                if not joins:
                    raise GroupRefusal(
                        ErrorCode.UNKNOWN_MEMBER_ID,
                        f"Instance id {request.instance_id} is unknown.",
                    )
                return group.members.get(member_id) or ConsumerMember(member_id=member_id)
            if joins and holder != member_id:
                return self._replace_static(step, known, member_id)
            check_static_holder(known, member_id)
        if joins:
            # A member that begins anew has given up whatever it had.
            return replace(known, position=Position())
        check_epoch(known, request.member_epoch, owned)
        return known

    def find_classic_member(
        self, step: Step, member_id: str, instance_id: str | None, *, is_new: bool
    ) -> ConsumerMember:
        """The member that joins with JoinGroup as it is, or a new one."""
        group = step.group
        if instance_id is None:
            return group.members.get(member_id) or ConsumerMember(member_id=member_id)
        holder = group.static_members.get(instance_id)
        if holder is None:
            if not is_new:
                raise unknown_member(member_id, group)
            return ConsumerMember(member_id=member_id)
        known = group.members[holder]
        if is_new:
            # Whoever was there before is fenced, as in a classic group.
            return self._hand_over(step, known, member_id)
        check_static_holder(known, member_id)
        return known

    def _replace_static(self, step: Step, known: ConsumerMember, member_id: str) -> ConsumerMember:
        """Hand a static member's place, with its partitions, to a new member id."""
        if known.classic is None and known.position.member_epoch != STATIC_LEAVE_EPOCH:
            raise GroupRefusal(
                ErrorCode.UNRELEASED_INSTANCE_ID,
                f"Static member {member_id} with instance id {known.instance_id} cannot join "
                f"the group because the instance id is owned by {known.member_id} member.",
            )
        return self._hand_over(step, known, member_id)

    def _hand_over(self, step: Step, known: ConsumerMember, member_id: str) -> ConsumerMember:
        group_id = step.group.group_id
        self.cancel_timers(group_id, known.member_id)
        erase_member(step.out, group_id, known.member_id)
        del step.members[known.member_id]
        position = replace(known.position, member_epoch=0, previous_member_epoch=0)
        member = replace(known, member_id=member_id, position=position)
        step.members[member_id] = member
        step.target[member_id] = step.target.pop(known.member_id, NOTHING)
        self._write_metadata(step, member)
        self._write_target(step, member_id)
        step.out.write(
            records.ConsumerGroupCurrentMemberAssignmentKey(group_id, member_id),
            member.position_record(),
        )
        return member

    # --- subscription and target

    def subscribe(self, step: Step, known: ConsumerMember, member: ConsumerMember) -> None:
        """Take over what the member wants; afterwards the target is up to date."""
        is_new = known.member_id not in step.members
        step.members[member.member_id] = member
        if is_new or replace(member, position=known.position) != known:
            self._write_metadata(step, member)
        bump = is_new or (
            member.subscribed_topic_names != known.subscribed_topic_names
            or member.subscribed_topic_regex != known.subscribed_topic_regex
        )
        topics_changed = step.group.checked_epoch != self._topics.epoch
        if bump or topics_changed:
            self._resolve(step, again=topics_changed)
            metadata_hash = self._metadata_hash(step)
            if bump or metadata_hash != step.group.metadata_hash:
                self._write_epoch(step, metadata_hash)
            step.group.checked_epoch = self._topics.epoch
        if step.group_epoch > step.assignment_epoch and self._may_assign(step):
            self._assign(step)

    def _may_assign(self, step: Step) -> bool:
        """Whether the last assignment is old enough for another one (KIP-1263)."""
        group = step.group
        interval_ms = self._config.of_group(group.group_id, "consumer.assignment.interval.ms")
        return may_assign(group.assignment_timestamp_ms, interval_ms, step.wall_ms)

    def _write_metadata(self, step: Step, member: ConsumerMember) -> None:
        key = records.ConsumerGroupMemberMetadataKey(step.group.group_id, member.member_id)
        step.out.write(key, member.metadata_record())

    def _write_epoch(self, step: Step, metadata_hash: int) -> None:
        step.group_epoch += 1
        step.out.write(
            records.ConsumerGroupMetadataKey(step.group.group_id),
            records.ConsumerGroupMetadataValue(step.group_epoch, metadata_hash),
        )

    def _resolve(self, step: Step, *, again: bool) -> None:
        """Find the topics of each expression in use; forget those not in use."""
        in_use = {m.subscribed_topic_regex for m in step.members.values()} - {""}
        for regex in sorted(in_use):
            if regex in step.resolved and not again:
                continue
            compiled = LinearRegex(regex)
            found = tuple(n for n in sorted(self._topics.topic_names()) if compiled.matches(n))
            if step.resolved.get(regex) == found:
                continue
            step.resolved[regex] = found
            step.out.write(
                records.ConsumerGroupRegularExpressionKey(step.group.group_id, regex),
                records.ConsumerGroupRegularExpressionValue(
                    list(found), self._topics.epoch, step.wall_ms
                ),
            )
        for regex in sorted(step.resolved.keys() - in_use):
            del step.resolved[regex]
            step.out.erase(records.ConsumerGroupRegularExpressionKey(step.group.group_id, regex))

    def _subscribed(self, step: Step) -> dict[str, tuple[bytes, int]]:
        """The existing topics that members want: id and partition count by name."""
        names = {name for m in step.members.values() for name in step.topics_of(m)}
        found = {}
        for name in sorted(names):
            topic = self._topics.topic_by_name(name)
            if topic is not None:
                found[name] = (topic.topic_id, topic.partition_count)
        return found

    def _metadata_hash(self, step: Step) -> int:
        return hash_of_topics(
            TopicInfo(name, topic_id, count)
            for name, (topic_id, count) in self._subscribed(step).items()
        )

    def _assign(self, step: Step) -> None:
        topics = self._subscribed(step)
        members = [
            AssignmentMember(
                member.member_id,
                member.instance_id,
                frozenset(topics[n][0] for n in step.topics_of(member) if n in topics),
                step.target.get(member.member_id, NOTHING),
            )
            for member in step.members.values()
        ]
        assignor = CONSUMER_ASSIGNORS[preferred_assignor(step.members.values())]
        assigned = assignor(members, dict(topics.values()))
        for member_id in sorted(assigned):
            if step.target.get(member_id) != assigned[member_id]:
                step.target[member_id] = assigned[member_id]
                self._write_target(step, member_id)
        step.assignment_epoch = step.group_epoch
        step.out.write(
            records.ConsumerGroupTargetAssignmentMetadataKey(step.group.group_id),
            records.ConsumerGroupTargetAssignmentMetadataValue(step.group_epoch, step.wall_ms),
        )

    def _write_target(self, step: Step, member_id: str) -> None:
        step.out.write(
            records.ConsumerGroupTargetAssignmentMemberKey(step.group.group_id, member_id),
            records.ConsumerGroupTargetAssignmentMemberValue(
                [
                    records.TargetPartitions(topic_id, sorted(partitions))
                    for topic_id, partitions in sorted(step.target[member_id].items())
                ]
            ),
        )

    # --- reconciliation

    def move(
        self, step: Step, member: ConsumerMember, owned: Partitions | None, mono_ms: int
    ) -> ConsumerMember:
        """One step towards the target; starts or stops the time for revoking."""
        group = step.group
        known = group.members.get(member.member_id)
        begins_anew = member.position.member_epoch == 0

        def is_held(topic_id: bytes, partition: int) -> bool:
            holder = group.holders.get((topic_id, partition))
            return holder is not None and not (begins_anew and holder == member.member_id)

        position = reconcile(
            member.position,
            step.target.get(member.member_id, NOTHING),
            step.assignment_epoch,
            owned,
            is_held,
        )
        moved = replace(member, position=position)
        if known is not None and position == known.position:
            return moved
        step.members[member.member_id] = moved
        step.out.write(
            records.ConsumerGroupCurrentMemberAssignmentKey(group.group_id, member.member_id),
            moved.position_record(),
        )
        key = TimerKey("rebalance", group.group_id, member.member_id)
        if position.state is MemberState.UNREVOKED_PARTITIONS and member.classic is None:
            self._timers.schedule(key, mono_ms + member.rebalance_timeout_ms)
        else:
            self._timers.cancel(key)
        return moved

    def expect_heartbeat(self, group_id: str, member: ConsumerMember, mono_ms: int) -> None:
        """The session of a classic member has the length its client asked for."""
        timeout_ms = self._config.of_group(group_id, "consumer.session.timeout.ms")
        if member.classic is not None:
            timeout_ms = member.classic.session_timeout_ms
        key = TimerKey("session", group_id, member.member_id)
        self._timers.schedule(key, mono_ms + timeout_ms)

    def expect_heartbeats(self, group: ConsumerGroup, mono_ms: int) -> None:
        """Start the sessions of a group that a restart found."""
        for member in group.members.values():
            self.expect_heartbeat(group.group_id, member, mono_ms)
            is_late = member.position.state is MemberState.UNREVOKED_PARTITIONS
            if is_late and member.classic is None:
                key = TimerKey("rebalance", group.group_id, member.member_id)
                self._timers.schedule(key, mono_ms + max(0, member.rebalance_timeout_ms))

    def cancel_timers(self, group_id: str, member_id: str) -> None:
        for kind in MEMBER_TIMERS:
            self._timers.cancel(TimerKey(kind, group_id, member_id))

    # --- leaving

    def _leave(
        self,
        group: ConsumerGroup,
        request: messages.ConsumerGroupHeartbeatRequest,
        out: Outcome,
    ) -> messages.ConsumerGroupHeartbeatResponse:
        """Check who leaves; for good (-1), the caller removes the member."""
        if request.instance_id is None:
            member = group.members.get(request.member_id)
            if member is None:
                raise unknown_member(request.member_id, group)
        else:
            holder = group.static_members.get(request.instance_id)
            if holder is None:
                raise GroupRefusal(
                    ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {request.instance_id} is unknown."
                )
            member = group.members[holder]
            check_static_holder(member, request.member_id)
        if request.member_epoch == STATIC_LEAVE_EPOCH:
            # Its place stays, until it comes back or its session ends.
            position = replace(
                member.position, member_epoch=STATIC_LEAVE_EPOCH, pending_revocation=NOTHING
            )
            out.write(
                records.ConsumerGroupCurrentMemberAssignmentKey(group.group_id, member.member_id),
                replace(member, position=position).position_record(),
            )
        return messages.ConsumerGroupHeartbeatResponse(
            member_id=member.member_id, member_epoch=request.member_epoch
        )

    def remove(
        self, group: ConsumerGroup, member_ids: list[str], wall_ms: int, out: Outcome
    ) -> None:
        """Remove members; the others hear of it with their next heartbeats."""
        step = self.begin(group, wall_ms, out)
        for member_id in member_ids:
            self.cancel_timers(group.group_id, member_id)
            erase_member(out, group.group_id, member_id)
            del step.members[member_id]
        self._resolve(step, again=False)
        self._write_epoch(step, self._metadata_hash(step))

    def is_overdue(self, group: ConsumerGroup, key: TimerKey) -> bool:
        """Whether a member went silent, or did not do in time what it was told."""
        member = group.members.get(key.member_id)
        if member is None or key.kind not in MEMBER_TIMERS:
            return False
        is_revoking = member.position.state is MemberState.UNREVOKED_PARTITIONS
        return key.kind != "rebalance" or is_revoking

    def erase_group(self, group: ConsumerGroup, out: Outcome) -> None:
        """Tombstones for everything of an empty group."""
        assert not group.members
        for regex in sorted(group.resolved):
            out.erase(records.ConsumerGroupRegularExpressionKey(group.group_id, regex))
        out.erase(records.ConsumerGroupTargetAssignmentMetadataKey(group.group_id))
        out.erase(records.ConsumerGroupMetadataKey(group.group_id))


# --- checks


def check_request(request: messages.ConsumerGroupHeartbeatRequest, client: Client) -> None:
    """Errors: `GroupRefusal` for a request that is wrong whatever the group."""

    def refuse(message: str, code: ErrorCode = ErrorCode.INVALID_REQUEST) -> None:
        raise GroupRefusal(code, message)

    if not request.group_id:
        refuse("GroupId can't be empty.")
    if request.instance_id == "":
        refuse("InstanceId can't be empty.")
    if request.rack_id == "":
        refuse("RackId can't be empty.")
    epoch = request.member_epoch
    if not request.member_id and (client.api_version >= CLIENT_MAKES_ID_FROM or epoch != 0):
        refuse("MemberId can't be empty.")
    if epoch < STATIC_LEAVE_EPOCH:
        refuse("MemberEpoch is invalid.")
    if epoch == STATIC_LEAVE_EPOCH and request.instance_id is None:
        refuse("InstanceId can't be null.")
    if epoch == 0:
        if request.rebalance_timeout_ms == -1:
            refuse("RebalanceTimeoutMs must be provided in first request.")
        if request.topic_partitions is None or request.topic_partitions:
            refuse("TopicPartitions must be empty when (re-)joining.")
        if not request.subscribed_topic_names and not request.subscribed_topic_regex:
            refuse(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
                "(re-)joining."
            )
    if request.server_assignor is not None and request.server_assignor not in CONSUMER_ASSIGNORS:
        refuse(
            f"ServerAssignor {request.server_assignor} is not supported. Supported assignors: "
            f"{', '.join(CONSUMER_ASSIGNORS)}.",
            ErrorCode.UNSUPPORTED_ASSIGNOR,
        )
    if request.subscribed_topic_regex:
        try:
            LinearRegex(request.subscribed_topic_regex)
        except RegexError as error:
            refuse(
                f"SubscribedTopicRegex `{request.subscribed_topic_regex}` is not a valid "
                f"regular expression: {error}.",
                ErrorCode.INVALID_REGULAR_EXPRESSION,
            )


def may_assign(last_ms: int, interval_ms: int, wall_ms: int) -> bool:
    """A clock that was set back must not hold a group up."""
    return not 0 <= wall_ms - last_ms < interval_ms


def hash_of_topics(topics: Iterable[TopicInfo]) -> int:
    """A number that changes with the topics a group is subscribed to."""
    digest = hashlib.blake2b(digest_size=8)
    for topic in topics:
        text = f"{topic.name}\0{topic.topic_id.hex()}\0{topic.partition_count}\0"
        digest.update(text.encode())
    return int.from_bytes(digest.digest(), "big", signed=True)


def unknown_member(member_id: str, group: ConsumerGroup) -> GroupRefusal:
    return GroupRefusal(
        ErrorCode.UNKNOWN_MEMBER_ID,
        f"Member {member_id} is not a member of group {group.group_id}.",
    )


def check_static_holder(known: ConsumerMember, member_id: str) -> None:
    if known.member_id != member_id:
        raise GroupRefusal(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {known.instance_id} was fenced by "
            f"member {known.member_id}.",
        )


def check_epoch(known: ConsumerMember, member_epoch: int, owned: Partitions | None) -> None:
    """A member may be one epoch behind, when the answer that raised it got lost."""
    position = known.position
    if member_epoch == position.member_epoch:
        return
    is_retry = (
        member_epoch < position.member_epoch
        and member_epoch == position.previous_member_epoch
        and owned is not None
        and all(found <= position.assigned.get(t, frozenset()) for t, found in owned.items())
    )
    if not is_retry:
        size = "greater" if member_epoch > position.member_epoch else "smaller"
        raise GroupRefusal(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The consumer group member has a {size} member epoch ({member_epoch}) than the one "
            f"known by the group coordinator ({position.member_epoch}). The member must abandon "
            "all its partitions and rejoin.",
        )


def owned_of(request: messages.ConsumerGroupHeartbeatRequest) -> Partitions | None:
    """The partitions that the member says it holds; None when it does not say."""
    if request.topic_partitions is None:
        return None
    return {t.topic_id: frozenset(t.partitions) for t in request.topic_partitions}


def updated(
    known: ConsumerMember, request: messages.ConsumerGroupHeartbeatRequest, client: Client
) -> ConsumerMember:
    """The member with what the request says; absent fields stay as they were."""
    names = known.subscribed_topic_names
    if request.subscribed_topic_names is not None:
        names = tuple(sorted(set(request.subscribed_topic_names)))
    regex = request.subscribed_topic_regex
    timeout_ms = request.rebalance_timeout_ms
    return replace(
        known,
        instance_id=request.instance_id or known.instance_id,
        rack_id=request.rack_id or known.rack_id,
        rebalance_timeout_ms=known.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        server_assignor=request.server_assignor or known.server_assignor,
        subscribed_topic_names=names,
        subscribed_topic_regex=known.subscribed_topic_regex if regex is None else regex,
        client_id=client.client_id,
        client_host=client.client_host,
        classic=None,
    )


def preferred_assignor(members: Iterable[ConsumerMember]) -> str:
    """The assignor that most members ask for; the first one where none is asked for."""
    votes = dict.fromkeys(CONSUMER_ASSIGNORS, 0)
    for member in members:
        if member.server_assignor in votes:
            votes[member.server_assignor] += 1
    return max(votes, key=lambda name: votes[name])


def erase_member(out: Outcome, group_id: str, member_id: str) -> None:
    out.erase(records.ConsumerGroupCurrentMemberAssignmentKey(group_id, member_id))
    out.erase(records.ConsumerGroupTargetAssignmentMemberKey(group_id, member_id))
    out.erase(records.ConsumerGroupMemberMetadataKey(group_id, member_id))
