"""OffsetDelete (API key 47), version 0 (KIP-496).

Offsets of topics that the group is subscribed to stay: GROUP_SUBSCRIBED_TO_TOPIC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import MergedReply
from ottla.broker.request import Parked
from ottla.handlers.authorization import may_touch_topic, require_group
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message
from ottla.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: OffsetDeleteRequest) -> Parked:
    """The group has no committed offset for these partitions any more."""
    require_group(request, Operation.DELETE, message.group_id)
    accepted: list[OffsetDeleteRequestTopic] = []
    refused: list[OffsetDeleteResponseTopic] = []
    for topic in message.topics:
        known = broker.metadata.topics.get(topic.name)
        if not may_touch_topic(request, Operation.READ, topic.name):
            error = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        elif known is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            count = known.partition_count
            there = [p for p in topic.partitions if 0 <= p.partition_index < count]
            topic.partitions = [p for p in topic.partitions if p not in there]
            accepted.append(OffsetDeleteRequestTopic(topic.name, there))
            if not topic.partitions:
                continue
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        refused.append(
            OffsetDeleteResponseTopic(
                topic.name,
                [OffsetDeleteResponsePartition(p.partition_index, error) for p in topic.partitions],
            )
        )
    message.topics = accepted

    def merge(response: Message) -> Message:
        assert isinstance(response, OffsetDeleteResponse)
        if not response.error_code:
            for topic in refused:
                same = next((t for t in response.topics if t.name == topic.name), None)
                if same is None:
                    response.topics.append(topic)
                else:
                    same.partitions += topic.partitions
        return response

    outcome = broker.coordinators.groups.offset_delete(
        message, MergedReply(request, merge) if refused else request
    )
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    return Parked.LATER
