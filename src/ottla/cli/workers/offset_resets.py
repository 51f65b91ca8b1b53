"""Where a group is to go on reading: the scenarios of `--reset-offsets`.

A scenario says which offset each partition gets; offsets outside a
partition's log are moved to its nearer end, with a warning.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ottla.cli.errors import CommandError
from ottla.cli.times import parse_datetime, parse_duration
from ottla.client.cluster import Cluster
from ottla.client.offsets import (
    EARLIEST,
    LATEST,
    TopicPartition,
    find_offsets,
    partition_leaders,
)

#: group → partition → offset.
ResetPlan = dict[str, dict[TopicPartition, int]]


def partitions_named(cluster: Cluster, arguments: Iterable[str]) -> list[TopicPartition]:
    """Partitions of `topic` or `topic:0,1` arguments, those with numbers first.

    Errors: `CommandError` for an argument of another shape, or an unknown topic.
    """
    explicit: list[TopicPartition] = []
    whole: list[str] = []
    for argument in arguments:
        if ":" not in argument:
            whole.append(argument)
            continue
        topic, _, numbers = argument.partition(":")
        if not topic or not numbers or ":" in numbers:
            raise CommandError(
                f"Invalid topic arg '{argument}', expected topic name and partitions"
            )
        for number in numbers.split(","):
            if not number.isdigit():
                raise CommandError(
                    f"Invalid partition '{number}' specified in topic arg '{argument}''"
                )
            explicit.append((topic, int(number)))
    if whole:
        from ottla.cli.workers.topics import describe_by_metadata

        for topic_ in describe_by_metadata(cluster, whole).values():
            explicit.extend((topic_.name, partition.number) for partition in topic_.partitions)
    return explicit


def check_partitions(cluster: Cluster, partitions: Collection[TopicPartition]) -> None:
    """Raise `CommandError` unless each partition exists and has a leader."""
    leaders = partition_leaders(cluster, (topic for topic, _ in partitions))
    missing = [
        f"{topic}-{number}" for topic, number in partitions if (topic, number) not in leaders
    ]
    if missing:
        raise CommandError(f'The partitions "{",".join(missing)}" do not exist')
    headless = [f"{t}-{n}" for t, n in partitions if leaders[t, n] < 0]
    if headless:
        raise CommandError(f'The partitions "{",".join(headless)}" have no leader')


class OffsetResetter:
    """The scenarios, for partitions of one cluster; each returns partition → offset."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def to_offset(
        self, partitions: Collection[TopicPartition], offset: int
    ) -> dict[TopicPartition, int]:
        return self.within_log(dict.fromkeys(partitions, offset))

    def to_earliest(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return self._ends(partitions, EARLIEST)

    def to_latest(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return self._ends(partitions, LATEST)

    def to_current(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """What is committed already; the end of the log where nothing is."""
        current = {p: committed[p] for p in partitions if p in committed}
        rest = [p for p in partitions if p not in committed]
        return current | self._ends(rest, LATEST)

    def shifted(
        self,
        partitions: Collection[TopicPartition],
        committed: Mapping[TopicPartition, int],
        by: int,
    ) -> dict[TopicPartition, int]:
        """What is committed, plus `by`. Errors: `CommandError` where nothing is."""
        for topic, number in partitions:
            if (topic, number) not in committed:
                raise CommandError(
                    f"Cannot shift offset for partition {topic}-{number} since there is no "
                    "current committed offset"
                )
        return self.within_log({p: committed[p] + by for p in partitions})

    def to_datetime(
        self, partitions: Collection[TopicPartition], text: str
    ) -> dict[TopicPartition, int]:
        return self._at_time(partitions, parse_datetime(text))

    def by_duration(
        self, partitions: Collection[TopicPartition], text: str
    ) -> dict[TopicPartition, int]:
        return self._at_time(partitions, int(time.time() * 1000) - parse_duration(text))

    def _at_time(
        self, partitions: Collection[TopicPartition], timestamp_ms: int
    ) -> dict[TopicPartition, int]:
        """The first record at or after a time; the end of the log where there is none."""
        found = find_offsets(self.cluster, dict.fromkeys(partitions, timestamp_ms))
        offsets = {p: found[p].offset for p in partitions if found[p].offset >= 0}
        beyond = [p for p in partitions if p not in offsets]
        for topic, number in beyond:
            print(
                f"\nWarn: Partition {number} from topic {topic} is empty. "
                "Falling back to latest known offset."
            )
        return offsets | self._ends(beyond, LATEST)

    def _ends(
        self, partitions: Collection[TopicPartition], which: int
    ) -> dict[TopicPartition, int]:
        found = find_offsets(self.cluster, dict.fromkeys(partitions, which))
        for (topic, number), end in found.items():
            if end.error_code:
                which_name = "starting" if which == EARLIEST else "ending"
                raise CommandError(
                    f"Error getting {which_name} offset of topic partition: {topic}-{number}"
                )
        return {partition: found[partition].offset for partition in partitions}

    def within_log(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The same offsets, those outside their log moved to its nearer end."""
        starts, ends = self.to_earliest(offsets), self.to_latest(offsets)
        moved = {}
        for partition, offset in offsets.items():
            inside = min(max(offset, starts[partition]), ends[partition])
            if inside != offset:
                side = "higher than latest" if offset > inside else "lower than earliest"
                print(
                    f"WARN New offset ({offset}) is {side} offset for topic partition "
                    f"{partition[0]}-{partition[1]}. Value will be set to {inside}.",
                    file=sys.stderr,
                )
            moved[partition] = inside
        return moved


def read_plan(path: str, groups: Sequence[str]) -> ResetPlan:
    """A CSV file of `group,topic,partition,offset`, or without group for a single one.

    Errors: `CommandError` that names the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
    plan: ResetPlan = {}
    for number, row in enumerate(csv.reader(lines), 1):
        if len(row) == 3 and len(groups) == 1:
            row = [groups[0], *row]
        try:
            group, topic, partition, offset = row
            plan.setdefault(group, {})[topic, int(partition)] = int(offset)
        except ValueError:
            raise CommandError(
                f"Line {number} of {path} is not group,topic,partition,offset: {','.join(row)}"
            ) from None
    return plan


def plan_as_csv(plan: ResetPlan, *, with_group: bool) -> str:
    """What `read_plan` reads; ends with a line end unless empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for group, offsets in plan.items():
        for (topic, number), offset in offsets.items():
            writer.writerow([*([group] if with_group else []), topic, number, offset])
    return out.getvalue()
