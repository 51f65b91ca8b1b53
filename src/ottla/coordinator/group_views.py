"""Groups as the describing and listing APIs show them."""

from __future__ import annotations

from ottla.coordinator.assignors import NOTHING, Partitions
from ottla.coordinator.classic_group import ClassicGroup, GroupState
from ottla.coordinator.consumer_group import ConsumerGroup, ConsumerMember
from ottla.coordinator.consumer_group_protocol import preferred_assignor
from ottla.coordinator.share_group import ShareGroup
from ottla.coordinator.topic_catalog import TopicCatalog
from ottla.wire.messages import consumer_group_describe as consumer_view
from ottla.wire.messages import describe_groups as classic_view
from ottla.wire.messages import offset_fetch as fetching
from ottla.wire.messages import share_group_describe as share_view

#: `member_type` of ConsumerGroupDescribe v1.
CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1


def describe_classic(group: ClassicGroup) -> classic_view.DescribedGroup:
    """Metadata of members is shown only while it is settled."""
    is_stable = group.state is GroupState.STABLE
    protocol = group.protocol_name or ""
    return classic_view.DescribedGroup(
        group_id=group.group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=protocol if is_stable else "",
        members=[
            classic_view.DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata(protocol) if is_stable else b"",
                member_assignment=member.assignment,
            )
            for member in group.members.values()
        ],
    )


def describe_consumer(group: ConsumerGroup, topics: TopicCatalog) -> consumer_view.DescribedGroup:
    return consumer_view.DescribedGroup(
        group_id=group.group_id,
        group_state=group.state,
        group_epoch=group.group_epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=preferred_assignor(group.members.values()),
        members=[
            _consumer_member(member, group.target.get(member.member_id, NOTHING), topics)
            for member in group.members.values()
        ],
    )


def _consumer_member(
    member: ConsumerMember, target: Partitions, topics: TopicCatalog
) -> consumer_view.Member:
    return consumer_view.Member(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.position.member_epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.subscribed_topic_names),
        subscribed_topic_regex=member.subscribed_topic_regex,
        assignment=_assignment(member.position.assigned, topics),
        target_assignment=_assignment(target, topics),
        member_type=CONSUMER_MEMBER if member.classic is None else CLASSIC_MEMBER,
    )


def _assignment(partitions: Partitions, topics: TopicCatalog) -> consumer_view.Assignment:
    """Topics that are gone are left out."""
    found = []
    for topic_id, indexes in sorted(partitions.items()):
        topic = topics.topic_by_id(topic_id)
        if topic is not None:
            found.append(consumer_view.TopicPartitions(topic_id, topic.name, sorted(indexes)))
    return consumer_view.Assignment(found)


def describe_share(group: ShareGroup, topics: TopicCatalog) -> share_view.DescribedGroup:
    return share_view.DescribedGroup(
        group_id=group.group_id,
        group_state=group.state,
        group_epoch=group.group_epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name="simple",
        members=[
            share_view.Member(
                member_id=member.member_id,
                rack_id=member.rack_id,
                member_epoch=member.member_epoch,
                client_id=member.client_id,
                client_host=member.client_host,
                subscribed_topic_names=list(member.subscribed_topic_names),
                assignment=share_view.Assignment(
                    [
                        share_view.TopicPartitions(topic_id, topic.name, sorted(partitions))
                        for topic_id, partitions in sorted(member.assigned.items())
                        if (topic := topics.topic_by_id(topic_id)) is not None
                    ]
                ),
            )
            for member in group.members.values()
        ],
    )


def single_group_fetch(
    group: fetching.OffsetFetchResponseGroup,
) -> fetching.OffsetFetchResponse:
    """The shape that OffsetFetch has before v8."""
    return fetching.OffsetFetchResponse(
        error_code=group.error_code,
        topics=[
            fetching.OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    fetching.OffsetFetchResponsePartition(
                        partition_index=p.partition_index,
                        committed_offset=p.committed_offset,
                        committed_leader_epoch=p.committed_leader_epoch,
                        metadata=p.metadata,
                        error_code=p.error_code,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in group.topics
        ],
    )
