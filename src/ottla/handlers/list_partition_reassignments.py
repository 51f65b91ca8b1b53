"""ListPartitionReassignments (API key 46), version 0 (KIP-455).

Partitions of one broker never move, so there is never anything to list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: ListPartitionReassignmentsRequest
) -> ListPartitionReassignmentsResponse:
    """None."""
    require_cluster(request, Operation.DESCRIBE)
    return ListPartitionReassignmentsResponse(error_message=None)
