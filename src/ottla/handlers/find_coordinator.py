"""FindCoordinator (API key 10), versions 0 to 6.

v1 key type, throttle time; v4 several keys (KIP-699); v5 transactions without
AddPartitionsToTxn (KIP-890); v6 share groups (KIP-932).

This broker coordinates everything, at the address the client reached it by.
The internal topic is made when somebody first asks, so that what follows
succeeds at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import CLUSTER_NAME, Operation, Resource
from ottla.handlers.authorization import is_allowed
from ottla.handlers.endpoints import endpoint
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

GROUP: Final = 0
TRANSACTION: Final = 1
SHARE: Final = 2

#: The version from which several keys are asked for at once.
KEYS_FROM: Final = 4
SHARE_FROM: Final = 6
#: Group, topic id in base64, partition.
_SHARE_KEY: Final = re.compile(r".+:[A-Za-z0-9_-]{22}:\d+", re.DOTALL)


def handle(
    broker: Broker, request: RequestContext, message: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    """This node, for every key that is allowed."""
    if request.version >= KEYS_FROM:
        return FindCoordinatorResponse(
            coordinators=[
                _find(broker, request, message.key_type, key) for key in message.coordinator_keys
            ]
        )
    found = _find(broker, request, message.key_type, message.key)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _find(broker: Broker, request: RequestContext, key_type: int, key: str) -> Coordinator:
    error = _check(request, key_type, key)
    if not error:
        try:
            if key_type == GROUP:
                broker.coordinators.group_partition(key)
        except RequestError:
            error = ErrorCode.COORDINATOR_NOT_AVAILABLE
    if error:
        return Coordinator(key, -1, "", -1, error, error.name)
    host, port = endpoint(request.connection)
    message = "NONE" if request.version < KEYS_FROM else ""
    return Coordinator(key, broker.node_id, host, port, ErrorCode.NONE, message)


def _check(request: RequestContext, key_type: int, key: str) -> ErrorCode:
    if key_type == GROUP:
        if not is_allowed(request, Operation.DESCRIBE, Resource.GROUP, key):
            return ErrorCode.GROUP_AUTHORIZATION_FAILED
    elif key_type == TRANSACTION:
        if not is_allowed(request, Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, key):
            return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    elif key_type == SHARE and request.version >= SHARE_FROM:
        if not is_allowed(request, Operation.CLUSTER_ACTION, Resource.CLUSTER, CLUSTER_NAME):
            return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        if _SHARE_KEY.fullmatch(key) is None:
            return ErrorCode.INVALID_REQUEST
    else:
        return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE
