"""AlterPartitionReassignments (API key 45), versions 0 to 1 (KIP-455).

v1 whether the replication factor may change (KIP-860). A partition can only
be on this broker: such a reassignment is complete at once, and others name a
broker that does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.assignment import why_refused
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    """Each partition is where it was; the answer says whether that is what was asked."""
    require_cluster(request, Operation.ALTER)
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=message.allow_replication_factor_change,
        error_message=None,
        responses=[
            ReassignableTopicResponse(
                topic.name, [_reassign(broker, topic.name, p) for p in topic.partitions]
            )
            for topic in message.topics
        ],
    )


def _reassign(
    broker: Broker, topic_name: str, wanted: ReassignablePartition
) -> ReassignablePartitionResponse:
    code, text = ErrorCode.NONE, None
    if broker.find_partition(topic_name, wanted.partition_index) is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        text = "This server does not host this topic-partition."
    elif wanted.replicas is None:
        code = ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
        text = "No partition reassignment is in progress."
    elif (reason := why_refused(broker, wanted.replicas)) is not None:
        code, text = ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason
    return ReassignablePartitionResponse(wanted.partition_index, code, text)
