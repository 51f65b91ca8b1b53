"""SyncGroup (API key 14), versions 0 to 5.

v1 throttle time; v3 static members (KIP-345); v5 protocol type and name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_group
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.sync_group import SyncGroupRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: The version from which a member must say which protocol it believes in.
PROTOCOL_FROM: Final = 5


def handle(broker: Broker, request: RequestContext, message: SyncGroupRequest) -> Parked:
    """Learn the member's assignment; answers when the leader has made it."""
    require_group(request, Operation.READ, message.group_id)
    if request.version >= PROTOCOL_FROM and None in (message.protocol_type, message.protocol_name):
        raise RequestError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    outcome = broker.coordinators.groups.sync_group(
        message, client_of(request), request, request.wall_ms, request.mono_ms
    )
    broker.coordinators.apply_group_outcome(message.group_id, outcome)
    return Parked.LATER
