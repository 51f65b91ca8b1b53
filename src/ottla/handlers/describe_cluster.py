"""DescribeCluster (API key 60), versions 0 to 2.

v1 endpoint type (KIP-919); v2 fenced brokers (KIP-1073).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import CLUSTER_OPERATIONS
from ottla.handlers.endpoints import endpoint
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

BROKERS: Final = 1
CONTROLLERS: Final = 2


def handle(
    broker: Broker, request: RequestContext, message: DescribeClusterRequest
) -> DescribeClusterResponse:
    """This node, which is the whole cluster."""
    if message.endpoint_type == CONTROLLERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="The request was sent to an endpoint of the wrong type.",
        )
    if message.endpoint_type != BROKERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message=f"Unsupported endpoint type {message.endpoint_type}",
        )
    host, port = endpoint(request.connection)
    response = DescribeClusterResponse(
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
        brokers=[DescribeClusterBroker(broker.node_id, host, port, broker.rack)],
    )
    if message.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response
