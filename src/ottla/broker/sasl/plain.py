"""SASL PLAIN (RFC 4616): authorization id, user and password, separated by NUL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ottla.broker.sasl.mechanism import AuthenticationFailedError

FAILED: Final = "Authentication failed: Invalid username or password"


class PlainExchange:
    """Asks `is_password_of(user, password)` once."""

    def __init__(self, is_password_of: Callable[[str, str], bool]) -> None:
        self._is_password_of = is_password_of
        self.user: str | None = None
        self.expires_at_ms: int | None = None

    def step(self, token: bytes, wall_ms: int) -> bytes:
        """Errors: `AuthenticationFailedError`."""
        try:
            parts = token.decode().split("\0")
        except UnicodeDecodeError:
            raise AuthenticationFailedError("Invalid SASL/PLAIN response: not UTF-8") from None
        if len(parts) != 3:
            raise AuthenticationFailedError(
                f"Invalid SASL/PLAIN response: expected 3 tokens, got {len(parts)}"
            )
        authorization_id, user, password = parts
        if not user or not password:
            missing = "username" if not user else "password"
            raise AuthenticationFailedError(f"Authentication failed: {missing} not specified")
        if not self._is_password_of(user, password):
            raise AuthenticationFailedError(FAILED)
        if authorization_id not in ("", user):
            raise AuthenticationFailedError(
                "Authentication failed: Client requested an authorization id that is different"
                " from username"
            )
        self.user = user
        return b""
