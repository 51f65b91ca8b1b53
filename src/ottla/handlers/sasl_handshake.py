"""SaslHandshake (API key 17), versions 0 to 1.

v1 wraps the exchange in SaslAuthenticate (KIP-152). No listener asks for SASL
yet: ILLEGAL_SASL_STATE, as on a PLAINTEXT listener of Apache Kafka.
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
    """Refused: this listener takes no SASL."""
    raise RequestError(ErrorCode.ILLEGAL_SASL_STATE)
