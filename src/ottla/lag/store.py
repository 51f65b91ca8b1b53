"""What is known of topics' ends and groups' commits, in bounded memory.

Per partition of a group a ring of the last `intervals` commits, per partition
of a topic a ring of as many log ends, and a longer, thinner history of ends
from which lag in seconds is read. Groups that have not committed for
`expire_group_ms` are forgotten.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from ottla.lag.evaluation import Commit, Status, evaluate

#: Ends kept for lag in seconds: an hour at Burrow's ten-second refresh.
END_HISTORY = 360


@dataclass(slots=True)
class StoreSettings:
    """Burrow's storage and evaluator settings under their own names."""

    intervals: int = 10
    min_distance_ms: int = 0
    expire_group_ms: int = 604_800_000
    allowed_lag: int = 0
    minimum_complete: float = 0.0
    group_allowlist: str = ""
    group_denylist: str = ""
    allowed_lag_by_group: dict[str, int] = field(default_factory=dict)


class TopicPartitionEnds:
    """Log ends of one partition: the rule's window, and a history with times."""

    __slots__ = ("history", "window")

    def __init__(self, intervals: int) -> None:
        self.window: deque[int] = deque(maxlen=intervals)
        self.history: deque[tuple[int, int]] = deque(maxlen=END_HISTORY)

    @property
    def latest(self) -> int | None:
        return self.window[-1] if self.window else None

    def add(self, end: int, now_ms: int) -> None:
        self.window.append(end)
        history = self.history
        if history and end < history[-1][1]:
            history.clear()  # the topic was deleted and made again
        if len(history) >= 2 and history[-1][1] == history[-2][1] == end:
            history.pop()  # of a time without records the beginning and the end say enough
        history.append((now_ms, end))

    def time_of(self, offset: int) -> int | None:
        """When the record at `offset` was written, by interpolation; None: before our history."""
        index = bisect_right(self.history, offset, key=itemgetter(1))
        if index in (0, len(self.history)):
            return None
        moment, end = self.history[index]
        before, low = self.history[index - 1]
        return before + (moment - before) * (offset - low) // (end - low)


