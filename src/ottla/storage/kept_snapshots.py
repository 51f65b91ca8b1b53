"""Which snapshots of the producers a log has on the disk, or is about to have."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Container, Iterable
from typing import Final

from ottla.seams.filesystem import FileSystem
from ottla.storage.segment import SNAPSHOT, file_stem

#: How many are kept at and below the recovery point: the newest may turn out to be damaged.
_KEPT: Final = 2


class KeptSnapshots:
    """Offsets in order; each is the end of what its snapshot covers."""

    __slots__ = ("_directory", "_offsets")

    def __init__(self, directory: str, offsets: Iterable[int]) -> None:
        self._directory = directory
        self._offsets = sorted(offsets)

    def path(self, offset: int) -> str:
        return file_stem(self._directory, offset) + SNAPSHOT

    def add(self, offset: int) -> str:
        """There will be one for `offset`; returns its path."""
        if offset not in self._offsets:
            insort(self._offsets, offset)
        return self.path(offset)

    def forget(self, paths: Container[str]) -> None:
        """These were not written."""
        self._offsets = [offset for offset in self._offsets if self.path(offset) not in paths]

    def remove_old(self, filesystem: FileSystem, recovery_point: int) -> None:
        """No start will need those far below `recovery_point`: they are gone."""
        below = bisect_right(self._offsets, recovery_point)
        for offset in self._offsets[: max(0, below - _KEPT)]:
            self._offsets.remove(offset)
            try:
                filesystem.remove(self.path(offset))
            except OSError:
                pass  # It only takes room; the next start sees it again.
