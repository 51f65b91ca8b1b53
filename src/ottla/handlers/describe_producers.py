"""DescribeProducers (API key 61), version 0 (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import may_touch_topic
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DescribeProducersRequest
) -> DescribeProducersResponse:
    """The producers that each partition knows."""
    response = DescribeProducersResponse()
    for topic in message.topics:
        is_allowed = may_touch_topic(request, Operation.READ, topic.name)
        rows = []
        for index in topic.partition_indexes:
            partition = broker.find_partition(topic.name, index)
            if not is_allowed:
                row = PartitionResponse(index, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            elif partition is None:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                row = PartitionResponse(index, code, code.name)
            elif partition.offline_error:
                row = PartitionResponse(index, partition.offline_error)
            else:
                row = PartitionResponse(index, active_producers=_producers(partition))
            rows.append(row)
        response.topics.append(TopicResponse(topic.name, rows))
    return response


def _producers(partition: Partition) -> list[ProducerState]:
    return [
        ProducerState(
            state.producer_id,
            state.epoch,
            state.last_sequence,
            state.last_seen_ms,
            state.coordinator_epoch,
            state.transaction_first_offset,
        )
        for state in partition.log.producers
    ]
