"""Members of the classic protocol in a KIP-848 group.

A consumer that still speaks JoinGroup, SyncGroup, Heartbeat and LeaveGroup can
be a member of a consumer group. Its generation is its member epoch. Where a
heartbeat of the new protocol would bring news, it is told to join again; a
join tells the group what it owns, and the sync that follows brings what it is
assigned. Nobody is leader: the assignment is made here.

Timers: "rejoin" (it was told to join again) and "member-sync" (it has joined
and has not fetched its assignment).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ottla.coordinator.classic_protocol import (
    MEMBER_ID_REQUIRED_FROM,
    leave_response,
    leaving_members,
    rebalance_timeout_ms,
)
from ottla.coordinator.consumer_group import ClassicSide, ConsumerGroup, ConsumerMember
from ottla.coordinator.consumer_group_protocol import (
    ConsumerProtocol,
    GroupRefusal,
    check_static_holder,
    unknown_member,
)
from ottla.coordinator.consumer_protocol import (
    PROTOCOL_TYPE,
    decode_subscription,
    encode_assignment,
    version_of,
)
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.group_migration import to_assignment, to_partitions_by_id
from ottla.coordinator.outcome import Client, Outcome, Waiter
from ottla.coordinator.reconciliation import MemberState
from ottla.coordinator.timers import TimerKey, Timers
from ottla.coordinator.topic_catalog import TopicCatalog
from ottla.wire.errors import ErrorCode, ProtocolError
from ottla.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from ottla.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

NO_SUBSCRIPTION: Final = "Malformed embedded consumer protocol in subscription deserialization."


class ClassicMembers:
    def __init__(
        self,
        config: GroupConfig,
        timers: Timers,
        topics: TopicCatalog,
        protocol: ConsumerProtocol,
    ) -> None:
        self._config = config
        self._timers = timers
        self._topics = topics
        self._protocol = protocol

    # --- JoinGroup

    def join(
        self,
        group: ConsumerGroup,
        request: JoinGroupRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Join, or join again; always answered at once."""
        out = Outcome()
        try:
            response = self._join(group, request, client, wall_ms, mono_ms, out)
        except GroupRefusal as refusal:
            out = Outcome()
            response = JoinGroupResponse(error_code=refusal.code, member_id=request.member_id)
        out.reply(waiter, response)
        return out

    def _join(
        self,
        group: ConsumerGroup,
        request: JoinGroupRequest,
        client: Client,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> JoinGroupResponse:
        member_id = request.member_id or self._protocol.new_id()
        if len(group.members) >= self._config.group_consumer_max_size and (
            member_id not in group.members
        ):
            raise GroupRefusal(ErrorCode.GROUP_MAX_SIZE_REACHED, "The group is full.")
        protocols = tuple((p.name, bytes(p.metadata)) for p in request.protocols)
        if request.protocol_type != PROTOCOL_TYPE or not _shares_protocol(group, protocols):
            raise GroupRefusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "No protocol in common.")
        is_dynamic = request.group_instance_id is None
        if not request.member_id and is_dynamic and client.api_version >= MEMBER_ID_REQUIRED_FROM:
            return JoinGroupResponse(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id=member_id)
        try:
            _, subscription = decode_subscription(protocols[0][1])
        except ProtocolError:
            raise GroupRefusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, NO_SUBSCRIPTION) from None
        step = self._protocol.begin(group, wall_ms, out)
        known = self._protocol.find_classic_member(
            step, member_id, request.group_instance_id, is_new=not request.member_id
        )
        member = replace(
            known,
            instance_id=request.group_instance_id or known.instance_id,
            rack_id=subscription.rack_id or known.rack_id,
            rebalance_timeout_ms=rebalance_timeout_ms(request),
            subscribed_topic_names=tuple(sorted(set(subscription.topics))),
            subscribed_topic_regex="",
            client_id=client.client_id,
            client_host=client.client_host,
            classic=ClassicSide(request.session_timeout_ms, protocols),
        )
        self._protocol.subscribe(step, known, member)
        owned = to_partitions_by_id(subscription.owned_partitions, self._topics)
        member = self._protocol.move(step, member, owned, mono_ms)
        self._timers.cancel(TimerKey("rejoin", group.group_id, member.member_id))
        self._protocol.expect_heartbeat(group.group_id, member, mono_ms)
        self._timers.schedule(
            TimerKey("member-sync", group.group_id, member.member_id),
            mono_ms + member.rebalance_timeout_ms,
        )
        return JoinGroupResponse(
            generation_id=member.position.member_epoch,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=protocols[0][0],
            member_id=member.member_id,
        )

    # --- SyncGroup and Heartbeat

    def sync(
        self, group: ConsumerGroup, request: SyncGroupRequest, waiter: Waiter, mono_ms: int
    ) -> Outcome:
        """Fetch what the member is assigned in its epoch."""
        out = Outcome()
        try:
            member = _member(group, request.member_id, request.group_instance_id)
            _check_generation(member, request.generation_id)
            response = self._sync(group, member, request, mono_ms)
        except GroupRefusal as refusal:
            response = SyncGroupResponse(error_code=refusal.code)
        out.reply(waiter, response)
        return out

    def _sync(
        self,
        group: ConsumerGroup,
        member: ConsumerMember,
        request: SyncGroupRequest,
        mono_ms: int,
    ) -> SyncGroupResponse:
        assert member.classic is not None
        name, metadata = member.classic.protocols[0]
        if (request.protocol_type or PROTOCOL_TYPE) != PROTOCOL_TYPE or (
            request.protocol_name or name
        ) != name:
            raise GroupRefusal(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "Another protocol.")
        is_revoking = member.position.state is MemberState.UNREVOKED_PARTITIONS
        if group.group_epoch > member.position.member_epoch and not is_revoking:
            self._expect_rejoin(group, member, mono_ms)
            raise GroupRefusal(ErrorCode.REBALANCE_IN_PROGRESS, "Join again.")
        self._timers.cancel(TimerKey("member-sync", group.group_id, member.member_id))
        self._protocol.expect_heartbeat(group.group_id, member, mono_ms)
        assignment = to_assignment(member.position.assigned, self._topics)
        return SyncGroupResponse(
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignment=encode_assignment(assignment, version_of(metadata)),
        )

    def heartbeat(
        self, group: ConsumerGroup, request: HeartbeatRequest, waiter: Waiter, mono_ms: int
    ) -> Outcome:
        """Keep alive; REBALANCE_IN_PROGRESS when joining again would bring something."""
        error = ErrorCode.NONE
        try:
            member = _member(group, request.member_id, request.group_instance_id)
            _check_generation(member, request.generation_id)
            self._protocol.expect_heartbeat(group.group_id, member, mono_ms)
            if _should_rejoin(group, member):
                self._expect_rejoin(group, member, mono_ms)
                error = ErrorCode.REBALANCE_IN_PROGRESS
        except GroupRefusal as refusal:
            error = refusal.code
        out = Outcome()
        out.reply(waiter, HeartbeatResponse(error_code=error))
        return out

    def _expect_rejoin(self, group: ConsumerGroup, member: ConsumerMember, mono_ms: int) -> None:
        key = TimerKey("rejoin", group.group_id, member.member_id)
        if key not in self._timers:
            self._timers.schedule(key, mono_ms + member.rebalance_timeout_ms)

    # --- LeaveGroup

    def leave(
        self, group: ConsumerGroup, request: LeaveGroupRequest, client: Client
    ) -> tuple[list[str], LeaveGroupResponse]:
        """Who leaves, and the answer; the caller removes them."""
        answers: list[MemberResponse] = []
        leaving: list[str] = []
        for identity in leaving_members(request, client):
            error = ErrorCode.NONE
            try:
                member = _leaving(group, identity)
                if member.member_id not in leaving:
                    leaving.append(member.member_id)
            except GroupRefusal as refusal:
                error = refusal.code
            answers.append(MemberResponse(identity.member_id, identity.group_instance_id, error))
        return leaving, leave_response(answers, client)


