"""ConsumerGroupDescribe (API key 69), versions 0 to 1 (KIP-848).

v1 the protocol of each member (KIP-1099).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import GROUP_OPERATIONS, Operation, Resource
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed, may_touch_topic
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: ConsumerGroupDescribeRequest
) -> Parked:
    """State, epochs and members of each group, with present and target assignments."""
    response = ConsumerGroupDescribeResponse()
    for group_id in message.group_ids:
        if not is_allowed(request, Operation.DESCRIBE, Resource.GROUP, group_id):
            response.groups.append(
                DescribedGroup(ErrorCode.GROUP_AUTHORIZATION_FAILED, group_id=group_id)
            )
            continue
        if not group_id:
            response.groups.append(DescribedGroup(ErrorCode.INVALID_GROUP_ID))
            continue
        group = broker.coordinators.groups.describe_consumer_group(group_id)
        if not _may_see_topics(request, group):
            group = DescribedGroup(
                ErrorCode.TOPIC_AUTHORIZATION_FAILED,
                "The group has described topic(s) that the client is not authorized to describe.",
                group_id,
            )
        if message.include_authorized_operations and not group.error_code:
            group.authorized_operations = GROUP_OPERATIONS
        response.groups.append(group)
    broker.coordinators.read_group_state(message.group_ids, request, response)
    return Parked.LATER


def _may_see_topics(request: RequestContext, group: DescribedGroup) -> bool:
    names = {
        topic.topic_name
        for member in group.members
        for assignment in (member.assignment, member.target_assignment)
        for topic in assignment.topic_partitions
    }
    return all(may_touch_topic(request, Operation.DESCRIBE, name) for name in names)
