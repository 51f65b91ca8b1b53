"""Burrow's rules: what a partition's recent commits say about its consumer.

Pure functions over a window of commits. A consumer is judged by how it moves,
not by a threshold: standing still with lag is worse than a large lag that
shrinks. The order of the rules matters and is Burrow's.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass


class Status(enum.IntEnum):
    """Burrow's states, from good to bad; groups use only the first four."""

    NOTFOUND = 0
    OK = 1
    WARN = 2
    ERR = 3
    STOP = 4
    STALL = 5
    REWIND = 6


@dataclass(slots=True)
class Commit:
    """One committed offset; times in milliseconds, `lag` as seen at the commit."""

    offset: int
    timestamp_ms: int
    observed_at_ms: int
    lag: int | None


def evaluate(
    commits: Sequence[Commit],
    broker_offsets: Sequence[int],
    current_lag: int,
    now_ms: int,
    allowed_lag: int = 0,
) -> Status:
    """Judge one partition by its window of commits, oldest first and not empty."""
    if current_lag <= allowed_lag:
        return Status.OK
    if has_stopped(commits, now_ms) and not had_no_lag_recently(commits, broker_offsets):
        return Status.STOP
    rewind = first_rewind(commits)
    if rewind is not None and not has_recovered(commits, rewind):
        return Status.REWIND
    if any(c.lag is not None and c.lag <= allowed_lag for c in commits):
        return Status.OK
    if all(c.offset == commits[0].offset for c in commits):
        return Status.STALL
    if lag_never_decreased(commits):
        return Status.WARN
    return Status.OK


def has_stopped(commits: Sequence[Commit], now_ms: int) -> bool:
    """Whether the silence since the last commit is longer than the whole window."""
    first, last = commits[0].timestamp_ms, commits[-1].timestamp_ms
    return now_ms - last > last - first


def had_no_lag_recently(commits: Sequence[Commit], broker_offsets: Sequence[int]) -> bool:
    """Whether one of the recent log ends was not beyond the last commit."""
    return any(end <= commits[-1].offset for end in broker_offsets)


def first_rewind(commits: Sequence[Commit]) -> int | None:
    """Index of the first commit below its predecessor."""
    for index in range(1, len(commits)):
        if commits[index].offset < commits[index - 1].offset:
            return index
    return None


def has_recovered(commits: Sequence[Commit], rewind: int) -> bool:
    """Whether a later commit reached the offset from before the rewind again."""
    before = commits[rewind - 1].offset
    return any(c.offset >= before for c in commits[rewind:])


def lag_never_decreased(commits: Sequence[Commit]) -> bool:
    lags = [c.lag for c in commits if c.lag is not None]
    return all(later >= earlier for earlier, later in itertools.pairwise(lags))
