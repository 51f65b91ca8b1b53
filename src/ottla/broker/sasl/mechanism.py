"""What every mechanism has in common."""

from __future__ import annotations

from typing import Protocol


class AuthenticationFailedError(Exception):
    """The client is not who it says, or breaks the mechanism's rules.

    The text goes to the client: it names no user and no secret.
    """


class Exchange(Protocol):
    """One authentication in progress.

    `step` takes the client's next message and returns the answer. When the
    client is known afterwards, `user` is its name; `expires_at_ms` is the wall
    time at which its credentials end, if they do.
    """

    user: str | None
    expires_at_ms: int | None

    def step(self, token: bytes, wall_ms: int) -> bytes:
        """Errors: `AuthenticationFailedError`."""
