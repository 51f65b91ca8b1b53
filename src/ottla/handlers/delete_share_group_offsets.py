"""DeleteShareGroupOffsets (API key 92), version 0 (KIP-932).

Only while nobody is in the group: NON_EMPTY_GROUP otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import when_all_visible
from ottla.broker.request import Parked
from ottla.handlers.authorization import may_touch_topic, require_group
from ottla.handlers.share_offsets import require_empty_group
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
    DeleteShareGroupOffsetsResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DeleteShareGroupOffsetsRequest
) -> Parked:
    """Nothing is known of the topics any more, durably."""
    require_group(request, Operation.DELETE, message.group_id)
    require_empty_group(broker, message.group_id, may_be_new=False)
    response = DeleteShareGroupOffsetsResponse()
    touched = [broker.coordinators.group_partition(message.group_id)]
    removed: list[bytes] = []
    share_groups = broker.share_groups
    for wanted in message.topics:
        topic = broker.metadata.topics.get(wanted.topic_name)
        row = DeleteShareGroupOffsetsResponseTopic(wanted.topic_name)
        response.responses.append(row)
        if not may_touch_topic(request, Operation.READ, wanted.topic_name):
            row.error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        elif topic is None:
            row.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            row.topic_id = topic.id
            keys = [
                key
                for key in share_groups.coordinator.keys_of(message.group_id)
                if key.topic_id == topic.id
            ]
            touched += [share_groups.state_partition(key) for key in keys]
            row.error_code = share_groups.forget(keys)
            removed.append(topic.id)
        if row.error_code:
            row.error_message = ErrorCode(row.error_code).name
    outcome = broker.coordinators.groups.change_share_topics(message.group_id, (), removed)
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    when_all_visible(touched, lambda _: request.complete(response))
    return Parked.LATER
