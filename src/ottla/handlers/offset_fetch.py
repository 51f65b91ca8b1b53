"""OffsetFetch (API key 9), versions 0 to 10.

v2 null topics mean all, an error for the group; v3 throttle time; v5 leader
epoch (KIP-320); v7 require_stable (KIP-447); v8 several groups (KIP-709); v9
member epoch (KIP-848); v10 topic ids (KIP-848).

The answer waits for the flush of what it tells: an offset that a power cut
could take back is never told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_group
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: The version from which several groups are asked for at once.
GROUPS_FROM = 8
#: The version from which topics are named by id.
TOPIC_IDS_FROM = 10


def handle(broker: Broker, request: RequestContext, message: OffsetFetchRequest) -> Parked:
    """The committed offsets of each group, as far as they are durable."""
    groups = [g.group_id for g in message.groups]
    if request.version < GROUPS_FROM:
        groups = [message.group_id]
    for group_id in groups:
        require_group(request, Operation.DESCRIBE, group_id)
    unknown: dict[str, list[OffsetFetchResponseTopics]] = {}
    if request.version >= TOPIC_IDS_FROM:
        for group in message.groups:
            unknown[group.group_id] = _name_topics(broker, group)
    response = broker.coordinators.groups.offset_fetch(message, client_of(request))
    if request.version >= TOPIC_IDS_FROM:
        _put_ids(broker, response, unknown)
    broker.coordinators.read_group_state(groups, request, response)
    return Parked.LATER


def _name_topics(broker: Broker, group: OffsetFetchRequestGroup) -> list[OffsetFetchResponseTopics]:
    """Fill in the names that the ids stand for; returns the answer for ids of no topic."""
    if group.topics is None:
        return []
    known: list[OffsetFetchRequestTopics] = []
    refused: list[OffsetFetchResponseTopics] = []
    for asked in group.topics:
        topic = broker.metadata.topics_by_id.get(asked.topic_id)
        if topic is not None:
            asked.name = topic.name
            known.append(asked)
            continue
        refused.append(
            OffsetFetchResponseTopics(
                topic_id=asked.topic_id,
                partitions=[
                    OffsetFetchResponsePartitions(index, -1, -1, "", ErrorCode.UNKNOWN_TOPIC_ID)
                    for index in asked.partition_indexes
                ],
            )
        )
    group.topics = known
    return refused


def _put_ids(
    broker: Broker,
    response: OffsetFetchResponse,
    unknown: dict[str, list[OffsetFetchResponseTopics]],
) -> None:
    for group in response.groups:
        named = []
        for answer in group.topics:
            topic = broker.metadata.topics.get(answer.name)
            if topic is not None:
                answer.topic_id = topic.id
                named.append(answer)
        group.topics = named + unknown.get(group.group_id, [])
