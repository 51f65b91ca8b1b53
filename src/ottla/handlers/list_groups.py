"""ListGroups (API key 16), versions 0 to 5.

v1 throttle time; v4 states (KIP-518); v5 group types (KIP-848).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import CLUSTER_NAME, Operation, Resource
from ottla.handlers.authorization import is_allowed
from ottla.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: ListGroupsRequest
) -> ListGroupsResponse:
    """All groups that the principal may see."""
    response = broker.coordinators.groups.list_groups(message)
    if not is_allowed(request, Operation.DESCRIBE, Resource.CLUSTER, CLUSTER_NAME):
        response.groups = [
            group
            for group in response.groups
            if is_allowed(request, Operation.DESCRIBE, Resource.GROUP, group.group_id)
        ]
    return response
