"""Where each leader epoch starts (`leader-epoch-checkpoint`; KIP-101, KIP-320).

Shape: text, a line each: version (0), number of entries, then "epoch
start_offset" per entry, both ascending.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Final

FILE_NAME: Final = "leader-epoch-checkpoint"
UNKNOWN: Final = -1


class LeaderEpochs:
    """The leader epochs of one log and their start offsets."""

    __slots__ = ("_epochs", "_starts")

    def __init__(self, entries: list[tuple[int, int]] | None = None) -> None:
        self._epochs = [epoch for epoch, _ in entries or []]
        self._starts = [start for _, start in entries or []]

    @property
    def entries(self) -> list[tuple[int, int]]:
        return list(zip(self._epochs, self._starts, strict=True))

    @property
    def latest(self) -> int:
        return self._epochs[-1] if self._epochs else UNKNOWN

    def assign(self, epoch: int, start_offset: int) -> bool:
        """`epoch` is the leader's from `start_offset` on. Whether anything is new."""
        if epoch < 0 or epoch <= self.latest:
            return False
        while self._starts and self._starts[-1] >= start_offset:
            # An epoch without records leaves no trace.
            self._starts.pop()
            self._epochs.pop()
        self._epochs.append(epoch)
        self._starts.append(start_offset)
        return True

    def epoch_at(self, offset: int) -> int:
        """The epoch whose leader wrote `offset`; -1 when unknown."""
        at = bisect_right(self._starts, offset)
        return self._epochs[at - 1] if at else UNKNOWN

    def end_offset(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest epoch not above `epoch` and the offset where it ends; (-1, -1) when
        `epoch` is above all known ones."""
        if epoch == UNKNOWN or epoch > self.latest:
            return UNKNOWN, UNKNOWN
        if epoch == self.latest:
            return epoch, log_end_offset
        following = bisect_right(self._epochs, epoch)
        floor = self._epochs[following - 1] if following else epoch
        return floor, self._starts[following]

    def cut_end(self, end_offset: int) -> bool:
        """Forget epochs that start at or behind `end_offset`. Whether any did."""
        keep = len(self._starts)
        while keep and self._starts[keep - 1] >= end_offset:
            keep -= 1
        is_changed = keep < len(self._starts)
        del self._starts[keep:]
        del self._epochs[keep:]
        return is_changed

    def cut_start(self, start_offset: int) -> bool:
        """Forget epochs that end before `start_offset`. Whether any did."""
        at = bisect_right(self._starts, start_offset)
        if not at or (at == 1 and self._starts[0] == start_offset):
            return False
        self._starts[:at] = [start_offset]
        self._epochs[:at] = [self._epochs[at - 1]]
        return True

    def encode(self) -> bytes:
        lines = ["0", str(len(self._epochs))]
        lines += [f"{epoch} {start}" for epoch, start in self.entries]
        return ("\n".join(lines) + "\n").encode()


def decode(data: bytes) -> LeaderEpochs:
    """The epochs a file holds. Raises `ValueError` when it is not such a file."""
    lines = data.decode("ascii").splitlines()
    if len(lines) < 2 or lines[0] != "0" or int(lines[1]) != len(lines) - 2:
        raise ValueError("not a leader epoch checkpoint")
    entries = []
    for line in lines[2:]:
        epoch, start = line.split()
        entries.append((int(epoch), int(start)))
    if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(entries)):
        raise ValueError("leader epochs do not ascend")
    return LeaderEpochs(entries)
