"""SaslHandshake (API key 17), versions 0 to 1.

v0 is followed by the mechanism's messages as bare frames, v1 by
SaslAuthenticate (KIP-152). On a listener without SASL: ILLEGAL_SASL_STATE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: SaslHandshakeRequest
) -> SaslHandshakeResponse:
    """The exchange may begin, or the answer lists the mechanisms there are."""
    authentication = request.connection.authentication
    if authentication is None:
        raise RequestError(ErrorCode.ILLEGAL_SASL_STATE)
    mechanisms = authentication.settings.mechanisms
    try:
        authentication.handshake(message.mechanism, request.version)
    except RequestError as error:
        return SaslHandshakeResponse(error.code, list(mechanisms))
    return SaslHandshakeResponse(ErrorCode.NONE, list(mechanisms))