def _member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """The classic member that speaks. Errors: `GroupRefusal`."""
    if instance_id is not None:
        holder = group.static_members.get(instance_id)
        if holder is None:
            raise unknown_member(member_id, group)
        check_static_holder(group.members[holder], member_id)
    member = group.members.get(member_id)
    if member is None or member.classic is None:
        raise unknown_member(member_id, group)
    return member


def _leaving(group: ConsumerGroup, identity: MemberIdentity) -> ConsumerMember:
    """An administrator may name a static member by its instance alone."""
    member_id = identity.member_id
    if not member_id and identity.group_instance_id is not None:
        member_id = group.static_members.get(identity.group_instance_id, "")
    return _member(group, member_id, identity.group_instance_id)


def _check_generation(member: ConsumerMember, generation_id: int) -> None:
    if member.position.member_epoch != generation_id:
        raise GroupRefusal(ErrorCode.ILLEGAL_GENERATION, "Another generation.")


def _should_rejoin(group: ConsumerGroup, member: ConsumerMember) -> bool:
    position = member.position
    if position.member_epoch < group.group_epoch:
        return True
    if position.state is MemberState.UNREVOKED_PARTITIONS:
        return True
    if position.state is not MemberState.UNRELEASED_PARTITIONS:
        return False
    target = group.target.get(member.member_id, {})
    return not any(
        partition not in position.assigned.get(topic_id, frozenset())
        and group.is_held(topic_id, partition)
        for topic_id, partitions in target.items()
        for partition in partitions
    )


def _shares_protocol(group: ConsumerGroup, protocols: tuple[tuple[str, bytes], ...]) -> bool:
    """Whether all classic members know one of the protocols."""
    names = {name for name, _ in protocols}
    for member in group.members.values():
        if member.classic is not None:
            names &= {name for name, _ in member.classic.protocols}
    return bool(names)
