"""A few threads for what would block the loop: syncing files, cold reads, unlinking.

Threads start when first needed. Results come back to the loop in batches: one
wake-up of the loop hands over everything that has finished by then.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_STOP: Final = None


class Workers:
    """Runs jobs in at most `count` daemon threads; `done` is called on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int, name: str) -> None:
        self._loop = loop
        self._count = count
        self._name = name
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._finished: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._is_wake_up_scheduled = False
        self._threads: list[threading.Thread] = []
        self.pending = 0
        self._idle: asyncio.Event | None = None

    def submit(self, job: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        """Run `job`; hand its result, or the OSError it raised, to `done`."""
        self.pending += 1
        if len(self._threads) < min(self._count, self.pending):
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._jobs.put((job, done))

    def _work(self) -> None:
        while (item := self._jobs.get()) is not _STOP:
            job, done = item
            result: Any
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - raised again on the loop
                result = error
            self._finished.append((done, result))
            del item, job, done, result
            # A stale read only costs a second wake-up: the loop clears the flag
            # before it empties the deque, so nothing is ever left lying.
            if not self._is_wake_up_scheduled:
                self._is_wake_up_scheduled = True
                try:
                    self._loop.call_soon_threadsafe(self._hand_over)
                except RuntimeError:
                    return  # the loop is closed: nobody waits for results

    def _hand_over(self) -> None:
        self._is_wake_up_scheduled = False
        while self._finished:
            done, result = self._finished.popleft()
            self.pending -= 1
            if self.pending == 0 and self._idle is not None:
                self._idle.set()
            if isinstance(result, BaseException) and not isinstance(result, OSError):
                raise result
            done(result)

    async def wait_for_idle(self) -> None:
        """Return when no job is queued or running and all results are handed over."""
        while self.pending:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def close(self) -> None:
        """Let the threads end after the jobs they have."""
        for _ in self._threads:
            self._jobs.put(_STOP)

    def join(self, timeout_s: float) -> None:
        """Wait for the threads, each at most `timeout_s`."""
        for thread in self._threads:
            thread.join(timeout_s)
