"""OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete, and what expires.

The middle layer of the group coordinator, see `group_table`: finds the group,
asks it whether the request fits, and leaves the rest to `offset_decisions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ottla.coordinator import offset_decisions
from ottla.coordinator.classic_group import ClassicGroup, GroupState
from ottla.coordinator.consumer_group import ConsumerGroup
from ottla.coordinator.consumer_protocol import PROTOCOL_TYPE
from ottla.coordinator.group_table import AnyGroup, GroupTable
from ottla.coordinator.group_views import single_group_fetch
from ottla.coordinator.outcome import Client, Outcome, Producer, Waiter
from ottla.coordinator.share_group import ShareGroup
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import offset_fetch as fetching
from ottla.wire.messages.offset_commit import OffsetCommitRequest
from ottla.wire.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from ottla.wire.messages.txn_offset_commit import TxnOffsetCommitRequest

#: OffsetCommit from this version can say that a group is not there.
COMMIT_GROUP_NOT_FOUND_FROM: Final = 9
#: OffsetFetch from this version asks for several groups.
FETCH_BATCH_FROM: Final = 8


class GroupOffsets(GroupTable):
    def offset_commit(
        self,
        request: OffsetCommitRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Remember how far a group has read; each partition is answered for itself."""
        group = self._find(request.group_id)
        epoch = request.generation_id_or_member_epoch
        error = commit_error(
            group,
            (request.member_id, request.group_instance_id),
            epoch,
            client.api_version,
            in_transaction=False,
        )
        if isinstance(group, ClassicGroup) and error is ErrorCode.NONE:
            self._classic.keep_alive(group, request.member_id, mono_ms)
        error_of = self._error_of(group, error, request.member_id, epoch)
        out = Outcome()
        out.reply(waiter, offset_decisions.commit(request, error_of, self._config, wall_ms, out))
        return out

    def _error_of(
        self, group: AnyGroup | None, error: ErrorCode, member_id: str, epoch: int
    ) -> offset_decisions.ErrorOf:
        """The group's answer; a stale epoch may still be good for some partitions."""

        def stale_unless_owned(topic_name: str, partition: int) -> ErrorCode:
            assert isinstance(group, ConsumerGroup)
            topic = self._topics.topic_by_name(topic_name)
            if topic is not None and group.is_still_owned(
                member_id, epoch, topic.topic_id, partition
            ):
                return ErrorCode.NONE
            return error

        if error is ErrorCode.STALE_MEMBER_EPOCH:
            return stale_unless_owned
        return lambda topic, partition: error

    def txn_offset_commit(
        self,
        request: TxnOffsetCommitRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """The producer and its epoch have been checked by the partition's log."""
        group = self._find(request.group_id)
        error = commit_error(
            group,
            (request.member_id, request.group_instance_id),
            request.generation_id,
            client.api_version,
            in_transaction=True,
        )
        if error is ErrorCode.GROUP_ID_NOT_FOUND and group is None:
            error = ErrorCode.ILLEGAL_GENERATION
        error_of = self._error_of(group, error, request.member_id, request.generation_id)
        out = Outcome(producer=Producer(request.producer_id, request.producer_epoch))
        out.reply(
            waiter,
            offset_decisions.commit_in_transaction(request, error_of, self._config, wall_ms, out),
        )
        return out

    def offset_fetch(
        self, request: fetching.OffsetFetchRequest, client: Client
    ) -> fetching.OffsetFetchResponse:
        """The committed offsets of one group (to v7) or of several (from v8)."""
        if client.api_version >= FETCH_BATCH_FROM:
            return fetching.OffsetFetchResponse(
                groups=[self._fetch_group(g, request.require_stable) for g in request.groups]
            )
        topics = None
        if request.topics is not None:
            topics = [
                fetching.OffsetFetchRequestTopics(
                    name=topic.name, partition_indexes=topic.partition_indexes
                )
                for topic in request.topics
            ]
        asked = fetching.OffsetFetchRequestGroup(group_id=request.group_id, topics=topics)
        return single_group_fetch(self._fetch_group(asked, request.require_stable))

    def _fetch_group(
        self, group: fetching.OffsetFetchRequestGroup, require_stable: bool
    ) -> fetching.OffsetFetchResponseGroup:
        known = self._find(group.group_id)
        if isinstance(known, ConsumerGroup):
            error = known.check_fetch(group.member_id, group.member_epoch)
            if error is not ErrorCode.NONE:
                return fetching.OffsetFetchResponseGroup(group_id=group.group_id, error_code=error)
        return fetching.OffsetFetchResponseGroup(
            group_id=group.group_id,
            topics=offset_decisions.fetch_topics(group, self._offsets, require_stable),
        )

    def offset_delete(self, request: OffsetDeleteRequest, waiter: Waiter) -> Outcome:
        """Erase offsets, partition by partition (KIP-496)."""
        out = Outcome()
        group = self._find(request.group_id)
        error = ErrorCode.NONE
        if not request.group_id:
            error = ErrorCode.INVALID_GROUP_ID
        elif group is None or isinstance(group, ShareGroup):
            error = ErrorCode.GROUP_ID_NOT_FOUND
        elif isinstance(group, ClassicGroup) and (
            group.state is not GroupState.EMPTY and group.protocol_type != PROTOCOL_TYPE
        ):
            error = ErrorCode.NON_EMPTY_GROUP
        if error is not ErrorCode.NONE or group is None or isinstance(group, ShareGroup):
            out.reply(waiter, OffsetDeleteResponse(error_code=error))
            return out
        out.reply(
            waiter,
            offset_decisions.delete(request, self._offsets, group.is_subscribed_to, out),
        )
        return out

    def delete_topics(self, names: Iterable[str]) -> list[tuple[str, Outcome]]:
        """Erase the offsets that any group has committed for deleted topics."""
        topics = frozenset(names)
        outcomes = []
        for group_id in list(self._offsets.group_ids()):
            out = Outcome()
            offset_decisions.delete_of_topics(group_id, topics, self._offsets, out)
            if out.records:
                outcomes.append((group_id, out))
        return outcomes

    def _expire_group(
        self, group: ClassicGroup | ConsumerGroup, wall_ms: int, out: Outcome
    ) -> bool:
        """Erase what KIP-211 lets go; True if the group itself may go, too."""
        base_ms: int | None = None
        if isinstance(group, ConsumerGroup):
            is_unused = not group.members
        else:
            is_unused = group.state is GroupState.EMPTY and not group.pending_members
            if group.protocol_type is not None:
                if group.state is GroupState.EMPTY:
                    base_ms = group.state_timestamp_ms if group.state_timestamp_ms >= 0 else None
                elif group.state is not GroupState.STABLE or group.subscribed_topics is None:
                    return False
        all_gone = offset_decisions.expire(
            group.group_id,
            self._offsets,
            self._config,
            base_ms,
            group.is_subscribed_to,
            wall_ms,
            out,
        )
        return all_gone and is_unused


def commit_error(
    group: AnyGroup | None,
    who: tuple[str, str | None],
    epoch: int,
    api_version: int,
    *,
    in_transaction: bool,
) -> ErrorCode:
    """Whether a commit fits the group; `who` is a member id and an instance id."""
    member_id, instance_id = who
    if isinstance(group, ConsumerGroup):
        if in_transaction and not member_id and epoch < 0:
            return ErrorCode.NONE
        return group.check_commit(member_id, epoch, api_version, in_transaction=in_transaction)
    if isinstance(group, ClassicGroup):
        return group.check_commit(member_id, instance_id, epoch, in_transaction=in_transaction)
    if group is None and epoch < 0:
        return ErrorCode.NONE
    if group is not None or api_version >= COMMIT_GROUP_NOT_FOUND_FROM:
        return ErrorCode.GROUP_ID_NOT_FOUND
    return ErrorCode.ILLEGAL_GENERATION
