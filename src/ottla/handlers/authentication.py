"""What SASL listeners let through, and the exchange in bare frames (SaslHandshake v0)."""

from __future__ import annotations

import struct
from typing import Final

from ottla.broker.authentication import Authentication, Stage
from ottla.broker.connection import Connection
from ottla.broker.sasl.mechanism import AuthenticationFailedError
from ottla.wire.errors import ProtocolError
from ottla.wire.frames import API_VERSIONS_KEY

SASL_HANDSHAKE_KEY: Final = 17
SASL_AUTHENTICATE_KEY: Final = 36
_SIZE: Final = struct.Struct(">i")

#: Stage -> API keys taken in it; in the last stage all are.
_TAKEN: Final = {
    Stage.HANDSHAKE: frozenset((API_VERSIONS_KEY, SASL_HANDSHAKE_KEY)),
    Stage.TOKENS: frozenset((SASL_AUTHENTICATE_KEY,)),
}


def check_turn(authentication: Authentication, api_key: int, mono_ms: int) -> None:
    """Errors: `ProtocolError`, which closes, for a request out of turn or after the session."""
    taken = _TAKEN.get(authentication.stage)
    if taken is not None:
        if api_key not in taken:
            raise ProtocolError(f"API key {api_key} before authentication was complete")
    elif authentication.has_expired(mono_ms) and api_key != SASL_HANDSHAKE_KEY:
        raise ProtocolError("the session has expired and the client did not authenticate again")


def take_bare_token(
    connection: Connection,
    authentication: Authentication,
    token: memoryview,
    wall_ms: int,
    mono_ms: int,
) -> None:
    """One step of the exchange without any header; a failure only closes."""
    try:
        answer, _ = authentication.step(bytes(token), wall_ms, mono_ms)
    except AuthenticationFailedError as error:
        raise ProtocolError(f"authentication failed: {error}") from None
    identify(connection, authentication)
    slot = connection.take_slot()
    connection.fill_slot(slot, (_SIZE.pack(len(answer)), answer))


def identify(connection: Connection, authentication: Authentication) -> None:
    """The connection acts for the user, once the exchange has told who it is."""
    if authentication.stage is Stage.DONE and authentication.user is not None:
        connection.principal = f"User:{authentication.user}"
