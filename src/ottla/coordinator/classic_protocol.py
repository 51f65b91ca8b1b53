"""The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

`ClassicProtocol` decides. Each method takes the group, the request, whoever
waits for the reply and both times, changes the group's live side, and adds
records and replies to an `Outcome`. A member whose answer must wait is parked
in the group: its waiter is answered by a later outcome, which may be that of
another member's request or of a timer.

Sources: KIP-394 (member id required), KIP-345 (static members), KIP-134
(initial delay), KIP-389 (group size), KIP-814 (static leaders skip the
assignment). Kafka's order of checks is kept, because clients see it.

Timers (`TimerKey.kind`): "heartbeat" per member, "join" and "sync" per group.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from ottla.coordinator.classic_group import ClassicGroup, ClassicMember, GroupState, Protocols
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client, Outcome, Waiter
from ottla.coordinator.records.offsets import GroupMetadataKey
from ottla.coordinator.timers import TimerKey, Timers
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from ottla.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

#: A new member does not know its id and cannot send heartbeats; if its client
#: gives up and retries, the abandoned member must not stay for ever.
NEW_MEMBER_JOIN_TIMEOUT_MS: Final = 300_000

#: JoinGroup versions from which a client must come back with the id it was given.
MEMBER_ID_REQUIRED_FROM: Final = 4
#: From here a static leader can be told to keep the assignment (KIP-814).
SKIP_ASSIGNMENT_FROM: Final = 9
#: From here a null protocol name can be expressed.
NULL_PROTOCOL_FROM: Final = 7
#: From here LeaveGroup names several members.
LEAVE_BATCH_FROM: Final = 3

EMPTY = GroupState.EMPTY
PREPARING = GroupState.PREPARING_REBALANCE
COMPLETING = GroupState.COMPLETING_REBALANCE
STABLE = GroupState.STABLE


class ClassicProtocol:
    def __init__(
        self, config: GroupConfig, timers: Timers, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._config = config
        self._timers = timers
        self._random_bytes = random_bytes

    # --- JoinGroup

    def join(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> None:
        """Let a member join; its reply comes when the generation begins."""
        protocols = [(p.name, bytes(p.metadata)) for p in request.protocols]
        if not self._accepts(group, request.member_id):
            group.remove(request.member_id)
            refuse(out, waiter, ErrorCode.GROUP_MAX_SIZE_REACHED)
        elif not group.supports(request.protocol_type, [name for name, _ in protocols]):
            refuse(out, waiter, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, request.member_id)
        elif not request.member_id:
            self._join_new(group, request, protocols, client, waiter, wall_ms, mono_ms, out)
        elif request.member_id in group.pending_members:
            self._add_member(
                group, request, protocols, request.member_id, client, waiter, wall_ms, mono_ms, out
            )
        else:
            self._join_existing(group, request, protocols, client, waiter, wall_ms, mono_ms, out)

    def _accepts(self, group: ClassicGroup, member_id: str) -> bool:
        limit = self._config.group_max_size
        member = group.members.get(member_id)
        if group.state is EMPTY:
            return True
        if group.state is PREPARING:
            # Counting those who wait lets a shrunk limit push the last out.
            waiting = member is not None and member.join_waiter is not None
            return waiting or group.waiting_to_join < limit
        return member is not None or len(group.members) < limit

    def _join_new(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        protocols: Protocols,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> None:
        instance_id = request.group_instance_id
        member_id = self._new_member_id(instance_id or client.client_id)
        if instance_id is None and client.api_version >= MEMBER_ID_REQUIRED_FROM:
            group.pending_members[member_id] = None
            key = TimerKey("heartbeat", group.group_id, member_id)
            self._timers.schedule(key, mono_ms + request.session_timeout_ms)
            refuse(out, waiter, ErrorCode.MEMBER_ID_REQUIRED, member_id)
        elif instance_id is not None and instance_id in group.static_members:
            self._replace_static(
                group, request, protocols, member_id, client, waiter, wall_ms, mono_ms, out
            )
        else:
            self._add_member(
                group, request, protocols, member_id, client, waiter, wall_ms, mono_ms, out
            )

    def _new_member_id(self, prefix: str) -> str:
        return f"{prefix}-{uuid.UUID(bytes=self._random_bytes(16), version=4)}"

    def _add_member(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        protocols: Protocols,
        member_id: str,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> None:
        if request.group_instance_id in group.static_members:
            # A pending member cannot be static; a client that claims both is lying.
            refuse(out, waiter, ErrorCode.FENCED_INSTANCE_ID, member_id)
            return
        member = ClassicMember(
            member_id=member_id,
            group_instance_id=request.group_instance_id,
            client_id=client.client_id,
            client_host=client.client_host,
            rebalance_timeout_ms=rebalance_timeout_ms(request),
            session_timeout_ms=request.session_timeout_ms,
            protocol_type=request.protocol_type,
            protocols=protocols,
            is_new=True,
            join_waiter=waiter,
        )
        if group.state is PREPARING and group.is_initial_rebalance:
            group.has_new_member = True
        group.add(member)
        key = TimerKey("heartbeat", group.group_id, member_id)
        self._timers.schedule(key, mono_ms + NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalance_or_complete(group, wall_ms, mono_ms, out)

    def _join_existing(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        protocols: Protocols,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> None:
        member_id = request.member_id
        error = group.check_member(member_id, request.group_instance_id)
        if error is not ErrorCode.NONE:
            name = None if client.api_version >= NULL_PROTOCOL_FROM else ""
            out.reply(
                waiter,
                JoinGroupResponse(error_code=error, member_id=member_id, protocol_name=name),
            )
            return
        if group.state is EMPTY:
            refuse(out, waiter, ErrorCode.UNKNOWN_MEMBER_ID, member_id)
            return
        member = group.members[member_id]
        unchanged = member.protocols == protocols
        is_leader = group.leader_id == member_id
        # Joining again without a change asks for the current generation, as after
        # a lost reply. A leader that joins a stable group wants a rebalance:
        # something that assignment depends on has changed.
        if unchanged and (group.state is COMPLETING or (group.state is STABLE and not is_leader)):
            members = group.state is COMPLETING and is_leader
            out.reply(waiter, joined(group, member_id, with_members=members))
            return
        self._update_member(group, member, request, protocols, waiter, out)
        self._rebalance_or_complete(group, wall_ms, mono_ms, out)

    def _update_member(
        self,
        group: ClassicGroup,
        member: ClassicMember,
        request: JoinGroupRequest,
        protocols: Protocols,
        waiter: Waiter,
        out: Outcome,
    ) -> None:
        group.change_protocols(member, protocols)
        member.rebalance_timeout_ms = rebalance_timeout_ms(request)
        member.session_timeout_ms = request.session_timeout_ms
        if member.join_waiter is not None:
            # The client gave the earlier request up; its slot must not block.
            refuse(out, member.join_waiter, ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)
        member.join_waiter = waiter

    def _replace_static(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        protocols: Protocols,
        member_id: str,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> None:
        """A static member came back without its id: it gets a new one (KIP-345)."""
        assert request.group_instance_id is not None
        old_id = group.static_members[request.group_instance_id]
        old_leader_id = group.leader_id
        member = group.replace_static(old_id, member_id)
        if member.join_waiter is not None:
            refuse(out, member.join_waiter, ErrorCode.FENCED_INSTANCE_ID, old_id)
            member.join_waiter = None
        if member.sync_waiter is not None:
            out.reply(
                member.sync_waiter, SyncGroupResponse(error_code=ErrorCode.FENCED_INSTANCE_ID)
            )
            member.sync_waiter = None
        self._timers.cancel(TimerKey("heartbeat", group.group_id, old_id))
        self._update_member(group, member, request, protocols, waiter, out)
        self._expect_heartbeat(group, member, mono_ms)
        if group.state is STABLE and group.protocol_name == group.select_protocol():
            # Nothing that the assignment depends on changed: no rebalance.
            member.join_waiter = None
            self.write(group, out)
            if client.api_version >= SKIP_ASSIGNMENT_FROM:
                is_leader = group.leader_id == member_id
                reply = joined(group, member_id, with_members=is_leader)
                reply.skip_assignment = is_leader
            else:
                # Naming the old leader keeps a client that cannot skip the
                # assignment from computing one nobody asked for.
                reply = joined(group, member_id, with_members=False)
                reply.leader = old_leader_id or ""
            out.reply(waiter, reply)
        elif group.state is STABLE:
            self._rebalance_or_complete(group, wall_ms, mono_ms, out)
        elif group.state is COMPLETING:
            # The leader was told the old id and would assign to it.
            self.prepare_rebalance(group, wall_ms, mono_ms, out)
        else:
            self._complete_if_all_joined(group, wall_ms, mono_ms, out)

    # --- the rebalance

    def _rebalance_or_complete(
        self, group: ClassicGroup, wall_ms: int, mono_ms: int, out: Outcome
    ) -> None:
        if group.state is PREPARING:
            self._complete_if_all_joined(group, wall_ms, mono_ms, out)
        else:
            self.prepare_rebalance(group, wall_ms, mono_ms, out)

    def _complete_if_all_joined(
        self, group: ClassicGroup, wall_ms: int, mono_ms: int, out: Outcome
    ) -> None:
        if (
            group.state is PREPARING
            and not group.is_initial_rebalance
            and group.has_all_members_joined
        ):
            self._complete_join(group, wall_ms, mono_ms, out)

    def prepare_rebalance(
        self, group: ClassicGroup, wall_ms: int, mono_ms: int, out: Outcome
    ) -> None:
        if group.state is COMPLETING:
            for member in group.members.values():
                member.assignment = b""
            self._answer_sync(group, ErrorCode.REBALANCE_IN_PROGRESS, mono_ms, out)
        group.pending_sync.clear()
        self._timers.cancel(TimerKey("sync", group.group_id))
        group.is_initial_rebalance = group.state is EMPTY
        group.move_to(PREPARING, wall_ms)
        join = TimerKey("join", group.group_id)
        if group.is_initial_rebalance:
            delay_ms = self._config.group_initial_rebalance_delay_ms
            if delay_ms <= 0:
                self._complete_join(group, wall_ms, mono_ms, out)
                return
            group.has_new_member = False
            group.initial_delay_ms = delay_ms
            group.initial_remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
            self._timers.schedule(join, mono_ms + delay_ms)
        elif group.has_all_members_joined:
            self._complete_join(group, wall_ms, mono_ms, out)
        else:
            self._timers.schedule(join, mono_ms + group.rebalance_timeout_ms)

    def _complete_join(self, group: ClassicGroup, wall_ms: int, mono_ms: int, out: Outcome) -> None:
        """Begin the generation with those who joined; the others are out."""
        self._timers.cancel(TimerKey("join", group.group_id))
        for member in list(group.members.values()):
            if member.join_waiter is None and not member.is_static:
                group.remove(member.member_id)
                self._timers.cancel(TimerKey("heartbeat", group.group_id, member.member_id))
        if group.members and not group.elect_joined_leader():
            # Only absent static members are left; their sessions decide.
            key = TimerKey("join", group.group_id)
            self._timers.schedule(key, mono_ms + group.rebalance_timeout_ms)
            return
        group.is_initial_rebalance = False
        group.begin_generation(wall_ms)
        if group.state is EMPTY:
            self.write(group, out)
            return
        for member in group.members.values():
            if member.join_waiter is not None:
                is_leader = group.leader_id == member.member_id
                out.reply(
                    member.join_waiter, joined(group, member.member_id, with_members=is_leader)
                )
                member.join_waiter = None
                self._expect_heartbeat(group, member, mono_ms)
            member.is_new = False
            group.pending_sync[member.member_id] = None
        key = TimerKey("sync", group.group_id)
        self._timers.schedule(key, mono_ms + group.rebalance_timeout_ms)

    def _answer_sync(
        self, group: ClassicGroup, error: ErrorCode, mono_ms: int, out: Outcome
    ) -> None:
        for member in group.members.values():
            if member.sync_waiter is None:
                continue
            out.reply(
                member.sync_waiter,
                SyncGroupResponse(
                    error_code=error,
                    protocol_type=group.protocol_type if error is ErrorCode.NONE else None,
                    protocol_name=group.protocol_name if error is ErrorCode.NONE else None,
                    assignment=member.assignment,
                ),
            )
            member.sync_waiter = None
            self._expect_heartbeat(group, member, mono_ms)

    def write(self, group: ClassicGroup, out: Outcome) -> None:
        """Add the record that tells of the group as it is."""
        assignments = {member.member_id: member.assignment for member in group.members.values()}
        out.write(GroupMetadataKey(group.group_id), group.snapshot(assignments))

    def dissolve(self, group: ClassicGroup, out: Outcome) -> None:
        """Send everybody who waits away to join again; the group ends here."""
        for kind in ("join", "sync"):
            self._timers.cancel(TimerKey(kind, group.group_id))
        for member_id in [*group.members, *group.pending_members]:
            self._timers.cancel(TimerKey("heartbeat", group.group_id, member_id))
        for member in group.members.values():
            if member.join_waiter is not None:
                error = ErrorCode.REBALANCE_IN_PROGRESS
                refuse(out, member.join_waiter, error, member.member_id)
                member.join_waiter = None
            if member.sync_waiter is not None:
                out.reply(
                    member.sync_waiter,
                    SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS),
                )
                member.sync_waiter = None

    # --- SyncGroup

    def sync(
        self,
        group: ClassicGroup,
        request: SyncGroupRequest,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Hand over (leader) and fetch the assignment of the generation."""
        out = Outcome()
        error = self._check_sync(group, request)
        if error is ErrorCode.NONE and group.state is PREPARING:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        if error is not ErrorCode.NONE:
            out.reply(waiter, SyncGroupResponse(error_code=error))
            return out
        member = group.members[request.member_id]
        group.pending_sync.pop(member.member_id, None)
        if not group.pending_sync:
            self._timers.cancel(TimerKey("sync", group.group_id))
        if group.state is STABLE:
            out.reply(
                waiter,
                SyncGroupResponse(
                    protocol_type=group.protocol_type,
                    protocol_name=group.protocol_name,
                    assignment=member.assignment,
                ),
            )
            self._expect_heartbeat(group, member, mono_ms)
            return out
        if member.sync_waiter is not None:
            out.reply(
                member.sync_waiter, SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)
            )
        member.sync_waiter = waiter
        if group.leader_id == member.member_id:
            assignments = {a.member_id: bytes(a.assignment) for a in request.assignments}
            for other in group.members.values():
                other.assignment = assignments.get(other.member_id, b"")
            group.move_to(STABLE, wall_ms)
            self.write(group, out)
            self._answer_sync(group, ErrorCode.NONE, mono_ms, out)
        return out

    def _check_sync(self, group: ClassicGroup, request: SyncGroupRequest) -> ErrorCode:
        error = group.check_member(request.member_id, request.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if request.generation_id != group.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        if (request.protocol_type or group.protocol_type) != group.protocol_type or (
            request.protocol_name or group.protocol_name
        ) != group.protocol_name:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        return ErrorCode.NONE

    # --- Heartbeat

    def heartbeat(
        self, group: ClassicGroup, request: HeartbeatRequest, waiter: Waiter, mono_ms: int
    ) -> Outcome:
        """Keep a member alive; it learns here that a rebalance has begun."""
        error = group.check_member(request.member_id, request.group_instance_id)
        if error is ErrorCode.NONE and request.generation_id != group.generation_id:
            error = ErrorCode.ILLEGAL_GENERATION
        if error is ErrorCode.NONE and group.state is EMPTY:
            error = ErrorCode.UNKNOWN_MEMBER_ID
        if error is ErrorCode.NONE:
            self._expect_heartbeat(group, group.members[request.member_id], mono_ms)
            if group.state is PREPARING:
                error = ErrorCode.REBALANCE_IN_PROGRESS
        out = Outcome()
        out.reply(waiter, HeartbeatResponse(error_code=error))
        return out

    def keep_alive(self, group: ClassicGroup, member_id: str, mono_ms: int) -> None:
        """A commit counts as a heartbeat."""
        member = group.members.get(member_id)
        if member is not None and group.is_in(STABLE, PREPARING):
            self._expect_heartbeat(group, member, mono_ms)

    def _expect_heartbeat(self, group: ClassicGroup, member: ClassicMember, mono_ms: int) -> None:
        key = TimerKey("heartbeat", group.group_id, member.member_id)
        self._timers.schedule(key, mono_ms + member.session_timeout_ms)

    def expect_heartbeats(self, group: ClassicGroup, mono_ms: int) -> None:
        """Start the sessions of a group that a restart found."""
        for member in group.members.values():
            self._expect_heartbeat(group, member, mono_ms)

    # --- LeaveGroup

    def leave(
        self,
        group: ClassicGroup,
        request: LeaveGroupRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Remove members: itself, or several (by an administrator, from v3)."""
        out = Outcome()
        answers = [
            MemberResponse(
                member_id=identity.member_id,
                group_instance_id=identity.group_instance_id,
                error_code=self._leave_one(group, identity, out),
            )
            for identity in leaving_members(request, client)
        ]
        out.reply(waiter, leave_response(answers, client))
        if any(answer.error_code == ErrorCode.NONE for answer in answers) and (
            group.state is not EMPTY
        ):
            self._rebalance_or_complete(group, wall_ms, mono_ms, out)
        return out

    def _leave_one(self, group: ClassicGroup, identity: MemberIdentity, out: Outcome) -> ErrorCode:
        member_id, instance_id = identity.member_id, identity.group_instance_id
        if not member_id:
            if instance_id is None or instance_id not in group.static_members:
                return ErrorCode.UNKNOWN_MEMBER_ID
            member_id = group.static_members[instance_id]
        elif member_id not in group.pending_members:
            error = group.check_member(member_id, instance_id)
            if error is not ErrorCode.NONE:
                return error
        self._remove(group, member_id, out)
        return ErrorCode.NONE

    def _remove(self, group: ClassicGroup, member_id: str, out: Outcome) -> None:
        """Forget a member; requests it has parked are answered UNKNOWN_MEMBER_ID."""
        self._timers.cancel(TimerKey("heartbeat", group.group_id, member_id))
        member = group.members.get(member_id)
        if member is not None and member.join_waiter is not None:
            refuse(out, member.join_waiter, ErrorCode.UNKNOWN_MEMBER_ID)
        if member is not None and member.sync_waiter is not None:
            out.reply(member.sync_waiter, SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
        group.remove(member_id)

    # --- time

    def on_timer(self, group: ClassicGroup, key: TimerKey, wall_ms: int, mono_ms: int) -> Outcome:
        """What follows from a deadline that has passed."""
        out = Outcome()
        if key.kind == "heartbeat":
            self._session_expired(group, key.member_id, wall_ms, mono_ms, out)
        elif key.kind == "join":
            if group.state is PREPARING:
                self._join_time_is_up(group, wall_ms, mono_ms, out)
        elif key.kind == "sync" and group.is_in(COMPLETING, STABLE) and group.pending_sync:
            for member_id in list(group.pending_sync):
                self._remove(group, member_id, out)
            self.prepare_rebalance(group, wall_ms, mono_ms, out)
        return out

    def _session_expired(
        self, group: ClassicGroup, member_id: str, wall_ms: int, mono_ms: int, out: Outcome
    ) -> None:
        member = group.members.get(member_id)
        if member is not None and member.is_waiting and not member.is_new:
            return
        if member is None and member_id not in group.pending_members:
            return
        self._remove(group, member_id, out)
        if group.is_in(STABLE, COMPLETING):
            if member is not None:
                self.prepare_rebalance(group, wall_ms, mono_ms, out)
        elif group.state is PREPARING and group.has_all_members_joined:
            self._complete_join(group, wall_ms, mono_ms, out)

    def _join_time_is_up(
        self, group: ClassicGroup, wall_ms: int, mono_ms: int, out: Outcome
    ) -> None:
        if group.is_initial_rebalance and group.has_new_member and group.initial_remaining_ms:
            # Members keep coming: wait once more, within the rebalance time-out.
            group.has_new_member = False
            remaining_ms = group.initial_remaining_ms
            delay_ms = min(self._config.group_initial_rebalance_delay_ms, remaining_ms)
            group.initial_remaining_ms = max(remaining_ms - group.initial_delay_ms, 0)
            group.initial_delay_ms = delay_ms
            self._timers.schedule(TimerKey("join", group.group_id), mono_ms + delay_ms)
            return
        self._complete_join(group, wall_ms, mono_ms, out)


def rebalance_timeout_ms(request: JoinGroupRequest) -> int:
    """Version 0 has one time-out for both purposes."""
    if request.rebalance_timeout_ms == -1:
        return request.session_timeout_ms
    return request.rebalance_timeout_ms


def refuse(out: Outcome, waiter: Waiter, error: ErrorCode, member_id: str = "") -> None:
    """Answer a JoinGroup with an error."""
    out.reply(waiter, JoinGroupResponse(error_code=error, member_id=member_id))


def joined(group: ClassicGroup, member_id: str, *, with_members: bool) -> JoinGroupResponse:
    """The current generation, as told to one member."""
    return JoinGroupResponse(
        generation_id=group.generation_id,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=group.leader_id or "",
        member_id=member_id,
        members=group.member_list() if with_members else [],
    )


def leaving_members(request: LeaveGroupRequest, client: Client) -> list[MemberIdentity]:
    if client.api_version < LEAVE_BATCH_FROM:
        return [MemberIdentity(member_id=request.member_id)]
    return request.members


def leave_response(answers: list[MemberResponse], client: Client) -> LeaveGroupResponse:
    """Old versions have one member, whose error is the response's."""
    if client.api_version < LEAVE_BATCH_FROM:
        return LeaveGroupResponse(error_code=answers[0].error_code)
    return LeaveGroupResponse(members=answers)
