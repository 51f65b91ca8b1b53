"""One blocking connection to one broker.

Requests may be pipelined: `send` several, then `receive` each. The broker
answers in order; answers that come before the one asked for are kept. A
connection belongs to one thread at a time, and is of no use after an error
other than `UnsupportedError` or `ResponseError`.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from ottla.client.errors import (
    CannotConnectError,
    ConnectionLostError,
    NoAnswerError,
    ResponseError,
    UnsupportedError,
)
from ottla.client.settings import Settings, address_text
from ottla.wire import frames
from ottla.wire.errors import ErrorCode, ProtocolError
from ottla.wire.message import Message, Request
from ottla.wire.messages import API_NAMES, API_VERSIONS

R = TypeVar("R", bound=Message)

#: Requests sent whose answers were not yet read; sending more would be a leak.
MAX_PIPELINED: Final = 1_000
RECEIVE_BYTES: Final = 64 * 1024
UNSUPPORTED_VERSION: Final = ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big")


class Ticket(Generic[R]):
    """A request on its way; `Connection.receive` exchanges it for the response."""

    __slots__ = ("api_key", "correlation_id", "response", "version")

    def __init__(self, api_key: int, version: int, correlation_id: int) -> None:
        self.api_key = api_key
        self.version = version
        self.correlation_id = correlation_id
        self.response: R | None = None


class Connection:
    """A connection to the broker at `host`:`port`; connects when made.

    Errors: `CannotConnectError`. Use it in a `with` statement, or `close` it.
    """

    def __init__(self, host: str, port: int, settings: Settings | None = None) -> None:
        self.host = host
        self.port = port
        self.settings = settings or Settings()
        self.address = address_text(host, port)
        #: API key -> (oldest, newest) version the broker speaks; known after `api_versions`.
        self.versions: dict[int, tuple[int, int]] | None = None
        self._pending: deque[Ticket[Any]] = deque()
        self._received = bytearray()
        self._correlation_id = 0
        self.is_closed = False
        self._socket = self._connect()
        if self.settings.authenticate is not None:
            with self._closed_on_error():
                self.settings.authenticate(self)

    def _connect(self) -> socket.socket:
        timeout = self.settings.connect_timeout_ms / 1000
        try:
            plain = socket.create_connection((self.host, self.port), timeout=timeout)
        except socket.gaierror:
            raise CannotConnectError(
                f"cannot connect to {self.address}: no such host is known"
            ) from None
        except TimeoutError:
            raise CannotConnectError(
                f"cannot connect to {self.address}: no answer within {timeout:g} s"
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CannotConnectError(f"cannot connect to {self.address}: {reason}") from None
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.settings.secure is None:
            return plain
        try:
            return self.settings.secure(plain, self.host)
        except OSError as error:
            plain.close()
            raise CannotConnectError(
                f"cannot make a TLS connection to {self.address}: {error}"
            ) from None

    @contextlib.contextmanager
    def _closed_on_error(self) -> Any:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of our end."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def api_versions(self) -> dict[int, tuple[int, int]]:
        """What the broker speaks: API key -> (oldest, newest); asked for once."""
        if self.versions is None:
            from ottla.wire.messages.api_versions import ApiVersionsRequest

            newest = API_VERSIONS[frames.API_VERSIONS_KEY][1]
            request = ApiVersionsRequest(client_software_name="ottla", client_software_version="1")
            response = self.receive(self.send(request, newest))
            if response.error_code == ErrorCode.UNSUPPORTED_VERSION:
                response = self.receive(self.send(ApiVersionsRequest(), 0))
            if response.error_code:
                raise ResponseError(response.error_code, f"ApiVersions of {self.address}")
            self.versions = {k.api_key: (k.min_version, k.max_version) for k in response.api_keys}
        return self.versions

    def version_for(self, api_key: int, at_least: int = 0) -> int:
        """The newest version both sides speak. Errors: `UnsupportedError`."""
        oldest, newest, _ = API_VERSIONS[api_key]
        name = API_NAMES[api_key]
        theirs = self.api_versions().get(api_key)
        if theirs is None:
            raise UnsupportedError(f"the broker at {self.address} does not know {name}")
        version = min(newest, theirs[1])
        if version < max(oldest, theirs[0], at_least):
            raise UnsupportedError(
                f"the broker at {self.address} speaks {name} in versions"
                f" {theirs[0]} to {theirs[1]}, and {max(oldest, at_least)} to {newest} are needed"
            )
        return version

    def send(
        self, message: Request[R], version: int | None = None, *, at_least: int = 0
    ) -> Ticket[R]:
        """Send a request, in the newest common version unless told otherwise.

        A Produce request with acks=0 has no answer: do not `receive` it.
        """
        api_key = message.API_KEY
        if version is None:
            version = self.version_for(api_key, at_least)
        assert len(self._pending) < MAX_PIPELINED, "receive answers before sending more"
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        ticket: Ticket[R] = Ticket(api_key, version, self._correlation_id)
        buffers = frames.encode_request(
            message, version, ticket.correlation_id, self.settings.client_id
        )
        self.send_bytes(b"".join(buffers))
        if not (api_key == 0 and getattr(message, "acks", 1) == 0):
            self._pending.append(ticket)
        return ticket

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are. Errors: `ConnectionLostError`, `NoAnswerError`."""
        self._socket.settimeout(self.settings.request_timeout_ms / 1000)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise self._no_answer(self.settings.request_timeout_ms) from None
        except OSError as error:
            raise self._lost(error) from None

    def receive(self, ticket: Ticket[R], timeout_ms: int | None = None) -> R:
        """The response to a sent request; waits for it.

        Errors: `NoAnswerError` after `timeout_ms` (by default the settings'
        request time-out), `ConnectionLostError`.
        """
        if timeout_ms is None:
            timeout_ms = self.settings.request_timeout_ms
        deadline = time.monotonic() + timeout_ms / 1000
        while ticket.response is None:
            frame = self.receive_frame(deadline, timeout_ms)
            first = self._pending.popleft()
            first.response = self._decode(first, frame)
        return ticket.response

    def request(
        self,
        message: Request[R],
        version: int | None = None,
        *,
        at_least: int = 0,
        timeout_ms: int | None = None,
    ) -> R:
        """Send a request and wait for its response."""
        return self.receive(self.send(message, version, at_least=at_least), timeout_ms)

    def _decode(self, ticket: Ticket[Any], frame: bytearray) -> Message:
        try:
            correlation_id = frames.read_correlation_id(frame)
            if correlation_id != ticket.correlation_id:
                raise ProtocolError(f"answer {correlation_id} to request {ticket.correlation_id}")
            version = ticket.version
            if ticket.api_key == frames.API_VERSIONS_KEY and frame[4:6] == UNSUPPORTED_VERSION:
                version = 0  # a broker that lacks the version answers in this one (KIP-511)
            return frames.decode_response(ticket.api_key, version, frame)
        except ProtocolError as error:
            self.close()
            raise ConnectionLostError(
                f"{self.address} does not answer in Kafka's protocol: {error}"
            ) from None

    def receive_frame(self, deadline: float, timeout_ms: int) -> bytearray:
        """The next frame, without its size; `deadline` is in `time.monotonic` seconds."""
        head = self._take(4, deadline, timeout_ms)
        size = int.from_bytes(head, "big", signed=True)
        if not 4 <= size <= self.settings.max_response_bytes:
            self.close()
            raise ConnectionLostError(
                f"{self.address} does not answer in Kafka's protocol"
                " (does that port want TLS, or belong to another service?)"
            )
        return self._take(size, deadline, timeout_ms)

    def _take(self, size: int, deadline: float, timeout_ms: int) -> bytearray:
        received = self._received
        while len(received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._no_answer(timeout_ms)
            self._socket.settimeout(left)
            try:
                chunk = self._socket.recv(max(RECEIVE_BYTES, min(size - len(received), 1 << 20)))
            except TimeoutError:
                raise self._no_answer(timeout_ms) from None
            except OSError as error:
                raise self._lost(error) from None
            if not chunk:
                raise self._lost(None)
            received += chunk
        taken = received[:size]
        del received[:size]
        return taken

    def _no_answer(self, timeout_ms: int) -> NoAnswerError:
        self.close()
        waiting = f" to {API_NAMES[self._pending[0].api_key]}" if self._pending else ""
        return NoAnswerError(f"no answer{waiting} from {self.address} within {timeout_ms} ms")

    def _lost(self, error: OSError | None) -> ConnectionLostError:
        self.close()
        reason = f": {(error.strerror or str(error)).lower()}" if error else ""
        return ConnectionLostError(f"{self.address} closed the connection{reason}")
