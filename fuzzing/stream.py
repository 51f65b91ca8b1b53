"""Bytes of a socket, in any portions: frames are cut out whole, and memory stays bounded.

An input is a row of portions: how many bytes come at once, and which. The real
connection gets them, with a transport and a core that only take notes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from fuzzing.target import Input, Target
from ottla.broker.budget import Budget
from ottla.broker.config import BrokerConfig
from ottla.broker.connection import Connection
from ottla.server.connection import RECEIVE_BUFFER_SIZE, ClientConnection
from ottla.server.counted_sockets import ConnectionLimits
from ottla.server.driver import Driver
from ottla.server.listeners import BoundListener

MAX_FRAME: Final = 300_000
BUDGET: Final = 400_000
_SHARED: Final = memoryview(bytearray(RECEIVE_BUFFER_SIZE))


class _Transport(asyncio.Transport):
    """Where a connection is told what happens to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 9092)})
        self.is_gone = False
        self.wants_more = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        # A "sslcontext" keeps the connection from writing to a descriptor.
        return () if name == "sslcontext" else super().get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        pass

    def close(self) -> None:
        self.is_gone = True

    def abort(self) -> None:
        self.is_gone = True

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        self.wants_more = False

    def resume_reading(self) -> None:
        self.wants_more = True


class _Loop:
    """Runs what should be called soon when it is asked to."""

    def __init__(self) -> None:
        self.soon: list[Any] = []

    def call_soon(self, call: Any, *arguments: Any) -> None:
        self.soon.append((call, arguments))

    def run(self) -> None:
        soon, self.soon = self.soon, []
        for call, arguments in soon:
            call(*arguments)

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments: None


class _Core:
    """Keeps every frame; answers nothing."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.budget = Budget(BUDGET)
        self.frames: list[bytes] = []

    def dispatch(self, connection: Connection, frame: Any, wall_ms: int, mono_ms: int) -> None:
        self.frames.append(bytes(frame))
        connection.fill_slot(connection.take_slot(), (b"\0\0\0\1!",))

    def open_connection(
        self,
        listener: str,
        local: Any,
        peer: Any,
        principal: str | None = None,
        mono_ms: int | None = None,
    ) -> Connection:
        return Connection(1, listener, local, peer, self.driver, self.budget)

    def connection_lost(self, connection: Connection) -> None:
        connection.released()

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments: None


def run(data: bytes) -> None:
    loop = _Loop()
    driver = Driver(loop)  # type: ignore[arg-type]
    core = _Core(driver)
    driver.attach(core, core.dispatch)
    listener = BoundListener("PLAINTEXT", ConnectionLimits(BrokerConfig({})))
    protocol = ClientConnection(driver, listener, _SHARED, MAX_FRAME)
    transport = _Transport()
    protocol.connection_made(transport)
    sent = bytearray()
    given = Input(data)
    while given and not transport.is_gone:
        repeat, portion = given.byte(), given.take(given.byte())
        # Long stretches need not stand in the input.
        portion = portion * (repeat * 16 + 1) if repeat & 1 else portion
        while portion and transport.wants_more and not transport.is_gone:
            buffer = protocol.get_buffer(-1)
            assert len(buffer) > 0, "there is nowhere to read to"
            size = min(len(buffer), len(portion))
            buffer[:size] = portion[:size]
            sent += portion[:size]
            portion = portion[size:]
            protocol.buffer_updated(size)
            loop.run()
            assert core.budget.request_bytes <= BUDGET + MAX_FRAME
    expected, is_refused = _cut(bytes(sent))
    assert core.frames == expected[: len(core.frames)], "frames were cut in the wrong place"
    assert len(core.frames) == len(expected), "a whole frame was not handled"
    assert transport.is_gone == is_refused
    protocol.connection_lost(None)
    assert core.budget.request_bytes == 0, "memory of a lost connection is still counted"


def _cut(sent: bytes) -> tuple[list[bytes], bool]:
    """The frames in a stream, and whether it is cut off for a length that is not allowed."""
    found: list[bytes] = []
    position = 0
    while position + 4 <= len(sent):
        size = int.from_bytes(sent[position : position + 4], "big", signed=True)
        if not 0 < size <= MAX_FRAME:
            return found, True
        if position + 4 + size > len(sent):
            break
        found.append(sent[position + 4 : position + 4 + size])
        position += 4 + size
    return found, False


def seeds() -> Iterator[bytes]:
    small = b"\0\0\0\5hello"
    yield b"\0\x09" + small
    yield b"\0\x12" + small + small
    yield b"".join(b"\0\1" + small[i : i + 1] for i in range(9))
    yield b"\0\4" + b"\0\4\0\0" + (b"\x7f\xff" + b"x" * 255) * 2
    yield b"\0\4" + b"\0\1\0\0" + (b"\x7f\xff" + b"y" * 255) + b"\0\x09" + small
    yield b"\0\4" + b"\0\0\xf0\0" + b"\xff\xff" + b"z" * 255 + b"\0\1\0"
    yield b"\0\4GET "
    yield b"\0\4\x7f\xff\xff\xff"
    yield b"\0\4\0\0\0\0"


TARGET = Target("stream", "bytes of a socket, cut into frames", seeds, run)
