"""One request in progress: where it came from, and the way back for its answer."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from ottla.wire import frames
from ottla.wire.errors import RequestError
from ottla.wire.message import Buffer, Message

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.connection import Connection, ResponseSlot

_HEADER_V0: Final = struct.Struct(">ii")
_HEADER_V1: Final = struct.Struct(">iiB")

_NOTHING: Final = Message()

#: Encodes a response body: message and version in, buffers out.
BodyEncoder: TypeAlias = Callable[[Message, int], Sequence[Buffer]]

#: Answers a request with its API's error response.
Refuser: TypeAlias = Callable[["RequestContext", RequestError], None]


class Parked(enum.Enum):
    """What a handler returns when it has no response to return."""

    #: `RequestContext.complete` is called later, once.
    LATER = 1
    #: The request has no response (Produce with acks=0).
    NOTHING = 2


class RequestContext:
    """The header of a request, the times of its arrival and its response slot."""

    __slots__ = (
        "api_key",
        "began_ms",
        "body_encoder",
        "broker",
        "client_id",
        "connection",
        "correlation_id",
        "is_flexible",
        "message",
        "mono_ms",
        "refuser",
        "slot",
        "version",
        "wall_ms",
    )

    def __init__(
        self,
        broker: Broker,
        connection: Connection,
        slot: ResponseSlot,
        api_key: int,
        version: int,
        is_flexible: bool,
        correlation_id: int,
        client_id: str | None,
        wall_ms: int,
        mono_ms: int,
        message: Message,
        refuser: Refuser,
    ) -> None:
        self.broker = broker
        self.connection = connection
        self.slot = slot
        self.api_key = api_key
        self.version = version
        self.is_flexible = is_flexible
        self.correlation_id = correlation_id
        self.client_id = client_id
        self.wall_ms = wall_ms
        self.mono_ms = mono_ms
        self.message = message
        self.refuser = refuser
        self.body_encoder: BodyEncoder | None = None
        #: When handling began, while a quota counts the time it takes.
        self.began_ms: float | None = None

    @property
    def is_gone(self) -> bool:
        """The client has left: nobody waits for an answer."""
        return self.connection.is_closed

    def complete(self, response: Message) -> None:
        """Answer; the bytes leave when all earlier answers of the connection have left."""
        if self.connection.is_closed:
            return
        if self.began_ms is not None:
            self.broker.quotas.charge_time(self, response)
        if self.body_encoder is not None:
            self.send_body(self.body_encoder(response, self.version))
            return
        self._send(
            frames.encode_response(response, self.api_key, self.version, self.correlation_id)
        )

    def send_body(self, body: Sequence[Buffer]) -> None:
        """Answer with a body that is already encoded."""
        size = sum(map(len, body))
        # The answer to ApiVersions always has the old header, so that a client
        # that does not know our version can read it (KIP-511).
        if self.is_flexible and self.api_key != frames.API_VERSIONS_KEY:
            header = _HEADER_V1.pack(size + 5, self.correlation_id, 0)
        else:
            header = _HEADER_V0.pack(size + 4, self.correlation_id)
        self._send((header, *body))

    def _send(self, frame: Sequence[Buffer]) -> None:
        broker = self.broker
        api = broker.metrics.api(self.api_key)
        api.response_bytes += sum(map(len, frame))
        api.time_ms.record(max(0, broker.mono_ms - self.mono_ms))
        self.connection.fill_slot(self.slot, frame)

    def let_go_of_message(self) -> None:
        """The request can no longer be refused; nothing here keeps its frame any more."""
        self.message = _NOTHING

    def refuse(self, error: RequestError) -> None:
        """Answer with the API's own error response."""
        self.refuser(self, error)

    def complete_without_response(self) -> None:
        self.connection.fill_slot(self.slot, ())

    def close(self, reason: str) -> None:
        """Give up on the connection instead of answering."""
        self.broker.metrics.connections_closed_by_error += 1
        self.connection.close(reason)
