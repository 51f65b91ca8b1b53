"""ShareGroupHeartbeat: joining, keeping alive and leaving a share group (KIP-932).

`ShareProtocol` decides; it changes only timers.
Timers (`TimerKey.kind`): "share-session", per member.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from ottla.coordinator.assignors import NOTHING, AssignmentMember, Partitions, assign_simple
from ottla.coordinator.consumer_group_protocol import GroupRefusal, hash_of_topics, may_assign
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client, Outcome
from ottla.coordinator.records import share_groups as records
from ottla.coordinator.share_group import ShareGroup, ShareMember, to_list
from ottla.coordinator.timers import TimerKey, Timers
from ottla.coordinator.topic_catalog import TopicCatalog, TopicInfo
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import share_group_heartbeat as messages

LEAVE_EPOCH: Final = -1
SESSION: Final = "share-session"
#: A member's state in its record; a share member is always where it should be.
STABLE: Final = 0


class ShareProtocol:
    def __init__(self, config: GroupConfig, timers: Timers, topics: TopicCatalog) -> None:
        self._config = config
        self._timers = timers
        self._topics = topics

    def heartbeat(
        self,
        group: ShareGroup,
        request: messages.ShareGroupHeartbeatRequest,
        client: Client,
        wall_ms: int,
        mono_ms: int,
        out: Outcome,
    ) -> messages.ShareGroupHeartbeatResponse:
        """Add the records of a heartbeat to `out`; returns the answer.

        Errors: `GroupRefusal`.
        """
        known = self._find_member(group, request)
        if request.member_epoch == LEAVE_EPOCH:
            self.remove(group, known.member_id, out)
            return messages.ShareGroupHeartbeatResponse(
                member_id=known.member_id, member_epoch=LEAVE_EPOCH
            )
        names = known.subscribed_topic_names
        if request.subscribed_topic_names is not None:
            names = tuple(sorted(set(request.subscribed_topic_names)))
        member = replace(
            known,
            rack_id=request.rack_id or known.rack_id,
            client_id=client.client_id,
            client_host=client.client_host,
            subscribed_topic_names=names,
        )
        target, epoch = self._update_target(group, known, member, wall_ms, out)
        if member.member_epoch != epoch or member.assigned != target:
            member = replace(
                member,
                member_epoch=epoch,
                previous_member_epoch=member.member_epoch,
                assigned=target,
            )
            out.write(
                records.ShareGroupCurrentMemberAssignmentKey(group.group_id, member.member_id),
                records.ShareGroupCurrentMemberAssignmentValue(
                    epoch, member.previous_member_epoch, STABLE, to_list(target)
                ),
            )
        self._expect_heartbeat(group.group_id, member.member_id, mono_ms)
        response = messages.ShareGroupHeartbeatResponse(
            member_id=member.member_id,
            member_epoch=member.member_epoch,
            heartbeat_interval_ms=self._config.of_group(
                group.group_id, "share.heartbeat.interval.ms"
            ),
        )
        is_full = request.member_epoch == 0 or request.subscribed_topic_names is not None
        if is_full or request.member_epoch != epoch or member.assigned != known.assigned:
            response.assignment = messages.Assignment(
                [
                    messages.TopicPartitions(topic_id, sorted(partitions))
                    for topic_id, partitions in sorted(target.items())
                ]
            )
        return response

    def _find_member(
        self, group: ShareGroup, request: messages.ShareGroupHeartbeatRequest
    ) -> ShareMember:
        known = group.members.get(request.member_id)
        if known is None:
            if request.member_epoch != 0:
                raise GroupRefusal(
                    ErrorCode.UNKNOWN_MEMBER_ID,
                    f"Member {request.member_id} is not a member of group {group.group_id}.",
                )
            if len(group.members) >= self._config.group_share_max_size:
                raise GroupRefusal(
                    ErrorCode.GROUP_MAX_SIZE_REACHED,
                    "The share group has reached its maximum capacity of "
                    f"{self._config.group_share_max_size} members.",
                )
            return ShareMember(member_id=request.member_id)
        if request.member_epoch > 0:
            check_epoch(known, request.member_epoch)
        return known

    # --- the target

    def _update_target(
        self,
        group: ShareGroup,
        known: ShareMember,
        member: ShareMember,
        wall_ms: int,
        out: Outcome,
    ) -> tuple[Partitions, int]:
        """The member's target and its epoch, after what this heartbeat says."""
        is_new = member.member_id not in group.members
        if is_new or member != known:
            out.write(
                records.ShareGroupMemberMetadataKey(group.group_id, member.member_id),
                records.ShareGroupMemberMetadataValue(
                    member.rack_id,
                    member.client_id,
                    member.client_host,
                    list(member.subscribed_topic_names),
                ),
            )
        bump = is_new or member.subscribed_topic_names != known.subscribed_topic_names
        members = {**group.members, member.member_id: member}
        epoch = group.group_epoch
        if bump or group.checked_epoch != self._topics.epoch:
            topics = self._subscribed(members)
            metadata_hash = hash_of_topics(topics)
            if bump or metadata_hash != group.metadata_hash:
                epoch += 1
                out.write(
                    records.ShareGroupMetadataKey(group.group_id),
                    records.ShareGroupMetadataValue(epoch, metadata_hash),
                )
            self._note_topics(group, topics, out)
            group.checked_epoch = self._topics.epoch
        interval_ms = self._config.of_group(group.group_id, "share.assignment.interval.ms")
        if epoch == group.assignment_epoch or not may_assign(
            group.assignment_timestamp_ms, interval_ms, wall_ms
        ):
            return group.target.get(member.member_id, NOTHING), group.assignment_epoch
        return self._assign(group, members, epoch, wall_ms, out)[member.member_id], epoch

    def _subscribed(self, members: dict[str, ShareMember]) -> list[TopicInfo]:
        names = {name for m in members.values() for name in m.subscribed_topic_names}
        found = (self._topics.topic_by_name(name) for name in sorted(names))
        return [topic for topic in found if topic is not None]

    def _note_topics(self, group: ShareGroup, topics: list[TopicInfo], out: Outcome) -> None:
        """Write down which topics the group reads, so that its offsets can be listed."""
        noted = dict(group.initialized)
        for topic in topics:
            noted[topic.topic_id] = (topic.name, frozenset(range(topic.partition_count)))
        for topic_id in list(noted):
            if self._topics.topic_by_id(topic_id) is None:
                del noted[topic_id]
        if noted != group.initialized:
            out.write(
                records.ShareGroupStatePartitionMetadataKey(group.group_id),
                topics_record(noted),
            )

    def change_topics(
        self,
        group: ShareGroup,
        added: Iterable[tuple[TopicInfo, int]],
        removed: Collection[bytes],
        out: Outcome,
    ) -> None:
        """Add partitions to those that the group has offsets in, and take topics away."""
        if not group.is_known:
            out.write(
                records.ShareGroupMetadataKey(group.group_id), records.ShareGroupMetadataValue()
            )
        noted = {t: known for t, known in group.initialized.items() if t not in removed}
        for topic, partition in added:
            _, known = noted.get(topic.topic_id, (topic.name, frozenset[int]()))
            noted[topic.topic_id] = (topic.name, known | {partition})
        if noted != group.initialized:
            key = records.ShareGroupStatePartitionMetadataKey(group.group_id)
            out.write(key, topics_record(noted))

    def _assign(
        self,
        group: ShareGroup,
        members: dict[str, ShareMember],
        epoch: int,
        wall_ms: int,
        out: Outcome,
    ) -> dict[str, Partitions]:
        topics = {topic.name: topic for topic in self._subscribed(members)}
        assigned = assign_simple(
            [
                AssignmentMember(
                    m.member_id,
                    None,
                    frozenset(topics[n].topic_id for n in m.subscribed_topic_names if n in topics),
                    group.target.get(m.member_id, NOTHING),
                )
                for m in members.values()
            ],
            {topic.topic_id: topic.partition_count for topic in topics.values()},
        )
        for member_id in sorted(assigned):
            if group.target.get(member_id) != assigned[member_id]:
                out.write(
                    records.ShareGroupTargetAssignmentMemberKey(group.group_id, member_id),
                    records.ShareGroupTargetAssignmentMemberValue(to_list(assigned[member_id])),
                )
        out.write(
            records.ShareGroupTargetAssignmentMetadataKey(group.group_id),
            records.ShareGroupTargetAssignmentMetadataValue(epoch, wall_ms),
        )
        return assigned

    # --- sessions and leaving

    def _expect_heartbeat(self, group_id: str, member_id: str, mono_ms: int) -> None:
        timeout_ms = self._config.of_group(group_id, "share.session.timeout.ms")
        self._timers.schedule(TimerKey(SESSION, group_id, member_id), mono_ms + timeout_ms)

    def expect_heartbeats(self, group: ShareGroup, mono_ms: int) -> None:
        """Start the sessions of a group that a restart found."""
        for member_id in group.members:
            self._expect_heartbeat(group.group_id, member_id, mono_ms)

    def remove(self, group: ShareGroup, member_id: str, out: Outcome) -> None:
        """Remove a member; the others hear of it with their next heartbeats."""
        self._timers.cancel(TimerKey(SESSION, group.group_id, member_id))
        out.erase(records.ShareGroupCurrentMemberAssignmentKey(group.group_id, member_id))
        out.erase(records.ShareGroupTargetAssignmentMemberKey(group.group_id, member_id))
        out.erase(records.ShareGroupMemberMetadataKey(group.group_id, member_id))
        left = {m: member for m, member in group.members.items() if m != member_id}
        out.write(
            records.ShareGroupMetadataKey(group.group_id),
            records.ShareGroupMetadataValue(
                group.group_epoch + 1, hash_of_topics(self._subscribed(left))
            ),
        )

    def erase_group(self, group: ShareGroup, out: Outcome) -> None:
        """Tombstones for everything of an empty group."""
        assert not group.members
        out.erase(records.ShareGroupStatePartitionMetadataKey(group.group_id))
        out.erase(records.ShareGroupTargetAssignmentMetadataKey(group.group_id))
        out.erase(records.ShareGroupMetadataKey(group.group_id))


