"""AlterReplicaLogDirs (API key 34), versions 0 to 2 (KIP-113).

There is one log directory: moving a partition there changes nothing, and
anywhere else is LOG_DIR_NOT_FOUND.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: AlterReplicaLogDirsRequest
) -> AlterReplicaLogDirsResponse:
    """Whether each partition is in the directory named."""
    require_cluster(request, Operation.ALTER)
    response = AlterReplicaLogDirsResponse()
    for directory in message.dirs:
        is_ours = directory.path == broker.log_directory.path
        for topic in directory.topics:
            rows = []
            for index in topic.partitions:
                partition = broker.find_partition(topic.name, index)
                if not is_ours:
                    code = ErrorCode.LOG_DIR_NOT_FOUND
                elif partition is None:
                    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                else:
                    code = partition.offline_error
                rows.append(AlterReplicaLogDirPartitionResult(index, code))
            response.results.append(AlterReplicaLogDirTopicResult(topic.name, rows))
    return response
