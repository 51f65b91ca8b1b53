"""DescribeLogDirs (API key 35), versions 0 to 5.

v3 a top-level error; v4 total and usable bytes (KIP-827); v5 cordoned
directories (KIP-1066), which do not exist here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DescribeLogDirsRequest
) -> DescribeLogDirsResponse:
    """The one log directory, and the sizes of the partitions asked for."""
    require_cluster(request, Operation.DESCRIBE)
    wanted: dict[str, set[int] | None]
    if message.topics is None:
        wanted = dict.fromkeys(broker.metadata.topics)
    else:
        wanted = {}
        for asked in message.topics:
            wanted.setdefault(asked.topic, set()).update(asked.partitions)  # type: ignore[union-attr]
    topics = []
    for name, indexes in wanted.items():
        topic = broker.metadata.topics.get(name)
        if topic is None:
            continue
        partitions = [
            DescribeLogDirsPartition(p.index, p.log.size)
            for p in topic.partitions
            if indexes is None or p.index in indexes
        ]
        if partitions:
            topics.append(DescribeLogDirsTopic(name, partitions))
    directory = broker.log_directory
    result = DescribeLogDirsResult(
        ErrorCode.KAFKA_STORAGE_ERROR if broker.is_log_directory_offline else ErrorCode.NONE,
        directory.path,
        topics,
    )
    result.usable_bytes = directory.filesystem.free_bytes(directory.path)
    result.total_bytes = directory.filesystem.total_bytes(directory.path)
    return DescribeLogDirsResponse(results=[result])
