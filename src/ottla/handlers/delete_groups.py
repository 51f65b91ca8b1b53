"""DeleteGroups (API key 42), versions 0 to 2.

A group with members stays: NON_EMPTY_GROUP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.coordinator_log import CollectedReplies
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message
from ottla.wire.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: DeleteGroupsRequest) -> Parked:
    """The groups are gone, durably, with their offsets."""
    names = list(dict.fromkeys(message.groups_names))
    refused: list[DeletableGroupResult] = []
    allowed: list[str] = []
    for group_id in names:
        if is_allowed(request, Operation.DELETE, Resource.GROUP, group_id):
            allowed.append(group_id)
        else:
            refused.append(DeletableGroupResult(group_id, ErrorCode.GROUP_AUTHORIZATION_FAILED))

    def combine(results: list[Message]) -> Message:
        deleted = [r for r in results if isinstance(r, DeletableGroupResult)]
        return DeleteGroupsResponse(results=deleted + refused)

    replies = CollectedReplies(request, len(allowed), combine)
    for group_id in allowed:
        outcome = broker.coordinators.groups.delete_group(group_id, replies)
        if outcome.records:
            broker.share_groups.forget(broker.share_groups.coordinator.keys_of(group_id))
        broker.coordinators.apply_group_outcome(group_id, outcome)
    replies.none_wanted()
    return Parked.LATER
