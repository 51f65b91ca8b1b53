"""The group coordinator: all groups, their members, and committed offsets.

Decide, then replay: the methods that answer a request return an `Outcome` and
change nothing durable; `replay` does, live and at start alike. How a caller
uses it:

    at start   `replay` for every record of `__consumer_offsets` in log order
               (with its offset, and its producer id in transactional batches),
               `replay_marker` for every commit or abort marker, then `loaded`.
    requests   call the method; append `outcome.records` as one batch to
               partition `partition_for(group_id)`; `replay` each at once with
               its log offset; send `outcome.replies` after the flush.
    time       when `next_deadline_ms()` is reached, `on_time()`; each outcome
               as above. It handles a group once a call, so call again while
               the next deadline is not in the future.

Requests and responses are the neutral messages; `waiter` is whatever the
caller wants back beside a reply. Topics are addressed by name: handlers
translate ids, and leave out topics that do not exist or may not be touched.

Deciding (each returns an Outcome):
    join_group(JoinGroupRequest, client, waiter, wall_ms, mono_ms)
    sync_group(SyncGroupRequest, client, waiter, wall_ms, mono_ms)
    heartbeat(HeartbeatRequest, client, waiter, wall_ms, mono_ms)
    leave_group(LeaveGroupRequest, client, waiter, wall_ms, mono_ms)
    offset_commit(OffsetCommitRequest, client, waiter, wall_ms, mono_ms)
    txn_offset_commit(TxnOffsetCommitRequest, client, waiter, wall_ms, mono_ms)
        (`outcome.producer` is set: append as that producer's transaction)
    offset_delete(OffsetDeleteRequest, waiter)
    delete_group(group_id, waiter): the reply is a DeletableGroupResult
    change_share_topics(group_id, added, removed)
    delete_topics(names): a list of (group id, Outcome) without replies
    consumer_heartbeat(ConsumerGroupHeartbeatRequest, client, waiter, wall_ms, mono_ms)
    share_heartbeat(ShareGroupHeartbeatRequest, client, waiter, wall_ms, mono_ms)
    on_time(wall_ms, mono_ms): a list of (group id, Outcome)
Reading (answers at once; the caller waits for what is not flushed yet):
    offset_fetch(OffsetFetchRequest, client) -> OffsetFetchResponse
    describe_group(group_id, client) -> describe_groups.DescribedGroup
    describe_consumer_group(group_id) -> consumer_group_describe.DescribedGroup
    describe_share_group(group_id) -> share_group_describe.DescribedGroup
    share_group(group_id) -> ShareGroup | None
    list_groups(ListGroupsRequest) -> ListGroupsResponse

Groups are of three types: classic, consumer (KIP-848) and share (KIP-932). An
empty classic or consumer group makes way for members of the other type; a busy
one is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from ottla.coordinator import offset_decisions
from ottla.coordinator.classic_group import ClassicGroup, GroupState, restore
from ottla.coordinator.classic_protocol import leave_response, leaving_members
from ottla.coordinator.consumer_group import LEAVE_EPOCH, ConsumerGroup
from ottla.coordinator.consumer_group_classic import ClassicMembers
from ottla.coordinator.consumer_group_protocol import (
    ConsumerProtocol,
    GroupRefusal,
    check_request,
)
from ottla.coordinator.consumer_protocol import PROTOCOL_TYPE
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.group_migration import check_upgrade, downgrade, is_to_downgrade, upgrade
from ottla.coordinator.group_offsets import GroupOffsets
from ottla.coordinator.group_table import EXPIRY_CHECK
from ottla.coordinator.group_views import describe_classic, describe_consumer, describe_share
from ottla.coordinator.outcome import Client, Outcome, Waiter
from ottla.coordinator.records.framing import decode_value, key_type
from ottla.coordinator.records.offsets import GroupMetadataKey, GroupMetadataValue
from ottla.coordinator.share_group import ShareGroup
from ottla.coordinator.share_group_protocol import SESSION, ShareProtocol
from ottla.coordinator.share_group_protocol import check_request as check_share_request
from ottla.coordinator.timers import TimerKey
from ottla.coordinator.topic_catalog import TopicCatalog, TopicInfo
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import (
    consumer_group_describe,
    describe_groups,
    list_groups,
    share_group_describe,
)
from ottla.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from ottla.wire.messages.delete_groups import DeletableGroupResult
from ottla.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from ottla.wire.messages.leave_group import LeaveGroupRequest, MemberResponse
from ottla.wire.messages.share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)
from ottla.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

#: SyncGroup from this version names the protocol it is about (KIP-559).
SYNC_NAMES_PROTOCOL_FROM: Final = 5
#: DescribeGroups from this version reports a missing group as an error.
DESCRIBE_NOT_FOUND_FROM: Final = 6
#: The name of the state of a consumer or share group without members.
EMPTY: Final = "Empty"


class GroupCoordinator(GroupOffsets):
    """`random_bytes(n)` is where member ids come from, `topics` what exists."""

    def __init__(
        self,
        config: GroupConfig,
        random_bytes: Callable[[int], bytes],
        partition_count: int = 1,
        topics: TopicCatalog | None = None,
    ) -> None:
        super().__init__(config, random_bytes, partition_count, topics)
        self._consumer = ConsumerProtocol(config, self._timers, self._topics, random_bytes)
        self._mixed = ClassicMembers(config, self._timers, self._topics, self._consumer)
        self._share = ShareProtocol(config, self._timers, self._topics)

    def loaded(self, mono_ms: int) -> None:
        """Every record has been replayed: members' sessions start now."""
        self._is_loaded = True
        for group_id, value in self._saved.items():
            group = restore(group_id, decode_value(GroupMetadataValue, value))
            self._groups[group_id] = group
            self._classic.expect_heartbeats(group, mono_ms)
        for consumer in self._consumer_groups:
            self._groups.pop(consumer.group_id, None)
            self._consumer.expect_heartbeats(consumer, mono_ms)
        for share in self._share_groups:
            self._share.expect_heartbeats(share, mono_ms)
        for group_id in self._offsets.group_ids():
            if not self._is_known(group_id):
                self._groups[group_id] = ClassicGroup(group_id)
        self._timers.schedule(
            EXPIRY_CHECK, mono_ms + self._config.offsets_retention_check_interval_ms
        )

    # --- the classic protocol

    def not_written(self, group_id: str, refused: Outcome, wall_ms: int, mono_ms: int) -> Outcome:
        """The records of an outcome could not be appended. A classic group that had become
        stable with them rebalances: nobody may work with an assignment that no log knows, for
        after a restart its generation would be given again. Holds replies only."""
        out = Outcome()
        group = self._groups.get(group_id)
        is_assignment = any(
            key_type(record.key) == GroupMetadataKey.KEY_TYPE for record in refused.records
        )
        if group is not None and group.state is GroupState.STABLE and is_assignment:
            for member in group.members.values():
                member.assignment = b""
            self._classic.prepare_rebalance(group, wall_ms, mono_ms, out)
        return out

    def join_group(
        self,
        request: JoinGroupRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        error = self._check_join(request)
        group = self._groups.get(request.group_id)
        consumer = self._consumer_groups.get(request.group_id)
        if error is ErrorCode.NONE and consumer is not None and consumer.members:
            return self._mixed.join(consumer, request, client, waiter, wall_ms, mono_ms)
        if error is ErrorCode.NONE and group is None:
            if request.group_id in self._share_groups:
                error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
            elif request.member_id:
                error = ErrorCode.UNKNOWN_MEMBER_ID
            else:
                group = self._groups[request.group_id] = ClassicGroup(request.group_id)
        out = Outcome()
        if error is not ErrorCode.NONE or group is None:
            out.reply(waiter, JoinGroupResponse(error_code=error, member_id=request.member_id))
            return out
        if consumer is not None:
            self._consumer.erase_group(consumer, out)
        self._classic.join(group, request, client, waiter, wall_ms, mono_ms, out)
        return out

    def _check_join(self, request: JoinGroupRequest) -> ErrorCode:
        if not request.group_id:
            return ErrorCode.INVALID_GROUP_ID
        low = self._config.group_min_session_timeout_ms
        high = self._config.group_max_session_timeout_ms
        if not low <= request.session_timeout_ms <= high:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        return ErrorCode.NONE

    def sync_group(
        self,
        request: SyncGroupRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        group = self._groups.get(request.group_id)
        consumer = self._consumer_groups.get(request.group_id)
        if not request.group_id:
            error = ErrorCode.INVALID_GROUP_ID
        elif client.api_version >= SYNC_NAMES_PROTOCOL_FROM and (
            request.protocol_type is None or request.protocol_name is None
        ):
            error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        elif consumer is not None:
            return self._mixed.sync(consumer, request, waiter, mono_ms)
        elif group is None or not group.members:
            error = ErrorCode.UNKNOWN_MEMBER_ID
        else:
            return self._classic.sync(group, request, waiter, wall_ms, mono_ms)
        out = Outcome()
        out.reply(waiter, SyncGroupResponse(error_code=error))
        return out

    def heartbeat(
        self,
        request: HeartbeatRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        group = self._groups.get(request.group_id)
        consumer = self._consumer_groups.get(request.group_id)
        if consumer is not None:
            return self._mixed.heartbeat(consumer, request, waiter, mono_ms)
        if group is not None and request.group_id:
            return self._classic.heartbeat(group, request, waiter, mono_ms)
        error = ErrorCode.UNKNOWN_MEMBER_ID if request.group_id else ErrorCode.INVALID_GROUP_ID
        out = Outcome()
        out.reply(waiter, HeartbeatResponse(error_code=error))
        return out

    def leave_group(
        self,
        request: LeaveGroupRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        group = self._groups.get(request.group_id)
        consumer = self._consumer_groups.get(request.group_id)
        if consumer is not None:
            out = Outcome()
            leaving, answer = self._mixed.leave(consumer, request, client)
            out.reply(waiter, answer)
            if leaving:
                self._remove_members(consumer, leaving, wall_ms, mono_ms, out)
            return out
        if group is not None and request.group_id:
            return self._classic.leave(group, request, client, waiter, wall_ms, mono_ms)
        error = ErrorCode.UNKNOWN_MEMBER_ID if request.group_id else ErrorCode.INVALID_GROUP_ID
        answers = [
            MemberResponse(member.member_id, member.group_instance_id, error)
            for member in leaving_members(request, client)
        ]
        response = leave_response(answers, client)
        if error is ErrorCode.INVALID_GROUP_ID:
            response.error_code = error
            response.members = []
        out = Outcome()
        out.reply(waiter, response)
        return out

    # --- groups as a whole

    def delete_group(self, group_id: str, waiter: Waiter) -> Outcome:
        """Delete an empty group and its offsets; the reply is one of DeleteGroups' results."""
        out = Outcome()
        group = self._find(group_id)
        error = ErrorCode.NONE
        if group is None:
            error = ErrorCode.GROUP_ID_NOT_FOUND if group_id else ErrorCode.INVALID_GROUP_ID
        elif group.state in (GroupState.EMPTY, EMPTY):
            offset_decisions.delete_all(group_id, self._offsets, out)
            self._erase_group(group_id, out)
        else:
            error = ErrorCode.NON_EMPTY_GROUP
        out.reply(waiter, DeletableGroupResult(group_id=group_id, error_code=error))
        return out

    def _erase_group(self, group_id: str, out: Outcome) -> None:
        consumer = self._consumer_groups.get(group_id)
        share = self._share_groups.get(group_id)
        if consumer is not None:
            self._consumer.erase_group(consumer, out)
        elif share is not None:
            self._share.erase_group(share, out)
        else:
            out.erase(GroupMetadataKey(group_id))

    def describe_group(self, group_id: str, client: Client) -> describe_groups.DescribedGroup:
        """A group as DescribeGroups shows it; a missing one is "Dead"."""
        group = self._groups.get(group_id)
        if group is not None:
            return describe_classic(group)
        missing = describe_groups.DescribedGroup(group_id=group_id, group_state="Dead")
        if client.api_version >= DESCRIBE_NOT_FOUND_FROM:
            missing.error_code = ErrorCode.GROUP_ID_NOT_FOUND
            missing.error_message = (
                f"Group {group_id} is not a classic group."
                if self._is_known(group_id)
                else f"Group {group_id} not found."
            )
        return missing

    def describe_consumer_group(self, group_id: str) -> consumer_group_describe.DescribedGroup:
        """A group as ConsumerGroupDescribe shows it."""
        consumer = self._consumer_groups.get(group_id)
        if consumer is not None:
            return describe_consumer(consumer, self._topics)
        if not group_id:
            return consumer_group_describe.DescribedGroup(ErrorCode.INVALID_GROUP_ID)
        known = "is not a consumer group" if self._is_known(group_id) else "not found"
        return consumer_group_describe.DescribedGroup(
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=f"Group {group_id} {known}.",
            group_id=group_id,
        )

    def list_groups(self, request: list_groups.ListGroupsRequest) -> list_groups.ListGroupsResponse:
        """All groups, or those in the states and of the types asked for (KIP-518)."""
        states = {state.lower() for state in request.states_filter}
        types = {type_.lower() for type_ in request.types_filter}
        found = [
            list_groups.ListedGroup(g.group_id, g.protocol_type or "", g.state.value, "classic")
            for g in self._groups.values()
        ]
        found += [
            list_groups.ListedGroup(g.group_id, PROTOCOL_TYPE, g.state, "consumer")
            for g in self._consumer_groups
        ]
        found += [
            list_groups.ListedGroup(g.group_id, "share", g.state, "share")
            for g in self._share_groups
        ]
        return list_groups.ListGroupsResponse(
            groups=[
                group
                for group in found
                if (not states or group.group_state.lower() in states)
                and (not types or group.group_type in types)
            ]
        )

    # --- the consumer protocol

    def consumer_heartbeat(
        self,
        request: ConsumerGroupHeartbeatRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Join, keep alive, reconcile or leave (KIP-848)."""
        out = Outcome()
        try:
            check_request(request, client)
            group = self._group_for_heartbeat(request, mono_ms, out)
            response = self._consumer.heartbeat(group, request, client, wall_ms, mono_ms, out)
            if request.member_epoch == LEAVE_EPOCH:
                self._remove_members(group, [response.member_id or ""], wall_ms, mono_ms, out)
        except GroupRefusal as refusal:
            out = Outcome()
            response = ConsumerGroupHeartbeatResponse(
                error_code=refusal.code, error_message=refusal.message
            )
        out.reply(waiter, response)
        return out

    def _group_for_heartbeat(
        self, request: ConsumerGroupHeartbeatRequest, mono_ms: int, out: Outcome
    ) -> ConsumerGroup:
        """The group; a classic one makes way when a member joins."""
        group_id = request.group_id
        consumer = self._consumer_groups.get(group_id)
        if consumer is not None:
            return consumer
        classic = self._groups.get(group_id)
        if request.member_epoch != 0 or group_id in self._share_groups:
            known = "is not a consumer group" if self._is_known(group_id) else "not found"
            raise GroupRefusal(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {known}.")
        if classic is not None and classic.state is not GroupState.EMPTY:
            check_upgrade(classic, self._config)
            upgraded = upgrade(classic, self._topics, out)
            self._classic.dissolve(classic, out)
            self._consumer.expect_heartbeats(upgraded, mono_ms)
            return upgraded
        if group_id in self._saved:
            out.erase(GroupMetadataKey(group_id))
        return ConsumerGroup(group_id)

    def _remove_members(
        self,
        group: ConsumerGroup,
        member_ids: list[str],
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> None:
        """Remove members; when only classic ones are left, the group becomes classic."""
        if not is_to_downgrade(group, member_ids, self._config):
            self._consumer.remove(group, member_ids, wall_ms, out)
            return
        for member_id in group.members:
            self._consumer.cancel_timers(group.group_id, member_id)
        classic = downgrade(group, member_ids, self._topics, wall_ms, out)
        self._groups[group.group_id] = classic
        self._classic.write(classic, out)
        self._classic.expect_heartbeats(classic, mono_ms)
        self._classic.prepare_rebalance(classic, wall_ms, mono_ms, out)

    # --- share groups

    def share_heartbeat(
        self,
        request: ShareGroupHeartbeatRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Join, keep alive or leave a share group (KIP-932)."""
        out = Outcome()
        try:
            check_share_request(request)
            group = self._share_groups.get(request.group_id)
            if group is None:
                known = "is not a share group" if self._is_known(request.group_id) else "not found"
                if request.member_epoch != 0 or self._is_known(request.group_id):
                    raise GroupRefusal(
                        ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} {known}."
                    )
                group = ShareGroup(request.group_id)
            response = self._share.heartbeat(group, request, client, wall_ms, mono_ms, out)
        except GroupRefusal as refusal:
            out = Outcome()
            response = ShareGroupHeartbeatResponse(
                error_code=refusal.code, error_message=refusal.message
            )
        out.reply(waiter, response)
        return out

    def describe_share_group(self, group_id: str) -> share_group_describe.DescribedGroup:
        """A group as ShareGroupDescribe shows it."""
        group = self._share_groups.get(group_id)
        if group is not None:
            return describe_share(group, self._topics)
        if not group_id:
            return share_group_describe.DescribedGroup(ErrorCode.INVALID_GROUP_ID)
        known = "is not a share group" if self._is_known(group_id) else "not found"
        return share_group_describe.DescribedGroup(
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=f"Group {group_id} {known}.",
            group_id=group_id,
        )

    def change_share_topics(
        self,
        group_id: str,
        added: Iterable[tuple[TopicInfo, int]] = (),
        removed: Collection[bytes] = (),
    ) -> Outcome:
        """Note that offsets of a share group were set (with its partition each) or deleted.

        A group that is not there is made.
        """
        out = Outcome()
        group = self._share_groups.get(group_id) or ShareGroup(group_id)
        self._share.change_topics(group, added, removed, out)
        return out

    def share_group(self, group_id: str) -> ShareGroup | None:
        """The share group of this id; to be read only."""
        return self._share_groups.get(group_id)

    # --- time

    def next_deadline_ms(self) -> int | None:
        """When `on_time` is next needed, on the monotonic clock."""
        return self._timers.next_deadline_ms()

    def on_time(self, wall_ms: int, mono_ms: int) -> list[tuple[str, Outcome]]:
        """Decide what follows from passed deadlines, at most once a group.

        A second deadline of the same group waits for the next call, because
        it must be decided on what the first one changed.
        """
        outcomes: dict[str, Outcome] = {}
        for key in self._timers.pop_due(mono_ms):
            if key == EXPIRY_CHECK:
                self._timers.schedule(
                    EXPIRY_CHECK, mono_ms + self._config.offsets_retention_check_interval_ms
                )
                self._expire_offsets(wall_ms, outcomes)
            elif key.group_id in outcomes:
                self._timers.schedule(key, mono_ms)
            else:
                outcomes[key.group_id] = self._on_timer(key, wall_ms, mono_ms)
        return [(g, out) for g, out in outcomes.items() if out.records or out.replies]

    def _on_timer(self, key: TimerKey, wall_ms: int, mono_ms: int) -> Outcome:
        consumer = self._consumer_groups.get(key.group_id)
        share = self._share_groups.get(key.group_id)
        group = self._groups.get(key.group_id)
        out = Outcome()
        if share is not None and key.kind == SESSION and key.member_id in share.members:
            self._share.remove(share, key.member_id, out)
            return out
        if consumer is not None:
            if self._consumer.is_overdue(consumer, key):
                self._remove_members(consumer, [key.member_id], wall_ms, mono_ms, out)
        elif group is not None:
            out = self._classic.on_timer(group, key, wall_ms, mono_ms)
        return out

    def _expire_offsets(self, wall_ms: int, outcomes: dict[str, Outcome]) -> None:
        for group in [*self._groups.values(), *self._consumer_groups]:
            if group.group_id in outcomes:
                continue
            out = Outcome()
            if self._expire_group(group, wall_ms, out):
                if group.group_id in self._saved or out.records or isinstance(group, ConsumerGroup):
                    self._erase_group(group.group_id, out)
                else:
                    del self._groups[group.group_id]
            if out.records:
                outcomes[group.group_id] = out
