"""All clusters a monitor watches: a store and a feed for each, and cached judgements."""

from __future__ import annotations

import time
from typing import Any

from ottla.gateway.burrow.config import BurrowConfig
from ottla.gateway.settings import GatewaySettings
from ottla.lag.evaluation import Commit
from ottla.lag.feed import LagFeed, now_ms
from ottla.lag.store import GroupStatus, LagStore, PartitionStatus


class LagMonitor:
    """The clusters of one configuration, fed by threads, read by requests."""

    def __init__(self, settings: GatewaySettings, config: BurrowConfig) -> None:
        self.config = config
        self.feeds: dict[str, LagFeed] = {}
        self._cache: dict[tuple[str, str], tuple[float, GroupStatus]] = {}
        for name in config.clusters:
            servers = ",".join(config.servers_of(name)) or settings.bootstrap_servers
            client = settings.client({"bootstrap.servers": servers, **config.client_settings(name)})
            store = LagStore(config.store_settings(name))
            self.feeds[name] = LagFeed(client, store, config.offset_refresh_s(name))

    def start(self) -> None:
        for feed in self.feeds.values():
            feed.start()

    def stop(self) -> None:
        for feed in self.feeds.values():
            feed.stop()

    @property
    def is_ready(self) -> bool:
        return all(feed.is_ready.is_set() for feed in self.feeds.values())

    def clusters(self) -> list[str]:
        return list(self.feeds)

    def topics(self, cluster: str) -> list[str] | None:
        feed = self.feeds.get(cluster)
        if feed is None:
            return None
        with feed.lock:
            return sorted(feed.store.topics)

    def ends(self, cluster: str, topic: str) -> list[int] | None:
        """Log ends by partition; None when cluster or topic is unknown."""
        feed = self.feeds.get(cluster)
        if feed is None:
            return None
        with feed.lock:
            partitions = feed.store.topics.get(topic)
            if partitions is None:
                return None
            size = max(partitions) + 1
            return [(partitions[p].latest or 0) if p in partitions else 0 for p in range(size)]

    def consumers_of(self, cluster: str, topic: str) -> list[str] | None:
        feed = self.feeds.get(cluster)
        if feed is None:
            return None
        with feed.lock:
            return feed.store.consumers_of(topic)

    def groups(self, cluster: str) -> list[str] | None:
        feed = self.feeds.get(cluster)
        if feed is None:
            return None
        with feed.lock:
            return sorted(feed.store.groups)

    def detail(self, cluster: str, group: str) -> dict[str, list[dict[str, Any]]] | None:
        """Per topic and partition: the ring of commits, owner and current lag."""
        feed = self.feeds.get(cluster)
        if feed is None:
            return None
        with feed.lock:
            entries = feed.store.groups.get(group)
            if entries is None:
                return None
            topics: dict[str, list[dict[str, Any]]] = {}
            for (topic, number), entry in sorted(entries.items()):
                rows = topics.setdefault(topic, [])
                while len(rows) < number:
                    rows.append({"offsets": [], "owner": "", "client_id": "", "current-lag": 0})
                empty = feed.store.settings.intervals - len(entry.commits)
                rows.append(
                    {
                        "offsets": [None] * empty + [commit_view(c) for c in entry.commits],
                        "owner": entry.owner,
                        "client_id": entry.client_id,
                        "current-lag": feed.store.current_lag(topic, number, entry),
                    }
                )
            return topics

    def status(self, cluster: str, group: str) -> GroupStatus | None:
        """The judgement of a group, at most `expire-cache` seconds old."""
        feed = self.feeds.get(cluster)
        if feed is None:
            return None
        cached = self._cache.get((cluster, group))
        if cached is not None and time.monotonic() - cached[0] < self.config.expire_cache_s:
            return cached[1]
        with feed.lock:
            status = feed.store.evaluate(group, now_ms())
        if status is None:
            self._cache.pop((cluster, group), None)
            return None
        self._cache[cluster, group] = (time.monotonic(), status)
        return status

    def remove(self, cluster: str, group: str, topic: str | None) -> None:
        feed = self.feeds.get(cluster)
        if feed is not None:
            with feed.lock:
                feed.store.remove_group(group, topic)
            self._cache.pop((cluster, group), None)


def commit_view(commit: Commit) -> dict[str, Any]:
    return {
        "offset": commit.offset,
        "timestamp": commit.timestamp_ms,
        "observedAt": commit.observed_at_ms,
        "lag": commit.lag,
    }


def partition_view(status: PartitionStatus) -> dict[str, Any]:
    return {
        "topic": status.topic,
        "partition": status.partition,
        "owner": status.owner,
        "client_id": status.client_id,
        "status": status.status.name,
        "start": None if status.start is None else commit_view(status.start),
        "end": None if status.end is None else commit_view(status.end),
        "current_lag": status.current_lag,
        "complete": status.complete,
        "lag_seconds": status.lag_seconds,
    }


def group_view(cluster: str, status: GroupStatus, *, show_all: bool) -> dict[str, Any]:
    """A judgement as the API shows it; only partitions in trouble unless `show_all`."""
    worst = status.max_lag
    return {
        "cluster": cluster,
        "group": status.group,
        "status": status.status.name,
        "complete": status.complete,
        "partitions": [
            partition_view(p) for p in status.partitions if show_all or p.status.name != "OK"
        ],
        "partition_count": len(status.partitions),
        "maxlag": None if worst is None else partition_view(worst),
        "totallag": status.total_lag,
    }
