"""DescribeQuorum (API key 55), versions 0 to 2 (KIP-595).

v1 fetch times; v2 directory ids, nodes and error messages (KIP-853).

The metadata of one node needs no quorum. What is described is this node as
the only voter, with the number of metadata changes as the end of the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.handlers.endpoints import endpoint
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

METADATA_TOPIC: Final = "__cluster_metadata"


def handle(
    broker: Broker, request: RequestContext, message: DescribeQuorumRequest
) -> DescribeQuorumResponse:
    """This node leads itself."""
    require_cluster(request, Operation.DESCRIBE)
    host, port = endpoint(request.connection)
    end_offset = broker.metadata.epoch
    response = DescribeQuorumResponse(
        nodes=[Node(broker.node_id, [Listener(request.connection.listener, host, port)])],
    )
    asked_for = {(t.topic_name, p.partition_index) for t in message.topics for p in t.partitions}
    if (METADATA_TOPIC, 0) not in asked_for:
        response.nodes = []
    for topic in message.topics:
        rows = []
        for asked in topic.partitions:
            if topic.topic_name != METADATA_TOPIC or asked.partition_index != 0:
                rows.append(
                    ResponsePartitionData(
                        asked.partition_index,
                        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION.name,
                    )
                )
                continue
            voter = ReplicaState(
                broker.node_id,
                broker.directory_id,
                end_offset,
                request.wall_ms,
                request.wall_ms,
            )
            rows.append(
                ResponsePartitionData(
                    0,
                    ErrorCode.NONE,
                    "",
                    broker.node_id,
                    broker.metadata.starts,
                    end_offset,
                    [voter],
                )
            )
        response.topics.append(ResponseTopicData(topic.topic_name, rows))
    return response
