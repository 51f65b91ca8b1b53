"""What the console knows of one Kafka cluster, and how it asks.

A `LagFeed` follows ends and commits in threads of its own, a sampler turns
the ends into rates; pages read from both and never wait for Kafka to list
thousands of groups. Blocking calls are for `asyncio.to_thread`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    ConfigSource,
    ResourceType,
    TopicDescription,
)

from ottla.console.lag_history import LagHistory
from ottla.lag.evaluation import Status
from ottla.lag.feed import LagFeed, now_ms, quiet_logger
from ottla.lag.store import GroupStatus, LagStore, StoreSettings

SAMPLE_S = 2.0
#: A sample takes at most this share of the time: a large cluster is sampled less often.
SAMPLE_SHARE = 0.2
#: The cluster itself is described once in so many samples.
DESCRIBE_SAMPLES = 5
#: Ten minutes of samples for the charts.
SAMPLES = 300
#: What the client library says when nobody answered it.
SILENCE = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
    }
)


class ClusterError(Exception):
    """Kafka did not do what a page asked for; one sentence for a person."""


@dataclass(slots=True)
class TopicRow:
    """A topic as the list shows it."""

    name: str
    partitions: int
    replication_factor: int
    records: int
    rate: float | None
    in_sync: bool
    is_internal: bool


@dataclass(slots=True)
class Rates:
    """Records per second over time, in all and by topic."""

    times_ms: deque[int] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    total: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    #: By how much all groups' committed offsets advanced.
    read: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    by_topic: dict[str, float] = field(default_factory=dict)


class ClusterView:
    """One cluster; created when a person adds it, closed with the console."""

    def __init__(self, name: str, client_config: dict[str, Any]) -> None:
        self.name = name
        self.client_config = {"log_level": 0, **client_config}
        self.bootstrap_servers = str(client_config["bootstrap.servers"])
        self.store = LagStore(StoreSettings())
        self.feed = LagFeed(self.client_config, self.store, SAMPLE_S)
        self.rates = Rates()
        self.cluster_id: str | None = None
        self.controller: int | None = None
        self._described_problem = ""
        self._admin: AdminClient | None = None
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="console-rates", daemon=True)
        self._last: tuple[int, dict[str, int]] | None = None
        self._last_commits: dict[tuple[str, str, int], int] = {}
        self.lags = LagHistory()
        self._judged: dict[str, GroupStatus] = {}
        self._readers: dict[str, list[str]] = {}
        self._rows: list[TopicRow] = []

    def start(self) -> None:
        self.feed.start()
        self._sampler.start()

    def close(self) -> None:
        self._stop.set()
        self.feed.stop()

    @property
    def admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self.client_config, logger=quiet_logger)
        return self._admin

    # --- sampling

    def _sample(self) -> None:
        """Keep what the pages show up to date: they only read it."""
        count = 0
        while not self._stop.is_set():
            began = time.monotonic()
            if count % DESCRIBE_SAMPLES == 0 or self._described_problem:
                try:
                    self._describe_cluster()
                    self._described_problem = ""
                except (KafkaException, TimeoutError) as error:
                    self._described_problem = reason_of(error)
            self._look()
            count += 1
            self._stop.wait(max(SAMPLE_S, (time.monotonic() - began) / SAMPLE_SHARE))

    def _look(self) -> None:
        """Judge all groups, list all topics; what a page asks for afterwards costs nothing."""
        self._add_rates()
        moment = now_ms()
        judged: dict[str, GroupStatus] = {}
        with self.feed.lock:
            groups = sorted(self.store.groups)
        for group in groups:
            with self.feed.lock:
                status = self.store.evaluate(group, moment)
            if status is not None:
                judged[group] = status
        readers: dict[str, list[str]] = {}
        for group, status in judged.items():
            for topic in {p.topic for p in status.partitions}:
                readers.setdefault(topic, []).append(group)
        self.lags.add(judged.values(), moment)
        self._judged, self._readers = judged, readers
        self._rows = self._topic_rows()

    def _describe_cluster(self) -> None:
        described = self.admin.describe_cluster(request_timeout=5).result(6)
        self.cluster_id = described.cluster_id
        self.controller = described.controller.id if described.controller else None

    def _add_rates(self) -> None:
        with self.feed.lock:
            moments = [
                ends.history[-1][0] for ps in self.store.topics.values() for ends in ps.values()
            ]
            if not moments:
                return
            moment = max(moments)
            ends = {
                topic: sum(e.latest or 0 for e in ps.values())
                for topic, ps in self.store.topics.items()
            }
            commits = {
                (group, *place): entry.commits[-1].offset
                for group, places in self.store.groups.items()
                for place, entry in places.items()
                if entry.commits
            }
        before = self._last
        if before is not None and before[0] == moment:
            return
        commits_before = self._last_commits
        self._last, self._last_commits = (moment, ends), commits
        if before is None:
            return
        seconds = (moment - before[0]) / 1000
        rates = {
            topic: max(0, end - before[1][topic]) / seconds
            for topic, end in ends.items()
            if topic in before[1]
        }
        self.rates.by_topic = rates
        self.rates.times_ms.append(moment)
        self.rates.total.append(sum(rates.values()))
        advanced = sum(
            max(0, offset - commits_before[place])
            for place, offset in commits.items()
            if place in commits_before
        )
        self.rates.read.append(advanced / seconds)

    # --- reading what is known

    @property
    def problem(self) -> str:
        """Why Kafka cannot be asked, and what to do about it; empty while it can."""
        reason = self.feed.problem or self._described_problem
        return reason and (
            f"Kafka at {self.bootstrap_servers} does not answer: {reason.rstrip('.')}. Is a broker"
            " running there, and is that its address? This page goes on by itself once it answers."
        )

    def brokers(self) -> dict[int, str]:
        with self.feed.lock:
            return dict(self.store.brokers)

    def topic_rows(self) -> list[TopicRow]:
        """All topics, sorted by name, as of the last sample."""
        return self._rows or self._topic_rows()

    def _topic_rows(self) -> list[TopicRow]:
        with self.feed.lock:
            views = dict(self.store.views)
            ends = {
                (t, p): e.latest or 0 for t, ps in self.store.topics.items() for p, e in ps.items()
            }
        rows: dict[str, TopicRow] = {}
        for (topic, number), view in sorted(views.items()):
            row = rows.get(topic)
            if row is None:
                row = rows[topic] = TopicRow(
                    topic,
                    0,
                    len(view.replicas),
                    0,
                    self.rates.by_topic.get(topic),
                    True,
                    topic.startswith("__"),
                )
            row.partitions += 1
            row.records += max(0, ends.get((topic, number), 0) - view.start)
            row.in_sync = row.in_sync and len(view.in_sync) == len(view.replicas)
        return list(rows.values())

    def partitions(self, topic: str) -> list[dict[str, Any]]:
        """Partitions of a topic with leader, replicas and offsets."""
        with self.feed.lock:
            numbers = sorted(self.store.topics.get(topic, ()))
            found = [(n, self.store.views.get((topic, n))) for n in numbers]
            return [
                {
                    "partition": number,
                    "leader": view.leader,
                    "replicas": ", ".join(map(str, view.replicas)),
                    "in_sync": ", ".join(map(str, view.in_sync)),
                    "start": view.start,
                    "end": self.store.end_of(topic, number) or 0,
                }
                for number, view in found
                if view is not None
            ]

    def judged_groups(self) -> list[GroupStatus]:
        """All groups that have committed, as judged with the last sample."""
        return list(self._judged.values())

    def judged_group(self, group: str) -> GroupStatus | None:
        """One group, judged now."""
        with self.feed.lock:
            return self.store.evaluate(group, now_ms())

    def consumers_of(self, topic: str) -> list[str]:
        """Groups that have committed offsets of a topic, as of the last sample."""
        return self._readers.get(topic, [])

    def judged_consumers(self, topic: str) -> list[GroupStatus]:
        """The same groups, as judged with that sample."""
        judged = self._judged
        return [judged[group] for group in self._readers.get(topic, ()) if group in judged]

    def commits_of(self, topic: str, partition: int) -> dict[str, int]:
        """The offset that each group has committed on a partition."""
        found = {}
        with self.feed.lock:
            for group in self._readers.get(topic, ()):
                entry = self.store.groups.get(group, {}).get((topic, partition))
                if entry is not None and entry.commits:
                    found[group] = entry.commits[-1].offset
        return found

    def lags_of(self, group: str) -> dict[tuple[str, int], int]:
        """Lag of each partition that a group has committed on, now."""
        with self.feed.lock:
            entries = self.store.groups.get(group, {})
            return {
                (topic, number): self.store.current_lag(topic, number, entry)
                for (topic, number), entry in entries.items()
            }

    def problems(self) -> list[str]:
        """What is wrong now, worst first, a sentence each."""
        found: list[str] = []
        if self.problem:
            found.append(self.problem)
        with self.feed.lock:
            views = dict(self.store.views)
        offline = [f"{t}-{p}" for (t, p), v in views.items() if v.leader < 0]
        behind = [f"{t}-{p}" for (t, p), v in views.items() if len(v.in_sync) < len(v.replicas)]
        if offline:
            found.append(f"{len(offline)} partitions have no leader: {_some(offline)}")
        if behind:
            found.append(f"{len(behind)} partitions have replicas out of sync: {_some(behind)}")
        if self.controller is None and self.cluster_id is not None:
            found.append("The cluster has no controller now: topics cannot be changed")
        bad = [s for s in self.judged_groups() if s.status > Status.OK]
        found += [
            f"Group {s.group} is {s.status.name}: {s.total_lag:,} records behind"
            + self._growth_of(s.group)
            for s in sorted(bad, key=lambda s: (-int(s.status), -s.total_lag))[:10]
        ]
        return found

    def _growth_of(self, group: str) -> str:
        growth = self.lags.growth(group)
        return f", {growth:,.0f} more every second" if growth and growth >= 1 else ""

    # --- asking Kafka

    def topic_configs(self, topic: str) -> list[dict[str, Any]]:
        """Configuration of a topic, its own keys first. Errors: `ClusterError`."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            entries = self.admin.describe_configs([resource])[resource].result(10)
        except (KafkaException, TimeoutError) as error:
            raise ClusterError(reason_of(error)) from None
        rows = [
            {
                "key": key,
                "value": "(hidden)" if entry.is_sensitive else entry.value,
                "is_default": entry.is_default,
                "is_own": entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value,
            }
            for key, entry in entries.items()
        ]
        return sorted(rows, key=lambda r: (not r["is_own"], r["is_default"], r["key"]))

    def topic_exists(self, topic: str) -> bool:
        """Asked of Kafka itself, for a topic younger than the last sample.

        Errors: `ClusterError` when Kafka does not say.
        """
        if self.problem:
            raise ClusterError(self.problem)
        try:
            self._describe_topic(topic, 10)
        except (KafkaException, TimeoutError, ValueError) as error:
            if is_silence(error):
                raise ClusterError(reason_of(error)) from None
            return False
        return True

    def partition_numbers(self, topic: str, *, timeout_s: float = 20) -> list[int]:
        """Asked of Kafka itself: what acts on all partitions must not act on those of the last
        sample only. Errors: `ClusterError`."""
        try:
            found = self._describe_topic(topic, timeout_s)
        except (KafkaException, TimeoutError, ValueError) as error:
            raise ClusterError(reason_of(error)) from None
        return sorted(p.id for p in found.partitions)

    def _describe_topic(self, topic: str, timeout_s: float) -> TopicDescription:
        asked = self.admin.describe_topics(TopicCollection([topic]))[topic]
        found: TopicDescription = asked.result(timeout_s)
        return found

    def wait_until_known(self, timeout_s: float) -> None:
        """Return once ends have been read, or after the time-out."""
        deadline = time.monotonic() + timeout_s
        while not self.store.views and time.monotonic() < deadline and not self.problem:
            time.sleep(0.02)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def is_silence(error: Exception) -> bool:
    """Whether nobody answered, which says nothing about what was asked."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return error.args[0].code() in SILENCE
    return isinstance(error, TimeoutError)


def reason_of(error: Exception) -> str:
    """One sentence of what the client library reported."""
    if is_silence(error):
        return "Kafka does not answer. Is its broker running, and can this machine reach it?"
    if isinstance(error, KafkaException) and error.args:
        first = error.args[0]
        text = first.str() if hasattr(first, "str") else str(first)
        return str(text).strip() or str(first)
    return str(error) or "no answer in time"
