"""DescribeGroups (API key 15), versions 0 to 6.

v1 throttle time; v3 authorized operations (KIP-430); v4 static members
(KIP-345); v6 an error for a group that is not there (KIP-1043).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import GROUP_OPERATIONS, Operation, Resource
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: DescribeGroupsRequest) -> Parked:
    """State, protocol and members of each group."""
    response = DescribeGroupsResponse()
    client = client_of(request)
    for group_id in message.groups:
        if not is_allowed(request, Operation.DESCRIBE, Resource.GROUP, group_id):
            response.groups.append(
                DescribedGroup(ErrorCode.GROUP_AUTHORIZATION_FAILED, group_id=group_id)
            )
            continue
        group = broker.coordinators.groups.describe_group(group_id, client)
        if message.include_authorized_operations and not group.error_code:
            group.authorized_operations = GROUP_OPERATIONS
        response.groups.append(group)
    broker.coordinators.read_group_state(message.groups, request, response)
    return Parked.LATER
