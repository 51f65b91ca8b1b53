"""ExpireDelegationToken (API key 40), versions 1 to 2 (KIP-48).

Tokens are for connections that have authenticated by other means. No listener
asks for that yet: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as on PLAINTEXT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.expire_delegation_token import (
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: ExpireDelegationTokenRequest
) -> ExpireDelegationTokenResponse:
    """Refused with DELEGATION_TOKEN_REQUEST_NOT_ALLOWED."""
    raise RequestError(ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)
