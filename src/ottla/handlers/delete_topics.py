"""DeleteTopics (API key 20), versions 0 to 6.

v1 throttle time; v3 TOPIC_DELETION_DISABLED; v5 error messages (KIP-599); v6
topic ids (KIP-516).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import may_touch_topic
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import ZERO_UUID
from ottla.wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DeleteTopicsRequest
) -> DeleteTopicsResponse:
    """Each topic is gone, durably; its files follow."""
    if not broker.config.flag("delete.topic.enable"):
        code = (
            ErrorCode.INVALID_REQUEST if request.version < 3 else ErrorCode.TOPIC_DELETION_DISABLED
        )
        raise RequestError(code, "Topic deletion is disabled.")
    wanted = message.topics
    if request.version < 6:
        wanted = [DeleteTopicState(name) for name in message.topic_names]
    response = DeleteTopicsResponse()
    deleted: list[str] = []
    times_named = Counter((one.name, one.topic_id) for one in wanted)
    for (name, topic_id), times in times_named.items():
        if times > 1:
            result = DeletableTopicResult(
                name, topic_id, ErrorCode.INVALID_REQUEST, "Duplicate topic in request."
            )
        else:
            result = _delete(broker, request, DeleteTopicState(name, topic_id))
            if not result.error_code:
                assert result.name is not None
                deleted.append(result.name)
        response.responses.append(result)
    if deleted:
        broker.coordinators.topics_deleted(deleted)
    return response


def _delete(
    broker: Broker, request: RequestContext, wanted: DeleteTopicState
) -> DeletableTopicResult:
    by_id = wanted.name is None
    if by_id == (wanted.topic_id == ZERO_UUID):
        return DeletableTopicResult(
            wanted.name,
            wanted.topic_id,
            ErrorCode.INVALID_REQUEST,
            "Either the topic's name or its id must be given, and not both.",
        )
    metadata = broker.metadata
    if by_id:
        topic = metadata.topics_by_id.get(wanted.topic_id)
        missing = ErrorCode.UNKNOWN_TOPIC_ID
    else:
        topic = metadata.topics.get(wanted.name or "")
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic is None:
        what = "topic ID" if by_id else "topic-partition"
        text = f"This server does not host this {what}."
        return DeletableTopicResult(wanted.name, wanted.topic_id, missing, text)
    if not may_touch_topic(request, Operation.DELETE, topic.name):
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        return DeletableTopicResult(wanted.name, wanted.topic_id, code, code.name)
    broker.topics.delete(topic)
    broker.share_groups.forget(broker.share_groups.coordinator.keys_of_topic(topic.id))
    return DeletableTopicResult(topic.name, topic.id)
