"""CreatePartitions (API key 37), versions 0 to 3.

v1 to v3 differ in encoding and throttling only (KIP-599).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.quotas import Mutations
from ottla.handlers.assignment import why_refused
from ottla.handlers.authorization import may_touch_topic
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    """Each topic has as many partitions as asked, durably, or its own error."""
    times_named = Counter(topic.name for topic in message.topics)
    response = CreatePartitionsResponse()
    mutations = Mutations(request, is_strict=request.version >= 3)
    for name, times in times_named.items():
        if times > 1:
            response.results.append(
                CreatePartitionsTopicResult(
                    name, ErrorCode.INVALID_REQUEST, "Duplicate topic name."
                )
            )
    for wanted in message.topics:
        if times_named[wanted.name] > 1:
            continue
        try:
            _create(broker, request, wanted, mutations, message.validate_only)
        except RequestError as error:
            response.results.append(
                CreatePartitionsTopicResult(wanted.name, error.code, error.message)
            )
        else:
            response.results.append(CreatePartitionsTopicResult(wanted.name))
    response.throttle_time_ms = mutations.settle()
    return response


def _create(
    broker: Broker,
    request: RequestContext,
    wanted: CreatePartitionsTopic,
    mutations: Mutations,
    validate_only: bool,
) -> None:
    if not may_touch_topic(request, Operation.ALTER, wanted.name):
        raise RequestError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "Authorization failed.")
    topic = broker.metadata.topics.get(wanted.name)
    if topic is None:
        raise RequestError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            "This server does not host this topic-partition.",
        )
    if wanted.count == topic.partition_count:
        raise RequestError(
            ErrorCode.INVALID_PARTITIONS, f"Topic already has {wanted.count} partition(s)."
        )
    if wanted.count < topic.partition_count:
        raise RequestError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {wanted.name} currently has {topic.partition_count} partition(s); "
            f"{wanted.count} would not be an increase.",
        )
    if wanted.assignments is not None:
        added = wanted.count - topic.partition_count
        if len(wanted.assignments) != added:
            raise RequestError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"Attempted to add {added} additional partition(s), but "
                f"{len(wanted.assignments)} assignment(s) were specified.",
            )
        for assignment in wanted.assignments:
            reason = why_refused(broker, assignment.broker_ids)
            if reason is not None:
                raise RequestError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
    broker.topics.check_limit(wanted.count - topic.partition_count)
    mutations.admit(wanted.count - topic.partition_count)
    if not validate_only:
        broker.topics.add_partitions(topic, wanted.count)
