"""How far the reading of a topic's history has come."""

from __future__ import annotations

RATE_WINDOW_S = 5.0


class Progress:
    """From the first offset of each partition to where it ended when reading began."""

    def __init__(self) -> None:
        self._start: dict[int, int] = {}
        self._end: dict[int, int] = {}
        self._position: dict[int, int] = {}
        self._marks: list[tuple[float, int]] = []

    def add_partition(self, partition: int, start: int, end: int) -> None:
        self._start[partition] = self._position[partition] = start
        self._end[partition] = end

    @property
    def partitions(self) -> int:
        return len(self._start)

    def move(self, partition: int, position: int) -> None:
        """The next offset to read. Offsets may be missing: positions count, not records."""
        self._position[partition] = position

    @property
    def total(self) -> int:
        return sum(self._end[p] - start for p, start in self._start.items())

    @property
    def done(self) -> int:
        return sum(min(self._position[p], self._end[p]) - start for p, start in self._start.items())

    @property
    def is_caught_up(self) -> bool:
        return bool(self._start) and self.done >= self.total

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 1.0

    def sample(self, mono_s: float) -> None:
        """Note the time, for the rate of the last seconds."""
        self._marks.append((mono_s, self.done))
        while len(self._marks) > 2 and self._marks[1][0] < mono_s - RATE_WINDOW_S:
            del self._marks[0]

    @property
    def rate(self) -> float:
        """Records of history a second, lately."""
        if len(self._marks) < 2:
            return 0.0
        (before, done_before), (now, done) = self._marks[0], self._marks[-1]
        return (done - done_before) / (now - before) if now > before else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until history is read, if that can be told."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None
