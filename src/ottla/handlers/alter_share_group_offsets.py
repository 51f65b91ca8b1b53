"""AlterShareGroupOffsets (API key 91), version 0 (KIP-932).

Only while nobody is in the group: NON_EMPTY_GROUP otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import when_all_visible
from ottla.broker.request import Parked
from ottla.coordinator.share_coordinator import ShareKey
from ottla.coordinator.topic_catalog import TopicInfo
from ottla.handlers.authorization import may_touch_topic, require_group
from ottla.handlers.share_offsets import require_empty_group
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse,
    AlterShareGroupOffsetsResponsePartition,
    AlterShareGroupOffsetsResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: AlterShareGroupOffsetsRequest
) -> Parked:
    """The group goes on from the offsets given, durably."""
    require_group(request, Operation.READ, message.group_id)
    require_empty_group(broker, message.group_id, may_be_new=True)
    response = AlterShareGroupOffsetsResponse()
    touched = [broker.coordinators.group_partition(message.group_id)]
    added: list[tuple[TopicInfo, int]] = []
    share_groups = broker.share_groups
    for wanted in message.topics:
        topic = broker.metadata.topics.get(wanted.topic_name)
        may_read = may_touch_topic(request, Operation.READ, wanted.topic_name)
        rows = []
        for one in wanted.partitions:
            code = ErrorCode.NONE
            if not may_read:
                code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            elif topic is None or not 0 <= one.partition_index < len(topic.partitions):
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                key = ShareKey(message.group_id, topic.id, one.partition_index)
                partition = topic.partitions[one.partition_index]
                outcome = share_groups.coordinator.initialize(
                    key, one.start_offset, partition.leader_epoch, request.wall_ms
                )
                code = share_groups.apply(key, outcome)
                touched.append(share_groups.state_partition(key))
                added.append((TopicInfo(topic.name, topic.id, 0), one.partition_index))
            rows.append(
                AlterShareGroupOffsetsResponsePartition(
                    one.partition_index, code, code.name if code else None
                )
            )
        response.responses.append(
            AlterShareGroupOffsetsResponseTopic(
                wanted.topic_name, topic.id if topic is not None else bytes(16), rows
            )
        )
    outcome = broker.coordinators.groups.change_share_topics(message.group_id, added)
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    when_all_visible(touched, lambda _: request.complete(response))
    return Parked.LATER
