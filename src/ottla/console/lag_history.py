"""How lags have moved: of each group, and of each of its partitions, over the last half hour."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ottla.lag.store import GroupStatus

#: One sample in so many milliseconds, and so many of them.
STEP_MS = 5_000
KEPT = 360
#: Growth is judged over so long.
GROWTH_MS = 60_000

Place = tuple[str, int]


class LagHistory:
    """Bounded rings of lags; written by one thread, read by others."""

    def __init__(self) -> None:
        self.times_ms: deque[int] = deque(maxlen=KEPT)
        self._totals: dict[str, deque[int]] = {}
        self._places: dict[str, dict[Place, deque[int]]] = {}

    def add(self, groups: Iterable[GroupStatus], moment_ms: int) -> None:
        """Note the lags, at most once per step; groups that are gone are forgotten."""
        if self.times_ms and moment_ms - self.times_ms[-1] < STEP_MS:
            return
        self.times_ms.append(moment_ms)
        seen = set()
        for status in groups:
            seen.add(status.group)
            self._totals.setdefault(status.group, deque(maxlen=KEPT)).append(status.total_lag)
            rings = self._places.setdefault(status.group, {})
            for p in status.partitions:
                ring = rings.get((p.topic, p.partition))
                if ring is None:
                    ring = rings[p.topic, p.partition] = deque(maxlen=KEPT)
                ring.append(p.current_lag)
        for gone in self._totals.keys() - seen:
            del self._totals[gone]
            del self._places[gone]

    def growth(self, group: str) -> float | None:
        """Records a second by which a group's lag has grown lately; None when not known."""
        ring = list(self._totals.get(group, ()))
        times = list(self.times_ms)[-len(ring) :] if ring else []
        if len(ring) < 2 or len(times) != len(ring):
            return None
        first = next(i for i, t in enumerate(times) if t >= times[-1] - GROWTH_MS)
        if first == len(times) - 1:
            first -= 1
        return (ring[-1] - ring[first]) * 1000 / (times[-1] - times[first])

    def total_of(self, group: str) -> list[tuple[int, int]]:
        """[(time in ms, lag of all partitions)], oldest first."""
        lags, times = list(self._totals.get(group, ())), list(self.times_ms)
        return list(zip(times[-len(lags) :], lags, strict=False)) if lags else []

    def of_group(self, group: str) -> dict[Place, list[tuple[int, int]]]:
        """[(time in ms, lag)] of each partition, oldest first."""
        times = list(self.times_ms)
        found = {}
        for place, ring in list(self._places.get(group, {}).items()):
            lags = list(ring)
            found[place] = list(zip(times[-len(lags) :], lags, strict=False))
        return found
