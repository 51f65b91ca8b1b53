"""Groups that change their protocol while they work (KIP-848, online migration).

A classic group of consumers becomes a consumer group when the first member of
the new protocol joins: its members go on in it, each with what it was assigned.
When the last member of the new protocol has left, the group becomes classic
again, and its members rebalance.
"""

from __future__ import annotations

from ottla.coordinator.assignors import NOTHING, Partitions, slots_of
from ottla.coordinator.classic_group import ClassicGroup, ClassicMember, GroupState
from ottla.coordinator.consumer_group import ClassicSide, ConsumerGroup, ConsumerMember
from ottla.coordinator.consumer_group_protocol import GroupRefusal, erase_member
from ottla.coordinator.consumer_group_records import apply_record
from ottla.coordinator.consumer_protocol import (
    PROTOCOL_TYPE,
    Assignment,
    TopicPartitions,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    version_of,
)
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Outcome
from ottla.coordinator.reconciliation import Position
from ottla.coordinator.records import consumer_groups as records
from ottla.coordinator.records.offsets import GroupMetadataKey
from ottla.coordinator.topic_catalog import TopicCatalog
from ottla.wire.errors import ErrorCode, ProtocolError


def to_partitions_by_id(found: list[TopicPartitions], topics: TopicCatalog) -> Partitions:
    """Partitions by topic id; topics that do not exist are left out."""
    result: dict[bytes, frozenset[int]] = {}
    for item in found:
        topic = topics.topic_by_name(item.topic)
        if topic is not None and item.partitions:
            result[topic.topic_id] = frozenset(item.partitions)
    return result


def to_assignment(partitions: Partitions, topics: TopicCatalog) -> Assignment:
    """An assignment as classic clients read it, by topic name."""
    found = []
    for topic_id, indexes in sorted(partitions.items()):
        topic = topics.topic_by_id(topic_id)
        if topic is not None:
            found.append(TopicPartitions(topic.name, sorted(indexes)))
    return Assignment(found)


def check_upgrade(group: ClassicGroup, config: GroupConfig) -> None:
    """Errors: `GroupRefusal` when the group must stay classic."""
    reason = None
    if not config.can_upgrade:
        reason = "online upgrade is disabled"
    elif group.protocol_type != PROTOCOL_TYPE:
        reason = "the group does not use the consumer embedded protocol"
    elif len(group.members) > config.group_consumer_max_size:
        reason = "the group size exceeds the consumer group maximum size"
    if reason is not None:
        raise GroupRefusal(
            ErrorCode.GROUP_ID_NOT_FOUND,
            f"Cannot upgrade classic group {group.group_id} to consumer group because {reason}.",
        )


def upgrade(group: ClassicGroup, topics: TopicCatalog, out: Outcome) -> ConsumerGroup:
    """Add the records that turn a classic group into a consumer group; returns that.

    Errors: `GroupRefusal` when a member's subscription cannot be read.
    """
    converted = Outcome()
    group_id = group.group_id
    converted.erase(GroupMetadataKey(group_id))
    try:
        members = [_upgraded(group, member, topics) for member in group.members.values()]
    except ProtocolError:
        raise GroupRefusal(
            ErrorCode.GROUP_ID_NOT_FOUND,
            f"Cannot upgrade the classic group {group_id} to consumer group because the embedded "
            "consumer protocol is malformed.",
        ) from None
    for member in members:
        key = records.ConsumerGroupMemberMetadataKey(group_id, member.member_id)
        converted.write(key, member.metadata_record())
    epoch = group.generation_id
    converted.write(
        records.ConsumerGroupMetadataKey(group_id), records.ConsumerGroupMetadataValue(epoch)
    )
    for member in members:
        converted.write(
            records.ConsumerGroupTargetAssignmentMemberKey(group_id, member.member_id),
            records.ConsumerGroupTargetAssignmentMemberValue(
                [
                    records.TargetPartitions(topic_id, sorted(partitions))
                    for topic_id, partitions in sorted(member.position.assigned.items())
                ]
            ),
        )
    converted.write(
        records.ConsumerGroupTargetAssignmentMetadataKey(group_id),
        records.ConsumerGroupTargetAssignmentMetadataValue(epoch),
    )
    for member in members:
        key_of_position = records.ConsumerGroupCurrentMemberAssignmentKey(
            group_id, member.member_id
        )
        converted.write(key_of_position, member.position_record())
    consumer = ConsumerGroup(group_id)
    for record in converted.records:
        apply_record(consumer, record)
    out.records += converted.records
    return consumer


def _upgraded(group: ClassicGroup, member: ClassicMember, topics: TopicCatalog) -> ConsumerMember:
    metadata = member.metadata(group.protocol_name) or member.protocols[0][1]
    _, subscription = decode_subscription(metadata)
    assigned = NOTHING
    if member.assignment:
        found = decode_assignment(member.assignment).assigned_partitions
        assigned = to_partitions_by_id(found, topics)
    return ConsumerMember(
        member_id=member.member_id,
        instance_id=member.group_instance_id,
        rack_id=subscription.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=tuple(sorted(set(subscription.topics))),
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        classic=ClassicSide(member.session_timeout_ms, tuple(member.protocols)),
        position=Position(
            member_epoch=group.generation_id,
            previous_member_epoch=group.generation_id,
            assigned=assigned,
            since=dict.fromkeys(sorted(slots_of(assigned)), group.generation_id),
        ),
    )


def is_to_downgrade(group: ConsumerGroup, leaving: list[str], config: GroupConfig) -> bool:
    """Whether only classic members are left once these have gone."""
    left = [m for m in group.members.values() if m.member_id not in leaving]
    return (
        config.can_downgrade
        and bool(left)
        and len(left) <= config.group_max_size
        and all(member.classic is not None for member in left)
    )


def downgrade(
    group: ConsumerGroup, leaving: list[str], topics: TopicCatalog, wall_ms: int, out: Outcome
) -> ClassicGroup:
    """Add the tombstones of a consumer group; returns the classic one that follows.

    That group is Stable, and its record is still to be written.
    """
    classic = ClassicGroup(
        group.group_id,
        state=GroupState.STABLE,
        state_timestamp_ms=wall_ms,
        generation_id=group.group_epoch,
    )
    for member in group.members.values():
        erase_member(out, group.group_id, member.member_id)
        if member.member_id in leaving:
            continue
        assert member.classic is not None
        assignment = to_assignment(group.target.get(member.member_id, NOTHING), topics)
        classic.add(
            ClassicMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout_ms=member.rebalance_timeout_ms,
                session_timeout_ms=member.classic.session_timeout_ms,
                protocol_type=PROTOCOL_TYPE,
                protocols=list(member.classic.protocols),
                assignment=encode_assignment(
                    assignment, version_of(member.classic.protocols[0][1])
                ),
            )
        )
    for regex in sorted(group.resolved):
        out.erase(records.ConsumerGroupRegularExpressionKey(group.group_id, regex))
    out.erase(records.ConsumerGroupTargetAssignmentMetadataKey(group.group_id))
    out.erase(records.ConsumerGroupMetadataKey(group.group_id))
    classic.protocol_name = classic.select_protocol()
    classic.compute_subscribed_topics()
    return classic
