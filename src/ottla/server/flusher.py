"""Group commit: one flush round at a time, its files synced in parallel.

A round takes everything that is dirty when it starts. What is appended while
it runs waits for the next, so under load each sync covers many requests.
Partitions complete one by one: nobody waits for another partition's disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ottla.server.workers import Workers
from ottla.storage.flush import FlushTicket

if TYPE_CHECKING:
    from ottla.server.driver import Driver

#: Measured: 50 dirty files take 4.5 ms one after the other, 2.0 ms with eight threads.
FLUSH_THREADS: Final = 8


class Flusher:
    """Starts rounds, and tells the broker how each of their tickets ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
        self._loop = loop
        self._driver = driver
        self.workers = Workers(loop, FLUSH_THREADS, "ottla-flush")
        self._running = 0
        self._is_wanted = False
        self._is_scheduled = False
        self._idle: asyncio.Event | None = None

    def want(self) -> None:
        """Something is dirty: a round starts at the end of this turn of the loop, or
        when the present one ends."""
        self._is_wanted = True
        if not self._running and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._start_round)

    def _start_round(self) -> None:
        self._is_scheduled = False
        self._is_wanted = False
        tickets = self._driver.core.take_flush_round()
        self._running = len(tickets)
        for ticket in tickets:
            self.workers.submit(ticket.run, self._finisher(ticket))
        self._driver.settle()
        if not self._running:
            self._round_ended()

    def _finisher(self, ticket: FlushTicket) -> Callable[[OSError | None], None]:
        def finish(result: OSError | None) -> None:
            self._running -= 1
            self._driver.core.finish_flush(
                ticket, result, self._driver.wall_ms(), self._driver.mono_ms()
            )
            self._driver.settle()
            if not self._running:
                self._round_ended()

        return finish

    def _round_ended(self) -> None:
        if self._is_wanted and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._start_round)
        elif self._idle is not None and not self._is_scheduled:
            self._idle.set()

    async def wait_for_idle(self) -> None:
        """Return when no round runs and none is wanted."""
        while self._running or self._is_scheduled or self._is_wanted:
            self._idle = asyncio.Event()
            await self._idle.wait()
