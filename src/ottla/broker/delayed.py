"""Deadlines of the monotonic clock: call this then, unless it was cancelled.

Long polls are nearly always cancelled before they are due, tens of thousands a
second, so cancelling is one assignment and dead entries are swept out when
they outnumber the living.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Final, TypeAlias

#: What to call: `(wall_ms, mono_ms)`.
Action: TypeAlias = Callable[[int, int], None]

#: Sweep no smaller heap than this.
SWEEP_FROM: Final = 256


class Timer:
    """One deadline; `cancel` makes it never happen."""

    __slots__ = ("action", "is_queued", "owner")

    def __init__(self, action: Action, owner: Deadlines) -> None:
        self.action: Action | None = action
        self.owner = owner
        self.is_queued = True

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            if self.is_queued:
                self.owner.count_cancelled()


class Deadlines:
    """A heap of timers, in order of deadline and, within one, of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def at(self, deadline_ms: int, action: Action) -> Timer:
        """Call `action` when the monotonic clock has reached `deadline_ms`."""
        timer = Timer(action, self)
        heapq.heappush(self._heap, (deadline_ms, next(self._order), timer))
        return timer

    def count_cancelled(self) -> None:
        self._cancelled += 1
        if len(self._heap) > SWEEP_FROM and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_deadline_ms(self) -> int | None:
        """The earliest deadline, or None when nothing waits."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def run_due(self, wall_ms: int, mono_ms: int) -> None:
        """Call everything that is due; what that adds waits for the next call."""
        due: list[Timer] = []
        while (first := self.next_deadline_ms()) is not None and first <= mono_ms:
            timer = heapq.heappop(self._heap)[2]
            timer.is_queued = False
            due.append(timer)
        for timer in due:
            # A timer may be cancelled by one that ran just before it.
            action, timer.action = timer.action, None
            if action is not None:
                action(wall_ms, mono_ms)
