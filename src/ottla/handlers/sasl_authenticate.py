"""SaslAuthenticate (API key 36), versions 0 to 2 (KIP-152).

v1 session lifetime (KIP-368). No listener asks for SASL yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: SaslAuthenticateRequest
) -> SaslAuthenticateResponse:
    """Refused: this listener takes no SASL."""
    raise RequestError(
        ErrorCode.ILLEGAL_SASL_STATE,
        "SaslAuthenticate request received after successful authentication",
    )
