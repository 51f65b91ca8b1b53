"""CreateDelegationToken (API key 38), versions 1 to 3 (KIP-48).

Tokens are for connections that have authenticated by other means. No listener
asks for that yet: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as on PLAINTEXT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.create_delegation_token import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: CreateDelegationTokenRequest
) -> CreateDelegationTokenResponse:
    """Refused with DELEGATION_TOKEN_REQUEST_NOT_ALLOWED."""
    kind, _, name = request.connection.principal.partition(":")
    return CreateDelegationTokenResponse(
        ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, kind, name, kind, name, -1, -1, -1
    )