class PartitionView(NamedTuple):
    """A partition's leader and replicas, as the cluster's metadata shows them."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    start: int


class GroupPartition:
    """The recent commits of one group on one partition."""

    __slots__ = ("client_id", "commits", "owner")

    def __init__(self, intervals: int) -> None:
        self.commits: deque[Commit] = deque(maxlen=intervals)
        self.owner = ""
        self.client_id = ""


@dataclass(slots=True)
class PartitionStatus:
    """One partition of a group, judged."""

    topic: str
    partition: int
    owner: str
    client_id: str
    status: Status
    start: Commit | None
    end: Commit | None
    current_lag: int
    complete: float
    lag_seconds: float | None


@dataclass(slots=True)
class GroupStatus:
    """A group, judged: the worst of its partitions, ERR at the most."""

    group: str
    status: Status
    complete: float
    partitions: list[PartitionStatus]
    total_lag: int

    @property
    def max_lag(self) -> PartitionStatus | None:
        return max(self.partitions, key=lambda p: p.current_lag, default=None)


class LagStore:
    """The state of one cluster."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self.topics: dict[str, dict[int, TopicPartitionEnds]] = {}
        self.groups: dict[str, dict[tuple[str, int], GroupPartition]] = {}
        self.views: dict[tuple[str, int], PartitionView] = {}
        self.brokers: dict[int, str] = {}
        self.members: dict[str, int] = {}
        self._allow = re.compile(settings.group_allowlist) if settings.group_allowlist else None
        self._deny = re.compile(settings.group_denylist) if settings.group_denylist else None

    def accepts(self, group: str) -> bool:
        if self._allow is not None and not self._allow.search(group):
            return False
        return self._deny is None or not self._deny.search(group)

    def set_end(self, topic: str, partition: int, end: int, now_ms: int) -> None:
        partitions = self.topics.setdefault(topic, {})
        ends = partitions.get(partition)
        if ends is None:
            ends = partitions[partition] = TopicPartitionEnds(self.settings.intervals)
        ends.add(end, now_ms)

    def keep_topics(self, names: set[str]) -> None:
        """Forget topics that are gone, and groups' commits on them."""
        for gone in [t for t in self.topics if t not in names]:
            del self.topics[gone]
            for partitions in self.groups.values():
                for where in [w for w in partitions if w[0] == gone]:
                    del partitions[where]

    def end_of(self, topic: str, partition: int) -> int | None:
        ends = self.topics.get(topic, {}).get(partition)
        return None if ends is None else ends.latest

    def add_commit(
        self,
        group: str,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        now_ms: int,
    ) -> None:
        if not self.accepts(group):
            return
        if now_ms - timestamp_ms > self.settings.expire_group_ms:
            return
        partitions = self.groups.setdefault(group, {})
        entry = partitions.get((topic, partition))
        if entry is None:
            entry = partitions[topic, partition] = GroupPartition(self.settings.intervals)
        end = self.end_of(topic, partition)
        commit = Commit(offset, timestamp_ms, now_ms, None if end is None else max(0, end - offset))
        commits = entry.commits
        if commits and timestamp_ms - commits[-1].timestamp_ms < self.settings.min_distance_ms:
            # Faster than the minimum distance: the newest slot follows the consumer.
            commit.timestamp_ms = commits[-1].timestamp_ms
            commits[-1] = commit
        else:
            commits.append(commit)

    def set_position(
        self, group: str, topic: str, partition: int, offset: int, now_ms: int
    ) -> None:
        """Where a group that does not commit stands: a commit when it has moved."""
        entry = self.groups.get(group, {}).get((topic, partition))
        if entry is None or not entry.commits or entry.commits[-1].offset != offset:
            self.add_commit(group, topic, partition, offset, now_ms, now_ms)

    def remove_commit(self, group: str, topic: str, partition: int) -> None:
        """An offset was deleted or has expired."""
        partitions = self.groups.get(group)
        if partitions is not None:
            partitions.pop((topic, partition), None)
            if not partitions:
                del self.groups[group]

    def remove_group(self, group: str, topic: str | None = None) -> None:
        if topic is None:
            self.groups.pop(group, None)
            return
        partitions = self.groups.get(group, {})
        for where in [w for w in partitions if w[0] == topic]:
            del partitions[where]

    def expire(self, now_ms: int) -> None:
        oldest = now_ms - self.settings.expire_group_ms
        for group, partitions in list(self.groups.items()):
            newest = max((p.commits[-1].timestamp_ms for p in partitions.values()), default=0)
            if newest < oldest:
                del self.groups[group]

    def set_owner(self, group: str, topic: str, partition: int, owner: str, client: str) -> None:
        entry = self.groups.get(group, {}).get((topic, partition))
        if entry is not None:
            entry.owner, entry.client_id = owner, client

    def consumers_of(self, topic: str) -> list[str]:
        return sorted(g for g, ps in self.groups.items() if any(t == topic for t, _ in ps))

    def current_lag(self, topic: str, partition: int, entry: GroupPartition) -> int:
        end = self.end_of(topic, partition)
        if end is None or not entry.commits:
            return 0
        return max(0, end - entry.commits[-1].offset)

    def lag_seconds(
        self, topic: str, partition: int, entry: GroupPartition, now_ms: int
    ) -> float | None:
        """How long ago the next record to be consumed was written."""
        ends = self.topics.get(topic, {}).get(partition)
        if ends is None or not entry.commits:
            return None
        if self.current_lag(topic, partition, entry) == 0:
            return 0.0
        moment = ends.time_of(entry.commits[-1].offset)
        return None if moment is None else max(0, now_ms - moment) / 1000

    def evaluate(self, group: str, now_ms: int) -> GroupStatus | None:
        """Judge a group; None when it is unknown."""
        entries = self.groups.get(group)
        if entries is None:
            return None
        judged = [
            self._evaluate_partition(group, topic, number, entry, now_ms)
            for (topic, number), entry in sorted(entries.items())
        ]
        worst = max((p.status for p in judged), default=Status.OK)
        complete = sum(1 for p in judged if p.complete == 1.0)
        return GroupStatus(
            group=group,
            status=min(worst, Status.ERR),
            complete=complete / len(judged) if judged else 0.0,
            partitions=judged,
            total_lag=sum(p.current_lag for p in judged),
        )

    def _evaluate_partition(
        self, group: str, topic: str, number: int, entry: GroupPartition, now_ms: int
    ) -> PartitionStatus:
        settings = self.settings
        commits = list(entry.commits)
        complete = len(commits) / settings.intervals
        lag = self.current_lag(topic, number, entry)
        status = Status.OK
        if commits and complete >= settings.minimum_complete:
            ends = self.topics.get(topic, {}).get(number)
            allowed = settings.allowed_lag_by_group.get(group, settings.allowed_lag)
            status = evaluate(commits, ends.window if ends else (), lag, now_ms, allowed)
        return PartitionStatus(
            topic=topic,
            partition=number,
            owner=entry.owner,
            client_id=entry.client_id,
            status=status,
            start=commits[0] if commits else None,
            end=commits[-1] if commits else None,
            current_lag=lag,
            complete=complete,
            lag_seconds=self.lag_seconds(topic, number, entry, now_ms),
        )
