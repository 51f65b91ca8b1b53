"""DeleteTopics (API key 20), versions 0 to 6.

v1 throttle time; v3 TOPIC_DELETION_DISABLED; v5 error messages (KIP-599); v6
topic ids (KIP-516).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.quotas import Mutations
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
    from ottla.broker.topics import Topic


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
    found: list[Topic] = []
    mutations = Mutations(request, is_strict=request.version >= 5)
    times_named = Counter((one.name, one.topic_id) for one in wanted)
    for (name, topic_id), times in times_named.items():
        if times > 1:
            result = DeletableTopicResult(
                name, topic_id, ErrorCode.INVALID_REQUEST, "Duplicate topic in request."
            )
        else:
            result, topic = _find(broker, request, DeleteTopicState(name, topic_id), mutations)
            if topic is not None and topic not in found:  # by name and by id
                found.append(topic)
        response.responses.append(result)
    if found:
        broker.topics.delete(*found)
        for topic in found:
            broker.share_groups.forget(broker.share_groups.coordinator.keys_of_topic(topic.id))
        broker.coordinators.topics_deleted([topic.name for topic in found])
    response.throttle_time_ms = mutations.settle()
    return response


def _find(
    broker: Broker, request: RequestContext, wanted: DeleteTopicState, mutations: Mutations
) -> tuple[DeletableTopicResult, Topic | None]:
    """What to answer, and the topic unless it is refused."""
    by_id = wanted.name is None
    if by_id == (wanted.topic_id == ZERO_UUID):
        result = DeletableTopicResult(
            wanted.name,
            wanted.topic_id,
            ErrorCode.INVALID_REQUEST,
            "Either the topic's name or its id must be given, and not both.",
        )
        return result, None
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
        return DeletableTopicResult(wanted.name, wanted.topic_id, missing, text), None
    if not may_touch_topic(request, Operation.DELETE, topic.name):
        code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        return DeletableTopicResult(wanted.name, wanted.topic_id, code, code.name), None
    try:
        mutations.admit(topic.partition_count)
    except RequestError as error:
        result = DeletableTopicResult(wanted.name, wanted.topic_id, error.code, error.message)
        return result, None
    return DeletableTopicResult(topic.name, topic.id), topic
