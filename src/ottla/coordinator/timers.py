"""Deadlines by key, on the monotonic clock.

Postponing a deadline, which every heartbeat does, costs one dictionary store:
the heap keeps the old entry and moves it on when it comes up.
Invariant: each key with a deadline has exactly one valid heap entry, and that
entry is not later than the deadline.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple


class TimerKey(NamedTuple):
    """What is due: a kind of event, in a group, perhaps for one member."""

    kind: str
    group_id: str
    member_id: str = ""


class Timers:
    def __init__(self) -> None:
        self._deadlines: dict[TimerKey, int] = {}
        self._queued: dict[TimerKey, int] = {}
        self._heap: list[tuple[int, int, TimerKey]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, key: TimerKey) -> bool:
        return key in self._deadlines

    def schedule(self, key: TimerKey, deadline_ms: int) -> None:
        """Set or move the deadline of `key`."""
        self._deadlines[key] = deadline_ms
        queued = self._queued.get(key)
        if queued is None or deadline_ms < queued:
            self._push(key, deadline_ms)

    def cancel(self, key: TimerKey) -> None:
        self._deadlines.pop(key, None)

    def next_deadline_ms(self) -> int | None:
        """The earliest deadline, or None when there is none."""
        self._settle()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, mono_ms: int) -> list[TimerKey]:
        """Remove and return the keys that are due, earliest first."""
        due: list[TimerKey] = []
        while True:
            self._settle()
            if not self._heap or self._heap[0][0] > mono_ms:
                return due
            key = heapq.heappop(self._heap)[2]
            del self._queued[key]
            del self._deadlines[key]
            due.append(key)

    def _push(self, key: TimerKey, deadline_ms: int) -> None:
        self._sequence += 1
        self._queued[key] = deadline_ms
        heapq.heappush(self._heap, (deadline_ms, self._sequence, key))

    def _settle(self) -> None:
        """Afterwards the first heap entry is a real deadline."""
        heap = self._heap
        while heap:
            queued_ms, _, key = heap[0]
            if self._queued.get(key) != queued_ms:
                heapq.heappop(heap)
                continue
            deadline_ms = self._deadlines.get(key)
            if deadline_ms == queued_ms:
                return
            heapq.heappop(heap)
            del self._queued[key]
            if deadline_ms is not None:
                self._push(key, deadline_ms)
