"""A TCP proxy in front of a broker that makes the network bad. It rewrites nothing.

Because nothing is rewritten, a client that bootstraps through the proxy is told
the broker's own address by the broker, and goes on there. Who wants all of a
client's traffic must let the broker advertise the proxy's address.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from ottla.embedded import Broker

CHUNK_BYTES: Final = 64 * 1024
#: Delayed chunks of one direction; then reading waits.
MAX_DELAYED: Final = 256
_CALL_LIMIT_S: Final = 10.0


@dataclass
class Faults:
    """What goes wrong. Probabilities are for each piece of stream that passes."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0  # added to the latency, at random
    bandwidth: float = 0.0  # bytes a second for each direction of a connection; 0: no limit
    cut: float = 0.0  # probability that the connection is reset
    drop: float = 0.0  # probability that it falls silent: nothing passes any more
    cut_every_s: float = 0.0  # all connections are reset so often; 0: never

    def __str__(self) -> str:
        parts = [
            f"latency {self.latency_ms:g} ms" * bool(self.latency_ms),
            f"jitter {self.jitter_ms:g} ms" * bool(self.jitter_ms),
            f"{self.bandwidth:,.0f} bytes/s" * bool(self.bandwidth),
            f"{self.cut:.2%} cut" * bool(self.cut),
            f"{self.drop:.2%} dropped" * bool(self.drop),
            f"all cut every {self.cut_every_s:g} s" * bool(self.cut_every_s),
        ]
        return ", ".join(part for part in parts if part) or "none"


@dataclass
class Seen:
    """What has passed, and what was done to it."""

    connections: int = 0
    bytes_in: int = 0  # from clients
    bytes_out: int = 0
    cuts: int = 0
    dropped: int = 0
    unreachable: int = 0  # connections for which the broker did not answer


@dataclass(eq=False)
class _Pair:
    """A client's connection and the one made for it."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    is_silent: bool = False

    def reset(self) -> None:
        for writer in (self.client, self.broker):
            writer.transport.abort()


@dataclass
class ChaosProxy:
    """A proxy on an event loop in a thread of its own, for as long as a `with` block lasts.

    `target` (host, port) may be set later, so that a broker can advertise the
    proxy's address. `faults` may be changed at any time.
    """

    target: tuple[str, int] | None = None
    faults: Faults = field(default_factory=Faults)
    host: str = "127.0.0.1"
    port: int = 0
    seed: int | None = None
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="ottla-chaos", daemon=True
        )
        self._server: asyncio.Server | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        """Listening afterwards; `port` is known. Errors: OSError."""
        self._thread.start()
        try:
            self._call(self._start())
        except OSError:
            self._end_loop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._stop())
        self._end_loop()

    def cut(self) -> int:
        """Reset all connections; returns how many."""
        return int(self._do(self._cut_all))

    def freeze(self) -> None:
        """Nothing passes until `thaw`; connections stay open."""
        self._do(self._thawed.clear)

    def thaw(self) -> None:
        self._do(self._thawed.set)

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_LIMIT_S)

    def _do(self, work: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return work()

        return self._call(run())

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_LIMIT_S)
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._spawn(self._cut_regularly())

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for pair in list(self._pairs):
            pair.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _cut_all(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()
        self.seen.cuts += len(pairs)
        return len(pairs)

    async def _cut_regularly(self) -> None:
        while True:
            await asyncio.sleep(self.faults.cut_every_s or 0.1)
            if self.faults.cut_every_s:
                self._cut_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.connections += 1
        try:
            if self.target is None:
                raise ConnectionRefusedError  # there is no broker yet
            there, broker = await asyncio.open_connection(*self.target)
        except OSError:
            self.seen.unreachable += 1
            writer.transport.abort()
            return
        pair = _Pair(writer, broker)
        self._pairs.add(pair)
        ways = [
            self._spawn(self._pass(pair, reader, broker, is_inward=True)),
            self._spawn(self._pass(pair, there, writer, is_inward=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._pairs.discard(pair)
            for end in (writer, broker):
                end.close()

    async def _pass(
        self,
        pair: _Pair,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_inward: bool,
    ) -> None:
        """One direction: read now, write when it is due, in order."""
        delayed: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_DELAYED)
        writing = self._spawn(self._write_when_due(delayed, writer))
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(CHUNK_BYTES):
                    if is_inward:
                        self.seen.bytes_in += len(data)
                    else:
                        self.seen.bytes_out += len(data)
                    if self._rng.random() < self.faults.cut:
                        self.seen.cuts += 1
                        pair.reset()
                        return
                    if not pair.is_silent and self._rng.random() < self.faults.drop:
                        self.seen.dropped += 1
                        pair.is_silent = True
                    if not pair.is_silent:
                        await delayed.put((self._loop.time() + self._delay_s(), data))
                # What was sent before the end is delivered before the end.
                await delayed.put((0.0, b""))
                await writing
        finally:
            writing.cancel()

    async def _write_when_due(
        self, delayed: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                due, data = await delayed.get()
                if not data:
                    return
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._thawed.wait()
                writer.write(data)
                await writer.drain()
                if self.faults.bandwidth:
                    await asyncio.sleep(len(data) / self.faults.bandwidth)

    def _delay_s(self) -> float:
        return (self.faults.latency_ms + self._rng.random() * self.faults.jitter_ms) / 1_000


@contextlib.contextmanager
def broker_behind(proxy: ChaosProxy, config: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """A throw-away broker that advertises the listening proxy. Errors: StartError."""
    from ottla.embedded import Broker
    from ottla.engine.ports import free_ports

    (port,) = free_ports(1)
    advertised = {"advertised.listeners": f"PLAINTEXT://{proxy.address}"}
    with Broker(port=port, config={**(config or {}), **advertised}) as broker:
        proxy.target = ("127.0.0.1", port)
        yield broker
