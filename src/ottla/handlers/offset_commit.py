"""OffsetCommit (API key 8), versions 0 to 10.

v2 retention time (to v4); v3 throttle time; v6 leader epoch (KIP-320); v7
static members (KIP-345); v9 member epoch (KIP-848); v10 topic ids (KIP-848).

Partitions that do not exist are refused here; the others go to the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import MergedReply
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import may_touch_topic, require_group
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: OffsetCommitRequest) -> Parked:
    """The offsets are committed for the group, durably, when the answer leaves."""
    require_group(request, Operation.READ, message.group_id)
    accepted: list[OffsetCommitRequestTopic] = []
    refused: list[OffsetCommitResponseTopic] = []
    for topic in message.topics:
        partition_count, error = _look_up(broker, request, topic)
        if error:
            indexes = [p.partition_index for p in topic.partitions]
            refused.append(_refusal(topic, indexes, error))
            continue
        good = [p for p in topic.partitions if 0 <= p.partition_index < partition_count]
        if len(good) < len(topic.partitions):
            indexes = [p.partition_index for p in topic.partitions if p not in good]
            refused.append(_refusal(topic, indexes, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        if good:
            accepted.append(OffsetCommitRequestTopic(topic.topic_id, topic.name, good))
    message.topics = accepted
    if not accepted and refused:
        request.complete(OffsetCommitResponse(topics=refused))
        return Parked.LATER

    def merge(response: Message) -> Message:
        assert isinstance(response, OffsetCommitResponse)
        response.topics += refused
        return response

    outcome = broker.coordinators.groups.offset_commit(
        message,
        client_of(request),
        MergedReply(request, merge) if refused else request,
        request.wall_ms,
        request.mono_ms,
    )
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    return Parked.LATER


def _look_up(
    broker: Broker, request: RequestContext, topic: OffsetCommitRequestTopic
) -> tuple[int, ErrorCode]:
    """Fills in the name that an id stands for; returns the topic's partition count."""
    if request.version >= 10:
        known = broker.metadata.topics_by_id.get(topic.topic_id)
        if known is None:
            return 0, ErrorCode.UNKNOWN_TOPIC_ID
        topic.name = known.name
    else:
        known = broker.metadata.topics.get(topic.name)
    if not may_touch_topic(request, Operation.READ, topic.name):
        return 0, ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if known is None:
        return 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return known.partition_count, ErrorCode.NONE


def _refusal(
    topic: OffsetCommitRequestTopic, indexes: list[int], error: ErrorCode
) -> OffsetCommitResponseTopic:
    return OffsetCommitResponseTopic(
        topic.topic_id, topic.name, [OffsetCommitResponsePartition(i, error) for i in indexes]
    )
