"""RenewDelegationToken (API key 39), versions 1 to 2 (KIP-48).

Delegation tokens are not enabled here; the answer is that of an Apache Kafka
without `delegation.token.secret.key`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.renew_delegation_token import (
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: RenewDelegationTokenRequest
) -> RenewDelegationTokenResponse:
    """Refused with DELEGATION_TOKEN_AUTH_DISABLED."""
    raise RequestError(ErrorCode.DELEGATION_TOKEN_AUTH_DISABLED)
