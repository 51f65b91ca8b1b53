"""ShareGroupHeartbeat (API key 76), version 1 (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import may_touch_topic, require_group
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: ShareGroupHeartbeatRequest) -> Parked:
    """The member lives, and knows its epoch and its assignment."""
    require_group(request, Operation.READ, message.group_id)
    for name in message.subscribed_topic_names or ():
        if not may_touch_topic(request, Operation.DESCRIBE, name):
            raise RequestError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    outcome = broker.coordinators.groups.share_heartbeat(
        message, client_of(request), request, request.wall_ms, request.mono_ms
    )
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    return Parked.LATER
