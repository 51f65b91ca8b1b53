"""Frames in, responses out, and clients that do not behave, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from tests.unit.server.fake_core import FakeCore

from ottla.broker.budget import Budget
from ottla.broker.config import BrokerConfig
from ottla.broker.connection import MAX_IN_PROGRESS
from ottla.server import connection as connection_module
from ottla.server.clock import mono_ms
from ottla.server.connection import ClientConnection
from ottla.server.counted_sockets import ConnectionLimits
from ottla.server.driver import Driver
from ottla.server.listeners import BoundListener

MAX_FRAME = 8 * 1024 * 1024


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def receive(self) -> bytes:
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        return await self.reader.readexactly(size)

    async def ask(self, payload: bytes) -> bytes:
        self.writer.write(frame(payload))
        return await self.receive()


@dataclass
class World:
    driver: Driver
    core: FakeCore
    address: tuple[str, int]
    clients: list[Client]
    limits: ConnectionLimits

    async def connect(self, limit: int = 2**16) -> Client:
        reader, writer = await asyncio.open_connection(*self.address, limit=limit)
        client = Client(reader, writer)
        self.clients.append(client)
        return client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@asynccontextmanager
async def world(
    budget: Budget | None = None, settings: dict[str, str] | None = None
) -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    driver = Driver(loop)
    core = FakeCore(driver, budget)
    driver.max_idle_ms = 60_000
    driver.attach(core, core.dispatch)
    listener = BoundListener("PLAINTEXT", ConnectionLimits(BrokerConfig(settings)))
    shared = memoryview(bytearray(connection_module.RECEIVE_BUFFER_SIZE))
    server = await loop.create_server(
        lambda: ClientConnection(driver, listener, shared, MAX_FRAME), "127.0.0.1", 0, backlog=1024
    )
    result = World(driver, core, server.sockets[0].getsockname(), [], listener.limits)
    try:
        yield result
    finally:
        server.close()
        for client in result.clients:
            client.writer.close()
        for open_connection in list(driver.connections):
            open_connection.abort()
        await until(lambda: not driver.connections)
        await driver.drain()
        driver.stop()
        assert core.budget.request_bytes == 0
        assert core.budget.unsent_bytes == 0


async def test_frames_of_every_size_are_cut_out_and_answered_in_order() -> None:
    sizes = [1, 10, 59 * 1024, 60 * 1024, 61 * 1024, 255 * 1024, 300 * 1024, 3_000_000, 2]
    async with world() as w:
        client = await w.connect(limit=MAX_FRAME)
        data = b"".join(frame(b"e" * size) for size in sizes)
        client.writer.write(data)
        assert [len(await client.receive()) for _ in sizes] == sizes
        assert w.core.frame_sizes == sizes


@pytest.mark.parametrize("step", [1, 3, 7])
async def test_frames_that_trickle_in_are_put_together(step: int) -> None:
    async with world() as w:
        client = await w.connect()
        data = frame(b"e one") + frame(b"e two") + frame(b"e three")
        for start in range(0, len(data), step):
            client.writer.write(data[start : start + step])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert [await client.receive() for _ in range(3)] == [b"e one", b"e two", b"e three"]


@pytest.mark.parametrize("size", [0, -1, MAX_FRAME + 1, 2**31 - 1])
async def test_an_impossible_length_closes_the_connection_and_is_counted(size: int) -> None:
    async with world() as w:
        other = await w.connect()
        client = await w.connect()
        client.writer.write(frame(b"e ok") + size.to_bytes(4, "big", signed=True) + b"rest")
        assert await client.receive() == b"e ok"
        assert await client.reader.read() == b""
        assert w.driver.frames_refused == 1
        assert await other.ask(b"e still here") == b"e still here"


async def test_a_web_browser_is_told_what_this_port_is() -> None:
    async with world() as w:
        client = await w.connect()
        client.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"Kafka's protocol" in await client.reader.read()


async def test_half_a_frame_and_a_hang_up_disturb_nobody() -> None:
    async with world() as w:
        for size in (100, 5_000_000):
            client = await w.connect()
            client.writer.write(frame(b"e" * size)[: size // 2])
            await client.writer.drain()
            client.writer.close()
        await until(lambda: len(w.core.lost) == 2)
        assert w.core.frame_sizes == []
        other = await w.connect()
        assert await other.ask(b"e fine") == b"e fine"


async def test_what_the_core_refuses_is_closed_after_earlier_answers_left() -> None:
    async with world() as w:
        client = await w.connect()
        client.writer.write(frame(b"e 1") + frame(b"x") + frame(b"e 2"))
        assert await client.receive() == b"e 1"
        assert await client.reader.read() == b""
        assert w.core.frames == [b"e 1", b"x"]


async def test_a_handlers_bug_ends_its_connection_alone() -> None:
    async with world() as w:
        told: list[Exception] = []
        w.driver.on_internal_error = told.append
        other = await w.connect()
        client = await w.connect()
        client.writer.write(frame(b"!") + frame(b"e"))
        assert await client.reader.read() == b""
        assert [type(error) for error in told] == [KeyError]
        assert await other.ask(b"e") == b"e"


async def test_reading_pauses_at_the_limit_of_requests_in_progress() -> None:
    async with world() as w:
        client = await w.connect()
        client.writer.write(b"".join(frame(b"h%d" % i) for i in range(MAX_IN_PROGRESS + 40)))
        client.writer.write(frame(b"e" * 100_000))
        await until(lambda: len(w.core.held) == MAX_IN_PROGRESS)
        other = await w.connect()
        assert await other.ask(b"e") == b"e"
        assert len(w.core.held) == MAX_IN_PROGRESS
        w.core.release_held()
        w.driver.settle()
        await until(lambda: len(w.core.held) == 40)
        w.core.release_held()
        w.driver.settle()
        answers = [await client.receive() for _ in range(MAX_IN_PROGRESS + 41)]
        assert answers[:-1] == [b"h"] * (MAX_IN_PROGRESS + 40)
        assert len(answers[-1]) == 100_000


async def test_a_client_that_never_reads_is_not_read_from_and_is_counted() -> None:
    async with world() as w:
        client = await w.connect()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        big = b"b" + (20_000_000).to_bytes(4, "big")
        client.writer.write(frame(big))
        await until(lambda: w.core.budget.unsent_bytes > 5_000_000)
        client.writer.write(frame(big))
        other = await w.connect()
        for _ in range(20):
            assert await other.ask(b"e") == b"e"
        assert w.core.frame_sizes.count(5) == 1
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await client.receive()) == 20_000_000
        await until(lambda: w.core.frame_sizes.count(5) == 2)
        assert len(await client.receive()) == 20_000_000
        await until(lambda: w.core.budget.unsent_bytes == 0)


async def test_large_frames_wait_for_room_and_never_for_one_another() -> None:
    async with world(Budget(3_000_000)) as w:
        clients = [await w.connect() for _ in range(8)]
        data = frame(b"e" * 2_000_000)
        for client in clients:
            client.writer.write(data[:1_500_000])
        await until(lambda: w.core.budget.request_bytes > 2_000_000)
        for client in clients:
            client.writer.write(data[1_500_000:])
        for client in clients:
            assert len(await client.receive()) == 2_000_000


async def test_a_stalled_large_frame_gives_its_memory_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w:
        client = await w.connect()
        client.writer.write(frame(b"e" * 2_000_000)[:500_000])
        await until(lambda: w.core.budget.request_bytes)
        (server_side,) = w.driver.connections
        server_side.sweep(mono_ms(), 60_000, 10_000)
        assert w.core.budget.request_bytes
        server_side.sweep(mono_ms() + 11_000, 60_000, 10_000)
        with suppress(ConnectionError):
            assert await client.reader.read() == b""
        await until(lambda: not w.core.budget.request_bytes)


async def test_beginnings_of_frames_are_counted_and_the_oldest_goes_for_want_of_memory() -> None:
    async with world(Budget(3_000_000, 100_000)) as w:
        clients = [await w.connect() for _ in range(3)]
        for i, client in enumerate(clients):
            client.writer.write(frame(b"e" * 50_000)[:40_000])
            await until(lambda i=i: w.core.budget.request_bytes == min(i + 1, 2) * 40_000)  # type: ignore[misc]
        with suppress(ConnectionError):
            assert await clients[0].reader.read() == b""
        assert w.driver.leftovers.evictions == 1
        for client in clients[1:]:
            client.writer.write(frame(b"e" * 50_000)[40_000:])
            assert len(await client.receive()) == 50_000
        assert w.core.budget.request_bytes == 0


async def test_what_a_lost_connection_had_begun_is_not_counted_any_more() -> None:
    async with world() as w:
        client = await w.connect()
        client.writer.write(frame(b"e" * 50)[:7])
        await until(lambda: w.core.budget.request_bytes == 7)
        client.writer.close()
        await until(lambda: w.core.budget.request_bytes == 0)


async def test_who_takes_no_answers_is_closed_when_memory_is_short() -> None:
    async with world() as w:
        client = await w.connect(limit=1024)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(frame(b"b" + (20_000_000).to_bytes(4, "big")))
        await until(lambda: w.core.budget.unsent_bytes)
        (server_side,) = w.driver.connections
        later = mono_ms() + 6_000
        server_side.sweep(later, 60_000, 10_000)
        assert w.driver.connections
        server_side.sweep(later, 60_000, 10_000, is_memory_short=True)
        await until(lambda: not w.driver.connections)
        assert w.core.budget.unsent_bytes == 0


async def test_who_sends_a_frame_byte_by_byte_is_closed_in_the_end() -> None:
    async with world() as w:
        client = await w.connect()
        data = frame(b"e" * 500)
        client.writer.write(data[:6])
        await until(lambda: w.core.budget.request_bytes == 6)
        (server_side,) = w.driver.connections
        began = mono_ms()
        client.writer.write(data[6:9])
        await until(lambda: w.core.budget.request_bytes == 9)
        server_side.last_active_ms = began + 25_000
        server_side.sweep(began + 25_000, 60_000, 10_000)
        client.writer.write(data[9:10])
        await until(lambda: w.core.budget.request_bytes == 10)
        server_side.last_active_ms = began + 31_000
        server_side.sweep(began + 31_000, 60_000, 10_000)
        with suppress(ConnectionError):
            assert await client.reader.read() == b""


async def test_an_idle_connection_is_closed() -> None:
    async with world() as w:
        client = await w.connect()
        await client.ask(b"e")
        (server_side,) = w.driver.connections
        server_side.sweep(mono_ms() + 61_000, -1, 10_000)
        assert await client.ask(b"e") == b"e"
        server_side.sweep(mono_ms() + 61_000, 60_000, 10_000)
        assert await client.reader.read() == b""


async def test_connections_above_the_limit_are_refused() -> None:
    async with world(settings={"max.connections.per.ip.overrides": "127.0.0.1:2"}) as w:
        first, second = await w.connect(), await w.connect()
        await first.ask(b"e")
        await second.ask(b"e")
        third = await w.connect()
        third.writer.write(frame(b"e"))
        with suppress(ConnectionError):
            assert await third.reader.read() == b""
        assert w.limits.refused == 1
        first.writer.close()
        await until(lambda: len(w.driver.connections) == 1)
        fourth = await w.connect()
        assert await fourth.ask(b"e") == b"e"


async def test_hundreds_of_idle_connections_disturb_nobody() -> None:
    async with world() as w:
        await asyncio.gather(*(w.connect() for _ in range(400)))
        client = await w.connect()
        assert await client.ask(b"e") == b"e"
        await until(lambda: len(w.driver.connections) == 401)


async def test_flushes_gather_what_arrives_meanwhile() -> None:
    async with world() as w:
        clients = [await w.connect() for _ in range(10)]
        for client in clients:
            client.writer.write(frame(b"d") * 5)
        for client in clients:
            assert [await client.receive() for _ in range(5)] == [b"d"] * 5
        assert 1 <= w.core.rounds <= 50


async def test_a_failing_disk_is_reported_and_the_next_round_still_comes() -> None:
    async with world() as w:
        client = await w.connect()
        w.core.disk_error = OSError("dying disk")
        client.writer.write(frame(b"d"))
        await until(lambda: w.core.flush_errors == [w.core.disk_error])
        w.core.disk_error = None
        other = await w.connect()
        assert await other.ask(b"d") == b"d"


async def test_deadlines_wake_the_core_in_time() -> None:
    async with world() as w:
        due = mono_ms() + 30
        w.core.deadline = due + 1000
        w.driver.settle()
        w.core.deadline = due
        w.driver.settle()
        await until(lambda: w.core.woken_at)
        assert due <= w.core.woken_at[0] < due + 500


async def test_jobs_run_elsewhere_and_report_here() -> None:
    async with world() as w:
        results: list[object] = []

        def fail() -> int:
            raise OSError("disk")

        w.driver.run_job(lambda: 42, results.append)
        w.driver.run_job(fail, results.append)
        await until(lambda: len(results) == 2)
        assert 42 in results
        assert any(isinstance(result, OSError) for result in results)
