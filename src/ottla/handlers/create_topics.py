"""CreateTopics (API key 19), versions 0 to 7.

v4 -1 partitions and -1 replicas take the broker's defaults (KIP-464); v5 the
response describes the topic (KIP-525); v7 its id (KIP-516).

A factor above 1 is refused with INVALID_REPLICATION_FACTOR: one embedded
broker keeps one copy.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ottla.broker.config_types import ConfigSource
from ottla.broker.quotas import Mutations
from ottla.broker.topics import Topic
from ottla.handlers.assignment import why_refused
from ottla.handlers.authorization import may_create_topic
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: CreateTopicsRequest
) -> CreateTopicsResponse:
    """Each topic exists durably, or has its own error."""
    times_named = Counter(topic.name for topic in message.topics)
    response = CreateTopicsResponse()
    mutations = Mutations(request, is_strict=request.version >= 6)
    for name in times_named:
        if times_named[name] > 1:
            response.topics.append(
                _refusal(
                    name,
                    RequestError(ErrorCode.INVALID_REQUEST, "Duplicate topic name."),
                )
            )
    with broker.one_sync():
        for wanted in message.topics:
            if times_named[wanted.name] > 1:
                continue
            try:
                result = _create(broker, request, wanted, mutations, message.validate_only)
            except RequestError as error:
                result = _refusal(wanted.name, error)
            response.topics.append(result)
    response.throttle_time_ms = mutations.settle()
    return response


def _refusal(name: str, error: RequestError) -> CreatableTopicResult:
    return CreatableTopicResult(
        name, error_code=error.code, error_message=error.message, configs=[]
    )


def _create(
    broker: Broker,
    request: RequestContext,
    wanted: CreatableTopic,
    mutations: Mutations,
    validate_only: bool,
) -> CreatableTopicResult:
    if not may_create_topic(request, wanted.name):
        raise RequestError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "Authorization failed.")
    partition_count, factor = _counts(broker, wanted)
    configs: dict[str, str] = {}
    for config in wanted.configs:
        if config.value is None:
            raise RequestError(
                ErrorCode.INVALID_CONFIG,
                f"Null value not supported for topic configs: {config.name}",
            )
        configs[config.name] = config.value
    (record,) = broker.topics.decide_create(wanted.name, partition_count, factor, configs)
    mutations.admit(record["partitions"])
    if validate_only:
        topic = Topic(wanted.name, bytes.fromhex(record["id"]), record["partitions"], configs, 0)
    else:
        topic = broker.topics.create(wanted.name, partition_count, factor, configs)
    return CreatableTopicResult(
        topic.name,
        topic.id,
        error_code=ErrorCode.NONE,
        error_message=None,
        num_partitions=topic.partition_count,
        replication_factor=1,
        configs=[
            CreatableTopicConfigs(
                entry.name,
                entry.value,
                entry.is_read_only,
                ConfigSource(entry.source),
                entry.is_sensitive,
            )
            for entry in broker.config.describe_topic(configs)
        ],
    )


def _counts(broker: Broker, wanted: CreatableTopic) -> tuple[int, int]:
    """Partition count and replication factor, from the numbers or from an assignment by hand."""
    if not wanted.assignments:
        return wanted.num_partitions, wanted.replication_factor
    if wanted.num_partitions != -1 or wanted.replication_factor != -1:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            "Both partition counts or replication factor and replica assignment are given.",
        )
    indexes = sorted(a.partition_index for a in wanted.assignments)
    if indexes != list(range(len(indexes))):
        raise RequestError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "Partition indexes must be consecutive and start with 0.",
        )
    for assignment in wanted.assignments:
        reason = why_refused(broker, assignment.broker_ids)
        if reason is not None:
            raise RequestError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
    return len(indexes), 1
