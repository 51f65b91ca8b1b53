"""Heartbeat (API key 12), versions 0 to 4.

v1 throttle time; v3 static members (KIP-345).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_group
from ottla.wire.messages.heartbeat import HeartbeatRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: HeartbeatRequest) -> Parked:
    """The member lives; it hears of a rebalance this way."""
    require_group(request, Operation.READ, message.group_id)
    outcome = broker.coordinators.groups.heartbeat(
        message, client_of(request), request, request.wall_ms, request.mono_ms
    )
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    return Parked.LATER
