"""SaslAuthenticate (API key 36), versions 0 to 2 (KIP-152).

v1 session lifetime (KIP-368); v2 flexible. After a failure the answer leaves
and the connection closes, so that guessing passwords costs a connection each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.request import Parked
from ottla.broker.sasl.mechanism import AuthenticationFailedError
from ottla.handlers.authentication import identify
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
) -> SaslAuthenticateResponse | Parked:
    """One step of the exchange; the connection has its principal after the last."""
    connection = request.connection
    authentication = connection.authentication
    if authentication is None:
        raise RequestError(
            ErrorCode.ILLEGAL_SASL_STATE,
            "SaslAuthenticate request received after successful authentication",
        )
    try:
        answer, lifetime_ms = authentication.step(
            bytes(message.auth_bytes), request.wall_ms, request.mono_ms
        )
    except AuthenticationFailedError as error:
        request.complete(SaslAuthenticateResponse(ErrorCode.SASL_AUTHENTICATION_FAILED, str(error)))
        request.close(f"authentication failed: {error}")
        return Parked.LATER
    identify(connection, authentication)
    return SaslAuthenticateResponse(ErrorCode.NONE, None, answer, session_lifetime_ms=lifetime_ms)
