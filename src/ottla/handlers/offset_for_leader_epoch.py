"""OffsetForLeaderEpoch (API key 23), versions 0 to 4 (KIP-320).

v2 current leader epoch; v3 replica id. An epoch that the log does not know is
answered with -1 and -1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import may_touch_topic
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    """Where each epoch ended."""
    response = OffsetForLeaderEpochResponse()
    for topic in message.topics:
        is_allowed = may_touch_topic(request, Operation.DESCRIBE, topic.topic)
        results = []
        for wanted in topic.partitions:
            result = EpochEndOffset(partition=wanted.partition)
            results.append(result)
            partition = broker.find_partition(topic.topic, wanted.partition)
            if not is_allowed:
                result.error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            elif partition is None:
                result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif partition.offline_error:
                result.error_code = partition.offline_error
            elif error := partition.check_leader_epoch(wanted.current_leader_epoch):
                result.error_code = error
            else:
                result.leader_epoch, result.end_offset = partition.end_offset_for_epoch(
                    wanted.leader_epoch
                )
        response.topics.append(OffsetForLeaderTopicResult(topic.topic, results))
    return response
