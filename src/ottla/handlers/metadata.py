"""Metadata (API key 3), versions 0 to 13.

v1 null topics mean all, controller; v2 cluster id; v4 the client says whether
topics may be created; v5 offline replicas; v7 leader epoch (KIP-320); v8
authorized operations (KIP-430; v11 drops the cluster's); v10 topic ids, v12
lookup by id alone (KIP-516); v13 a top-level error (KIP-1102).

A topic that the request creates is complete when the response leaves, so it
is answered as any other: Kafka answers UNKNOWN_TOPIC_OR_PARTITION first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import (
    CLUSTER_OPERATIONS,
    TOPIC_OPERATIONS,
    Operation,
    Resource,
)
from ottla.broker.topics import Topic, check_topic_name
from ottla.handlers.authorization import may_create_topic
from ottla.handlers.endpoints import endpoint
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import ZERO_UUID
from ottla.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: The version from which topics may be asked for by their ids.
IDS_FROM: Final = 12


#: Equal requests get equal responses until the metadata changes.
IS_CACHEABLE = True


def handle(broker: Broker, request: RequestContext, message: MetadataRequest) -> MetadataResponse:
    """Brokers, and the topics asked for; creates missing ones where both sides allow it."""
    if request.version < IDS_FROM:
        for topic in message.topics or ():
            if topic.name is None or topic.topic_id != ZERO_UUID:
                raise RequestError(ErrorCode.INVALID_REQUEST)
    host, port = endpoint(request.connection)
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(broker.node_id, host, port, broker.rack)],
        cluster_id=broker.cluster_id,
        controller_id=broker.node_id,
    )
    if message.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    wanted = message.topics
    if wanted is None or (not wanted and request.version == 0):
        response.topics = [
            _describe(broker, topic, message)
            for topic in broker.metadata.topics.values()
            if _is_visible(broker, request, topic.name)
        ]
        return response
    may_create = (message.allow_auto_topic_creation or request.version < 4) and broker.config.flag(
        "auto.create.topics.enable"
    )
    distinct = {(one.name, one.topic_id): one for one in wanted}.values()
    response.topics = [_find(broker, request, message, one, may_create) for one in distinct]
    return response


def _find(
    broker: Broker,
    request: RequestContext,
    message: MetadataRequest,
    wanted: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic:
    if wanted.name is None or wanted.topic_id != ZERO_UUID:
        topic = broker.metadata.topics_by_id.get(wanted.topic_id)
        if topic is None or not _is_visible(broker, request, topic.name):
            return MetadataResponseTopic(ErrorCode.UNKNOWN_TOPIC_ID, None, wanted.topic_id)
        return _describe(broker, topic, message)
    name = wanted.name
    if not _is_visible(broker, request, name):
        return MetadataResponseTopic(ErrorCode.TOPIC_AUTHORIZATION_FAILED, name)
    topic = broker.metadata.topics.get(name)
    if topic is None:
        if check_topic_name(name) is not None:
            return MetadataResponseTopic(ErrorCode.INVALID_TOPIC_EXCEPTION, name)
        if not may_create:
            return MetadataResponseTopic(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name)
        if not may_create_topic(request, name):
            return MetadataResponseTopic(ErrorCode.TOPIC_AUTHORIZATION_FAILED, name)
        try:
            topic = broker.topics.auto_create(name)
        except RequestError as error:
            return MetadataResponseTopic(error.code, name)
    return _describe(broker, topic, message)


def _is_visible(broker: Broker, request: RequestContext, name: str) -> bool:
    return broker.authorizer.is_allowed(
        request.connection, Operation.DESCRIBE, Resource.TOPIC, name
    )


def _describe(broker: Broker, topic: Topic, message: MetadataRequest) -> MetadataResponseTopic:
    nodes = [broker.node_id]
    partitions = []
    for partition in topic.partitions:
        if partition.offline_error:
            partitions.append(
                MetadataResponsePartition(
                    ErrorCode.LEADER_NOT_AVAILABLE,
                    partition.index,
                    -1,
                    partition.leader_epoch,
                    nodes,
                    [],
                    nodes,
                )
            )
        else:
            partitions.append(
                MetadataResponsePartition(
                    ErrorCode.NONE,
                    partition.index,
                    broker.node_id,
                    partition.leader_epoch,
                    nodes,
                    nodes,
                )
            )
    response = MetadataResponseTopic(
        ErrorCode.NONE, topic.name, topic.id, topic.is_internal, partitions
    )
    if message.include_topic_authorized_operations:
        response.topic_authorized_operations = TOPIC_OPERATIONS
    return response
