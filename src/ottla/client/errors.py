"""What can go wrong between us and a Kafka, each said in one sentence."""

from __future__ import annotations

from ottla.wire.errors import ErrorCode


class ClientError(Exception):
    """Any failure of the client; its text is one sentence for a person."""


class CannotConnectError(ClientError):
    """No connection could be made, or it was refused."""


class LoginRefusedError(CannotConnectError):
    """The broker does not know the user, or not with this password."""


class ConnectionLostError(ClientError):
    """The connection ended, or what came over it was not Kafka's protocol."""


class NoAnswerError(ClientError):
    """The answer did not come in time."""


class UnsupportedError(ClientError):
    """The broker does not speak this API, or not in a version that will do."""


class SettingsError(ClientError):
    """The client was told something that cannot be right."""


class ResponseError(ClientError):
    """The broker answered with an error code."""

    def __init__(self, code: int, message: str | None = None) -> None:
        try:
            self.code: ErrorCode | int = ErrorCode(code)
            name = ErrorCode(code).name
        except ValueError:
            self.code = code
            name = f"error {code}"
        self.message = message
        super().__init__(f"{name}: {message}" if message else name)


def check(code: int, message: str | None = None) -> None:
    """Raise `ResponseError` unless `code` is zero."""
    if code:
        raise ResponseError(code, message)