def topics_record(
    noted: dict[bytes, tuple[str, frozenset[int]]],
) -> records.ShareGroupStatePartitionMetadataValue:
    return records.ShareGroupStatePartitionMetadataValue(
        initialized_topics=[
            records.ShareTopicPartitions(topic_id, name, sorted(partitions))
            for topic_id, (name, partitions) in sorted(noted.items())
        ]
    )


def check_request(request: messages.ShareGroupHeartbeatRequest) -> None:
    """Errors: `GroupRefusal` for a request that is wrong whatever the group."""
    wrong = None
    if not request.group_id:
        wrong = "GroupId can't be empty."
    elif not request.member_id:
        wrong = "MemberId can't be empty."
    elif request.rack_id == "":
        wrong = "RackId can't be empty."
    elif request.member_epoch < LEAVE_EPOCH:
        wrong = "MemberEpoch is invalid."
    elif request.member_epoch == 0 and not request.subscribed_topic_names:
        wrong = "SubscribedTopicNames must be set in first request."
    if wrong is not None:
        raise GroupRefusal(ErrorCode.INVALID_REQUEST, wrong)


def check_epoch(known: ShareMember, member_epoch: int) -> None:
    """A member may be one epoch behind, when the answer that raised it got lost."""
    if member_epoch in (known.member_epoch, known.previous_member_epoch):
        return
    size = "greater" if member_epoch > known.member_epoch else "smaller"
    raise GroupRefusal(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The share group member has a {size} member epoch ({member_epoch}) than the one known "
        f"by the group coordinator ({known.member_epoch}). The member must abandon all its "
        "partitions and rejoin.",
    )
