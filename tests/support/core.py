"""A whole core without sockets: frames in, frames out, time by hand.

The broker is the real one on a real directory; only the effects are ours:
sent bytes are kept, flushes run when `flush` is called (or after every request
unless `flushes_by_hand`), jobs run at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.broker.broker import Broker
from ottla.broker.config import BrokerConfig
from ottla.broker.connection import Connection
from ottla.handlers.dispatch import dispatch
from ottla.seams.filesystem import FileSystem
from ottla.seams.real import RealFileSystem
from ottla.wire import frames
from ottla.wire.message import Buffer, Message, Request

T = TypeVar("T")
R = TypeVar("R", bound=Message)
START_WALL_MS = 1_700_000_000_000


class Sink:
    """Effects that are kept, or performed at once."""

    def __init__(self) -> None:
        self.sent: dict[Connection, bytearray] = {}
        self.closed: dict[Connection, str] = {}
        self.resumed: list[Connection] = []
        self.is_flush_wanted = False
        self.told: list[str] = []
        #: When set, clients read nothing: all bytes stay unsent.
        self.is_stuck = False
        self.jobs: list[Callable[[], None]] | None = None

    def send(self, connection: Connection, buffers: Sequence[Buffer]) -> int:
        out = self.sent.setdefault(connection, bytearray())
        if self.is_stuck:
            return connection.unsent_bytes + sum(map(len, buffers))
        for buffer in buffers:
            out += buffer
        return 0

    def close(self, connection: Connection, reason: str) -> None:
        self.closed[connection] = reason

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)

    def flush_wanted(self) -> None:
        self.is_flush_wanted = True

    def run_job(self, job: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        def run() -> None:
            try:
                result: T | OSError = job()
            except OSError as error:
                result = error
            done(result)

        if self.jobs is None:
            run()
        else:
            self.jobs.append(run)

    def resume(self, connection: Connection) -> None:
        self.resumed.append(connection)


class Core:
    """A broker under test with its own clock."""

    def __init__(
        self,
        directory: str,
        settings: dict[str, str] | None = None,
        *,
        flushes_by_hand: bool = False,
        filesystem: FileSystem | None = None,
    ) -> None:
        self.directory = directory
        self.settings = settings or {}
        self.flushes_by_hand = flushes_by_hand
        self.filesystem = filesystem or RealFileSystem()
        self.now_ms = 1000
        self._random = itertools.count(1)
        self.sink = Sink()
        self.broker = self.start()

    @property
    def wall_ms(self) -> int:
        return START_WALL_MS + self.now_ms

    def start(self) -> Broker:
        self.sink = Sink()
        self.broker = Broker.open(
            BrokerConfig({"log.dirs": self.directory, **self.settings}),
            self.filesystem,
            self.sink,
            lambda n: (
                (next(self._random) * 0x9E3779B97F4A7C15 % 2**64)
                .to_bytes(8, "big")
                .rjust(n, b"\x11")[-n:]
            ),
            self.wall_ms,
            self.now_ms,
        )
        return self.broker

    def restart(self) -> Broker:
        """Stop cleanly and start again."""
        self.broker.close(self.wall_ms)
        return self.start()

    def client(self, listener: str = "PLAINTEXT", port: int = 9092) -> Client:
        connection = self.broker.open_connection(
            listener, ("127.0.0.1", port), ("::1", 5), mono_ms=self.now_ms
        )
        return Client(self, connection)

    def flush(self) -> None:
        """Run flush rounds until nothing is dirty."""
        while self.sink.is_flush_wanted:
            self.sink.is_flush_wanted = False
            for ticket in self.broker.take_flush_round():
                ticket.run()
                self.broker.finish_flush(ticket, None, self.wall_ms, self.now_ms)

    def settle(self) -> None:
        if not self.flushes_by_hand:
            self.flush()

    def advance(self, milliseconds: int) -> None:
        """Let time pass, deadline by deadline."""
        end = self.now_ms + milliseconds
        while (due := self.broker.next_deadline_ms()) is not None and due <= end:
            self.now_ms = max(self.now_ms, due)
            self.broker.on_time(self.wall_ms, self.now_ms)
            self.settle()
        self.now_ms = end


class Client:
    """One connection: requests as messages, responses as messages, in order."""

    def __init__(self, core: Core, connection: Connection) -> None:
        self.core = core
        self.connection = connection
        self._correlation_ids = itertools.count(1)
        self._expected: list[tuple[int, int, int]] = []

    def send(self, message: Request[Any], version: int, client_id: str | None = "test") -> None:
        """Dispatch one request; its response, if there is one yet, waits to be read."""
        correlation_id = next(self._correlation_ids)
        frame = bytearray(
            b"".join(frames.encode_request(message, version, correlation_id, client_id))
        )
        self._expected.append((message.API_KEY, version, correlation_id))
        self.send_frame(frame[4:])

    def send_frame(self, frame: bytearray) -> None:
        core = self.core
        dispatch(core.broker, self.connection, frame, core.wall_ms, core.now_ms)
        core.settle()

    def read(self) -> Any:
        """The next response, or None when it has not been sent yet."""
        out = self.core.sink.sent.get(self.connection)
        if not out:
            return None
        size = int.from_bytes(out[:4], "big")
        frame = bytes(out[4 : 4 + size])
        del out[: 4 + size]
        key, version, correlation_id = self._expected.pop(0)
        assert frames.read_correlation_id(frame) == correlation_id
        return frames.decode_response(key, version, frame)

    def call(self, message: Request[R], version: int) -> R:
        """Send, and return the response, which must be there at once."""
        self.send(message, version)
        response = self.read()
        assert response is not None, "the request was parked"
        return cast(R, response)

    @property
    def close_reason(self) -> str | None:
        return self.core.sink.closed.get(self.connection)


def batch(*values: str, **settings: Any) -> bytearray:
    """One record batch, a record per value."""
    return build_batch(
        [Record(0, START_WALL_MS, None, value.encode()) for value in values], **settings
    )


def values(data: Buffer | None) -> list[str]:
    """The values of all records in fetched data."""
    found = []
    for position, _ in headers(data or b""):
        found += [(r.value or b"").decode() for r in records(data or b"", position)]
    return found
