"""DeleteRecords (API key 21), versions 0 to 2.

The new log start offset is durable before the answer. -1 stands for the high
watermark. Topics that are only compacted are refused with POLICY_VIOLATION.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.broker.request import Parked
from ottla.handlers.authorization import may_touch_topic
from ottla.storage.errors import StorageError
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext
    from ottla.broker.topics import Topic

HIGH_WATERMARK: Final = -1


def handle(broker: Broker, request: RequestContext, message: DeleteRecordsRequest) -> Parked:
    """Records before each offset cannot be read any more, not even after a crash."""
    response = DeleteRecordsResponse()
    deleted: list[DeleteRecordsPartitionResult] = []
    for wanted in message.topics:
        topic = broker.metadata.topics.get(wanted.name)
        is_allowed = may_touch_topic(request, Operation.DELETE, wanted.name)
        results = []
        for one in wanted.partitions:
            if not is_allowed:
                result = _refusal(one, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
            elif topic is None or not 0 <= one.partition_index < len(topic.partitions):
                result = _refusal(one, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            else:
                result = _delete(topic, one)
                deleted.append(result)
            results.append(result)
        response.topics.append(DeleteRecordsTopicResult(wanted.name, results))

    def checkpointed(error: ErrorCode) -> None:
        if error:
            for result in deleted:
                result.error_code = result.error_code or error
        request.complete(response)

    broker.flushes.when_checkpointed(checkpointed)
    return Parked.LATER


def _delete(topic: Topic, wanted: DeleteRecordsPartition) -> DeleteRecordsPartitionResult:
    partition = topic.partitions[wanted.partition_index]
    if partition.offline_error:
        return _refusal(wanted, partition.offline_error)
    if topic.is_internal:
        return _refusal(wanted, ErrorCode.INVALID_TOPIC_EXCEPTION)
    if not partition.log.config.is_deleted:
        return _refusal(wanted, ErrorCode.POLICY_VIOLATION)
    offset = partition.high_watermark if wanted.offset == HIGH_WATERMARK else wanted.offset
    if not 0 <= offset <= partition.high_watermark:
        return _refusal(wanted, ErrorCode.OFFSET_OUT_OF_RANGE)
    try:
        partition.log.advance_log_start_offset(offset)
    except StorageError as error:
        return _refusal(wanted, error.code)
    return DeleteRecordsPartitionResult(wanted.partition_index, partition.log_start_offset)


def _refusal(wanted: DeleteRecordsPartition, code: ErrorCode) -> DeleteRecordsPartitionResult:
    return DeleteRecordsPartitionResult(wanted.partition_index, -1, code)
