"""From where to where to read: offsets, times and tails as offsets of partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ottla.cli.errors import CommandError
from ottla.cli.times import parse_moment
from ottla.client.cluster import Cluster
from ottla.client.offsets import (
    EARLIEST,
    LATEST,
    TopicPartition,
    find_offsets,
    partition_leaders,
)


class Ranges(NamedTuple):
    """First offset and the one behind the last, per partition."""

    starts: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]

    @property
    def total(self) -> int:
        """Offsets in all ranges; records are fewer after compaction or transactions."""
        return sum(max(0, self.ends[p] - start) for p, start in self.starts.items())


def partitions_of(
    cluster: Cluster, topics: Sequence[str], only: Sequence[int] = ()
) -> list[TopicPartition]:
    """Partitions of topics, sorted. Errors: `CommandError` for what does not exist."""
    leaders = partition_leaders(cluster, topics)
    for topic in topics:
        if not any(name == topic for name, _ in leaders):
            raise CommandError(f"There is no topic {topic}; `ottla topics` lists them.")
        for number in only:
            if (topic, number) not in leaders:
                raise CommandError(f"Topic {topic} has no partition {number}.")
    return sorted(p for p in leaders if not only or p[1] in only)


def resolve(
    cluster: Cluster,
    partitions: Sequence[TopicPartition],
    *,
    start: str = "earliest",
    end: str | None = None,
    tail: int | None = None,
) -> Ranges:
    """The ranges as they are now.

    `start` and `end` are `earliest`, `latest`, offsets, or times; the end is
    the end of the log where it is not given. A `tail` beats the start.
    Errors: `CommandError`.
    """
    firsts = _offsets(cluster, partitions, EARLIEST)
    lasts = _offsets(cluster, partitions, LATEST)
    if tail is not None:
        starts = {p: max(firsts[p], lasts[p] - tail) for p in partitions}
    else:
        starts = _resolve_one(cluster, partitions, start, firsts, lasts)
    ends = dict(lasts) if end is None else _resolve_one(cluster, partitions, end, firsts, lasts)
    return Ranges(
        {p: max(firsts[p], starts[p]) for p in partitions},
        {p: min(lasts[p], ends[p]) for p in partitions},
    )


def _resolve_one(
    cluster: Cluster,
    partitions: Sequence[TopicPartition],
    text: str,
    firsts: dict[TopicPartition, int],
    lasts: dict[TopicPartition, int],
) -> dict[TopicPartition, int]:
    if text == "earliest":
        return firsts
    if text == "latest":
        return lasts
    if text.isdigit() and len(text) < 12:
        return dict.fromkeys(partitions, int(text))
    found = find_offsets(cluster, dict.fromkeys(partitions, parse_moment(text)))
    return {p: found[p].offset if found[p].offset >= 0 else lasts[p] for p in partitions}


def _offsets(
    cluster: Cluster, partitions: Sequence[TopicPartition], which: int
) -> dict[TopicPartition, int]:
    found = find_offsets(cluster, dict.fromkeys(partitions, which))
    for (topic, number), one in found.items():
        if one.error_code:
            raise CommandError(f"Partition {topic}-{number} has no leader now; try again.")
    return {partition: found[partition].offset for partition in partitions}
