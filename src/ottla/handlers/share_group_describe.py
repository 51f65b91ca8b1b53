"""ShareGroupDescribe (API key 77), version 1 (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import GROUP_OPERATIONS, Operation, Resource
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.share_group_describe import (
    DescribedGroup,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: ShareGroupDescribeRequest) -> Parked:
    """State, epochs, members and assignments of each share group."""
    response = ShareGroupDescribeResponse()
    for group_id in message.group_ids:
        if not is_allowed(request, Operation.DESCRIBE, Resource.GROUP, group_id):
            group = DescribedGroup(ErrorCode.GROUP_AUTHORIZATION_FAILED, group_id=group_id)
        elif not group_id:
            group = DescribedGroup(ErrorCode.INVALID_GROUP_ID)
        else:
            group = broker.coordinators.groups.describe_share_group(group_id)
            if message.include_authorized_operations and not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
        response.groups.append(group)
    broker.coordinators.read_group_state(message.group_ids, request, response)
    return Parked.LATER
