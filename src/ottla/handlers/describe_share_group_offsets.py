"""DescribeShareGroupOffsets (API key 90), versions 0 to 1 (KIP-932).

v1 lag (KIP-1226).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation, Resource
from ottla.coordinator.share_coordinator import ShareKey
from ottla.coordinator.share_group import ShareGroup
from ottla.handlers.authorization import is_allowed, may_touch_topic
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestTopic,
    DescribeShareGroupOffsetsResponse,
    DescribeShareGroupOffsetsResponseGroup,
    DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DescribeShareGroupOffsetsRequest
) -> DescribeShareGroupOffsetsResponse:
    """Where each share group has come to."""
    response = DescribeShareGroupOffsetsResponse()
    for group in message.groups:
        answer = DescribeShareGroupOffsetsResponseGroup(group.group_id)
        response.groups.append(answer)
        if not is_allowed(request, Operation.DESCRIBE, Resource.GROUP, group.group_id):
            answer.error_code = ErrorCode.GROUP_AUTHORIZATION_FAILED
            continue
        known = broker.coordinators.groups.share_group(group.group_id)
        if known is None and group.topics is None:
            answer.error_code = ErrorCode.GROUP_ID_NOT_FOUND
            answer.error_message = f"Group {group.group_id} not found."
            continue
        for topic in group.topics if group.topics is not None else all_topics(known):
            if may_touch_topic(request, Operation.DESCRIBE, topic.topic_name):
                answer.topics.append(_describe(broker, group.group_id, topic))
    return response


def all_topics(group: ShareGroup | None) -> list[DescribeShareGroupOffsetsRequestTopic]:
    """All that the group has offsets in, or is to read from."""
    if group is None:
        return []
    return [
        DescribeShareGroupOffsetsRequestTopic(name, sorted(indexes))
        for name, indexes in sorted(group.initialized.values())
    ]


def _describe(
    broker: Broker, group_id: str, wanted: DescribeShareGroupOffsetsRequestTopic
) -> DescribeShareGroupOffsetsResponseTopic:
    topic = broker.metadata.topics.get(wanted.topic_name)
    if topic is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return DescribeShareGroupOffsetsResponseTopic(
            wanted.topic_name,
            partitions=[
                DescribeShareGroupOffsetsResponsePartition(i, -1, 0, -1, code, code.name)
                for i in wanted.partitions
            ],
        )
    answer = DescribeShareGroupOffsetsResponseTopic(topic.name, topic.id)
    for index in wanted.partitions:
        row = DescribeShareGroupOffsetsResponsePartition(index, -1)
        answer.partitions.append(row)
        state = broker.share_groups.coordinator.state_of(ShareKey(group_id, topic.id, index))
        if state is None or state.start_offset < 0 or index >= len(topic.partitions):
            continue
        row.start_offset = state.start_offset
        row.leader_epoch = state.leader_epoch
        row.lag = max(
            0,
            topic.partitions[index].high_watermark
            - state.start_offset
            - max(0, state.delivery_complete_count),
        )
    return answer
