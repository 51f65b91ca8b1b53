"""DescribeTopicPartitions (API key 75), version 0 (KIP-966).

Topics in the order of their names, at most `response_partition_limit`
partitions at once (and never more than the broker's own limit); a cursor says
where to go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import TOPIC_OPERATIONS, Operation
from ottla.broker.topics import check_topic_name
from ottla.handlers.authorization import may_touch_topic
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    ResponseCursor,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext

#: Authorized operations that are not told.
NOTHING_TOLD: Final = -(2**31)


def handle(
    broker: Broker, request: RequestContext, message: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    """The topics asked for (all, if none is named), from the cursor on."""
    limit = min(
        max(message.response_partition_limit, 1),
        broker.config.number("max.request.partition.size.limit"),
    )
    cursor = message.cursor
    if cursor is not None and cursor.partition_index < 0:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, "DescribeTopicPartitionsRequest cursor is not valid."
        )
    fetch_all = not message.topics
    names = set(broker.metadata.topics) if fetch_all else {t.name for t in message.topics}
    if cursor is not None:
        names = {name for name in names if name >= cursor.topic_name}
    response = DescribeTopicPartitionsResponse()
    for name in sorted(names):
        if not may_touch_topic(request, Operation.DESCRIBE, name):
            if not fetch_all:
                response.topics.append(_missing(name, ErrorCode.TOPIC_AUTHORIZATION_FAILED))
            continue
        topic = broker.metadata.topics.get(name)
        if topic is None:
            is_legal = check_topic_name(name) is None
            code = (
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                if is_legal
                else ErrorCode.INVALID_TOPIC_EXCEPTION
            )
            response.topics.append(_missing(name, code))
            continue
        first = 0
        if cursor is not None and cursor.topic_name == name:
            first = cursor.partition_index
        if limit <= 0:
            response.next_cursor = ResponseCursor(name, first)
            break
        part = topic.partitions[first : first + limit]
        limit -= len(part)
        response.topics.append(
            DescribeTopicPartitionsResponseTopic(
                ErrorCode.NONE,
                topic.name,
                topic.id,
                topic.is_internal,
                [_describe(broker, p) for p in part],
                TOPIC_OPERATIONS,
            )
        )
        if first + len(part) < len(topic.partitions):
            response.next_cursor = ResponseCursor(name, first + len(part))
            break
    return response


def _missing(name: str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic:
    is_refused = code is ErrorCode.TOPIC_AUTHORIZATION_FAILED
    return DescribeTopicPartitionsResponseTopic(
        code, name, topic_authorized_operations=NOTHING_TOLD if is_refused else TOPIC_OPERATIONS
    )


def _describe(broker: Broker, partition: Partition) -> DescribeTopicPartitionsResponsePartition:
    nodes = [broker.node_id]
    if partition.offline_error:
        return DescribeTopicPartitionsResponsePartition(
            ErrorCode.LEADER_NOT_AVAILABLE,
            partition.index,
            -1,
            partition.leader_epoch,
            nodes,
            [],
            [],
            [],
            nodes,
        )
    return DescribeTopicPartitionsResponsePartition(
        ErrorCode.NONE,
        partition.index,
        broker.node_id,
        partition.leader_epoch,
        nodes,
        nodes,
        [],
        [],
    )
