"""Drives the broker: performs its effects on an event loop and reports back to it.

Everything here runs on the loop's thread. Every entry into the core (a frame,
a deadline, a finished flush or job) ends with `settle`: small responses that
the entry has produced leave together, and the timer is set to the core's next
deadline.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from ottla.broker.budget import Budget
from ottla.broker.connection import Connection
from ottla.broker.metrics import Metrics
from ottla.server.clock import mono_ms, wall_ms
from ottla.server.flusher import Flusher
from ottla.server.leftovers import Leftovers
from ottla.server.workers import Workers
from ottla.storage.flush import FlushTicket
from ottla.wire.message import Buffer

if TYPE_CHECKING:
    from ottla.server.connection import ClientConnection
    from ottla.server.counted_sockets import ConnectionLimits

T = TypeVar("T")

JOB_THREADS: Final = 2

#: How long a stop waits for each thread; only a disk that hangs takes longer than nothing.
THREAD_LIMIT_S: Final = 0.5

#: How often idle and stalled connections are looked for.
SWEEP_INTERVAL_S: Final = 1.0

#: A large frame of which nothing arrives for this long gives its memory back; sooner
#: when others wait for it.
STALL_LIMIT_MS: Final = 10_000
STALL_LIMIT_WHEN_SHORT_MS: Final = 1_000


class Core(Protocol):
    """What the driver needs of the broker."""

    @property
    def budget(self) -> Budget: ...

    @property
    def metrics(self) -> Metrics: ...

    def open_connection(
        self,
        listener: str,
        local: tuple[str, int],
        peer: tuple[str, int],
        certificate_principal: str | None = None,
        mono_ms: int | None = None,
    ) -> Connection: ...

    def connection_lost(self, connection: Connection) -> None: ...

    def unsent_changed(self, connection: Connection, unsent_bytes: int) -> None: ...

    def on_time(self, wall_ms: int, mono_ms: int) -> None: ...

    def next_deadline_ms(self) -> int | None: ...

    def take_flush_round(self) -> list[FlushTicket]: ...

    def finish_flush(
        self, ticket: FlushTicket, error: OSError | None, wall_ms: int, mono_ms: int
    ) -> None: ...


Dispatch = Callable[[Connection, bytearray | memoryview, int, int], None]


class Driver:
    """The `Effects` of a broker, and its clock. `attach` comes before anything else."""

    core: Core
    dispatch: Dispatch

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.connections: set[ClientConnection] = set()
        self.max_idle_ms = 0
        #: Longest frames: of anybody, and of who has not authenticated yet.
        self.max_frame = 0
        self.max_stranger_frame = 0
        #: How far the core's clocks are ahead of the real ones.
        self.time_offset_ms = 0
        self.limits: ConnectionLimits | None = None
        self.frames_refused = 0
        self.internal_errors = 0
        #: Told of every exception that a handler should not have raised.
        self.on_internal_error: Callable[[Exception], None] = _raise
        self.leftovers = Leftovers()
        self._dirty: list[ClientConnection] = []
        self._jobs = Workers(loop, JOB_THREADS, "ottla-job")
        self._flusher = Flusher(loop, self)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._is_arming = False
        self._sweep: asyncio.TimerHandle | None = None
        self._waiting_for_budget: deque[ClientConnection] = deque()
        self._privileged: ClientConnection | None = None
        self._no_connections: asyncio.Event | None = None

    def attach(self, core: Core, dispatch: Dispatch) -> None:
        """From now on this core is driven."""
        self.core = core
        self.dispatch = dispatch
        self._sweep = self.loop.call_later(SWEEP_INTERVAL_S, self._on_sweep)
        self.settle()

    def handle(
        self, connection: Connection, frame: bytearray | memoryview, wall_ms: int, mono_ms: int
    ) -> None:
        """Have a frame handled. This is the boundary: a handler's bug ends its connection,
        and whoever listens to `on_internal_error` decides whether more has to end."""
        try:
            offset = self.time_offset_ms
            self.dispatch(connection, frame, wall_ms + offset, mono_ms + offset)
        except Exception as error:  # noqa: BLE001
            self.internal_errors += 1
            connection.close("internal error")
            self.on_internal_error(error)

    # -- effects --------------------------------------------------------------------

    def send(self, connection: Connection, buffers: Sequence[Buffer]) -> int:
        client = _client_of(connection)
        return 0 if client is None else client.send(buffers)

    def close(self, connection: Connection, reason: str) -> None:
        client = _client_of(connection)
        if client is not None:
            client.close(reason)

    def resume(self, connection: Connection) -> None:
        client = _client_of(connection)
        if client is not None:
            client.resume()

    def tell(self, sentence: str) -> None:
        print(f"ottla: {sentence}", file=sys.stderr, flush=True)

    def flush_wanted(self) -> None:
        self._flusher.want()

    def run_job(self, job: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        def finish(result: T | OSError) -> None:
            done(result)
            self.core.on_time(self.wall_ms(), self.mono_ms())
            self.settle()

        self._jobs.submit(job, finish)

    # -- after every entry ------------------------------------------------------------

    def mark_dirty(self, client: ClientConnection) -> None:
        """The connection holds small responses for the end of this entry."""
        self._dirty.append(client)

    def settle(self) -> None:
        """Send what has gathered and set the timer; ends every entry into the core."""
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            for client in dirty:
                client.write_gathered()
        if not self._is_arming:
            self._is_arming = True
            self.loop.call_soon(self._arm)

    def _arm(self) -> None:
        """Set the timer to the core's next deadline; once for all entries of a loop's turn."""
        self._is_arming = False
        deadline = self.core.next_deadline_ms()
        if deadline is None or (self._timer is not None and self._timer_ms <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = deadline
        due_s = (deadline - self.time_offset_ms) / 1000
        self._timer = self.loop.call_at(due_s + 0.001, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.core.on_time(self.wall_ms(), self.mono_ms())
        self.settle()

    # -- the core's time --------------------------------------------------------------

    def wall_ms(self) -> int:
        return wall_ms() + self.time_offset_ms

    def mono_ms(self) -> int:
        return mono_ms() + self.time_offset_ms

    def advance_time(self, milliseconds: int) -> None:
        """The core's clocks jump ahead, for tests: what became due meanwhile is done now."""
        self.time_offset_ms += milliseconds
        if self._timer is not None:
            self._timer.cancel()
        self._on_timer()

    # -- connections ------------------------------------------------------------------

    def _on_sweep(self) -> None:
        now = mono_ms()
        stall_limit = STALL_LIMIT_WHEN_SHORT_MS if self._waiting_for_budget else STALL_LIMIT_MS
        is_short = self.core.budget.is_exhausted()
        for client in list(self.connections):
            client.sweep(now, self.max_idle_ms, stall_limit, is_short)
        self._sweep = self.loop.call_later(SWEEP_INTERVAL_S, self._on_sweep)
        self.settle()

    # -- memory of large requests -------------------------------------------------------

    def admit(self, client: ClientConnection, size: int) -> bool:
        """Whether `size` more bytes of a large frame may be received now.

        Who is refused is resumed later, in order. One connection at a time may
        go over the limit, so that half-received frames never wait for one
        another for ever.
        """
        if self._privileged is client:
            self.core.budget.request_bytes += size
            return True
        if not self._waiting_for_budget and self.core.budget.admit_request(size):
            return True
        if self._privileged is None:
            self._privileged = client
            self.core.budget.request_bytes += size
            return True
        self._waiting_for_budget.append(client)
        return False

    def release(self, client: ClientConnection, size: int) -> None:
        """A large frame was handled, or its connection is gone."""
        self.core.budget.release_request(size)
        if self._privileged is client:
            self._privileged = None
        self.budget_changed()

    def budget_changed(self) -> None:
        """There may be room for those who wait to receive a large frame."""
        if not self._waiting_for_budget:
            return
        waiting, self._waiting_for_budget = self._waiting_for_budget, deque()
        for other in waiting:
            other.budget_freed()

    @property
    def connections_refused(self) -> int:
        """Those above the limits."""
        return 0 if self.limits is None else self.limits.refused

    def forget(self, client: ClientConnection) -> None:
        """The connection is gone: it keeps nothing and waits for nothing any more."""
        self.leftovers.let_go(client, self.core.budget)
        if client in self._waiting_for_budget:
            self._waiting_for_budget.remove(client)

    # -- the end ----------------------------------------------------------------------

    async def wait_for_no_connections(self, timeout_s: float) -> bool:
        """Return True once every connection is gone, False after `timeout_s`."""
        if not self.connections:
            return True
        self._no_connections = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                await self._no_connections.wait()
        except TimeoutError:
            return False
        return True

    def connection_gone(self, client: ClientConnection) -> None:
        """The socket is closed."""
        self.connections.discard(client)
        if not self.connections and self._no_connections is not None:
            self._no_connections.set()

    async def drain(self) -> None:
        """Return when no flush and no job is under way."""
        await self._flusher.wait_for_idle()
        await self._jobs.wait_for_idle()

    def stop(self) -> None:
        """No more timers, flushes or jobs; the threads end."""
        self._is_arming = True
        for timer in (self._timer, self._sweep):
            if timer is not None:
                timer.cancel()
        for workers in (self._flusher.workers, self._jobs):
            workers.close()
            workers.join(THREAD_LIMIT_S)


def _raise(error: Exception) -> None:
    raise error


def _client_of(connection: Connection) -> ClientConnection | None:
    """The socket's side of a connection; None once it is gone."""
    return cast("ClientConnection | None", connection.driver_state)
