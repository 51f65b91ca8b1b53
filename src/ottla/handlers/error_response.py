"""The error response of each API, for a request that is refused as a whole.

Most responses have an error code of their own. The others answer every item
of the request with the same error; those are listed here, in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Message

if TYPE_CHECKING:
    from ottla.broker.request import RequestContext
    from ottla.handlers.registry import Api

Builder: TypeAlias = Callable[[Any, Any, RequestError], Message]


def error_response(
    api: Api, request: RequestContext, message: Message, error: RequestError
) -> Message | None:
    """The response that refuses the request, or None when only closing tells it."""
    builder = BUILDERS.get(api.name)
    if builder is not None:
        return builder(request, message, error)
    response: Any = api.response_class()
    carriers = (f for f in response.SCHEMA if f.name == "error_code")
    if not any(f.first <= request.version <= f.last for f in carriers):
        return None  # An error nobody can see would be taken for success.
    response.error_code = int(error.code)
    if hasattr(response, "error_message"):
        response.error_message = error.message or error.code.name
    assert isinstance(response, Message)
    return response


def _add_partitions_to_txn(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.handlers.add_partitions_to_txn import refuse_all

    return refuse_all(message, request.version, error.code)


def _api_versions(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.handlers import api_versions

    if error.code is ErrorCode.UNSUPPORTED_VERSION:
        return api_versions.unsupported_version(request.broker)
    return api_versions.refused(error.code)


def _produce(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.produce import (
        PartitionProduceResponse,
        ProduceResponse,
        TopicProduceResponse,
    )

    return ProduceResponse(
        [
            TopicProduceResponse(
                topic.topic_id,
                topic.name,
                [
                    PartitionProduceResponse(
                        partition.index,
                        error.code,
                        base_offset=-1,
                        log_append_time_ms=-1,
                        error_message=error.message,
                    )
                    for partition in topic.partition_data
                ],
            )
            for topic in message.topic_data
        ]
    )


def _metadata(request: RequestContext, message: Any, error: RequestError) -> Message:
    from ottla.wire.messages.metadata import MetadataResponse, MetadataResponseTopic

    topics = [
        MetadataResponseTopic(error.code, topic.name or "", topic.topic_id)
        for topic in message.topics or ()
    ]
    return MetadataResponse(controller_id=-1, topics=topics, error_code=error.code)


def _describe_topic_partitions(
    request: RequestContext, message: Any, error: RequestError
) -> Message:
    from ottla.wire.messages.describe_topic_partitions import (
        DescribeTopicPartitionsResponse,
        DescribeTopicPartitionsResponseTopic,
    )

    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(error.code, topic.name) for topic in message.topics
        ]
    )


BUILDERS: Final[dict[str, Builder]] = {
    "add_partitions_to_txn": _add_partitions_to_txn,
    "api_versions": _api_versions,
    "describe_topic_partitions": _describe_topic_partitions,
    "metadata": _metadata,
    "produce": _produce,
}
