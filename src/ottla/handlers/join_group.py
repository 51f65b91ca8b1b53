"""JoinGroup (API key 11), versions 0 to 9.

v1 rebalance timeout; v2 throttle time; v4 MEMBER_ID_REQUIRED (KIP-394); v5
static members (KIP-345); v7 protocol type and name; v8 reason (KIP-800); v9
skip assignment (KIP-814).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_group
from ottla.wire.messages.join_group import JoinGroupRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: JoinGroupRequest) -> Parked:
    """Become, or stay, a member of the next generation; answers when it begins."""
    require_group(request, Operation.READ, message.group_id)
    outcome = broker.coordinators.groups.join_group(
        message, client_of(request), request, request.wall_ms, request.mono_ms
    )
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    return Parked.LATER
