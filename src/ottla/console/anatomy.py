"""One partition's log as it is now, and what has happened to it while somebody looked.

Offsets come over the protocol. Segments and their indexes do not: they are
read from the broker's data directory when it is on this machine; where it is
not, `why_no_segments` says so.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from ottla.client.cluster import Cluster
from ottla.client.errors import check
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.watch import Watch
from ottla.inspect import data_files
from ottla.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)

POLL_S = 1.0
CONFIG_S = 10.0
#: Index entries drawn of one segment.
MAX_TICKS = 300
#: Index files above this are not read: drawing has to stay cheap.
MAX_INDEX_BYTES = 16 << 20
MAX_KEPT_INDEXES = 1000
EARLIEST, LATEST = -2, -1
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
CONFIG_KEYS = (
    "cleanup.policy", "segment.bytes", "segment.ms", "retention.ms", "retention.bytes",
    "min.cleanable.dirty.ratio", "delete.retention.ms", "index.interval.bytes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment's files; `end_offset` is exclusive, times in ms or -1, sizes in bytes."""

    base_offset: int
    end_offset: int
    log_bytes: int
    index_bytes: int
    time_index_bytes: int
    ticks: tuple[int, ...]
    newest_ms: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class LogPicture:
    """What is known of a partition's log at one moment."""

    log_start: int
    high_watermark: int
    last_stable: int
    leader: int
    size_bytes: int | None
    directory: str
    segments: tuple[SegmentView, ...]
    why_no_segments: str
    commits: dict[str, int] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)


class LogWatch(Watch):
    """Looks at one partition every second; `picture` is the last look."""

    def __init__(self, cluster: ClusterView, topic: str, partition: int) -> None:
        super().__init__(cluster, "console-log", POLL_S)
        self.topic = topic
        self.partition = partition
        self.picture: LogPicture | None = None
        self._config: dict[str, str] = {}
        self._config_at = 0.0
        self._indexes: dict[str, tuple[tuple[int, int], int, tuple[int, ...]]] = {}

    def look(self, client: Cluster) -> None:
        start = self._offset(client, EARLIEST, READ_UNCOMMITTED)
        end = self._offset(client, LATEST, READ_UNCOMMITTED)
        stable = self._offset(client, LATEST, READ_COMMITTED)
        leader = client.partition(self.topic, self.partition).leader_id
        directory, size = self._place(client, leader)
        segments, why = self._segments(directory, end)
        picture = LogPicture(
            start,
            end,
            stable,
            leader,
            size,
            directory,
            segments,
            why,
            self.cluster.commits_of(self.topic, self.partition),
            self._configuration(),
        )
        moment = int(time.time() * 1000)
        if self.picture is not None:
            for sentence in changes(self.picture, picture):
                self.events.appendleft((moment, sentence))
        self.picture = picture

    def _offset(self, client: Cluster, timestamp: int, isolation: int) -> int:
        wanted = ListOffsetsPartition(self.partition, timestamp=timestamp)
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=isolation,
            topics=[ListOffsetsTopic(self.topic, [wanted])],
        )
        answer = client.retry(lambda: client.leader(self.topic, self.partition).request(request))
        found = answer.topics[0].partitions[0]
        check(found.error_code)
        return found.offset

    def _place(self, client: Cluster, leader: int) -> tuple[str, int | None]:
        """The log directory of the leader's replica and its size, as the leader tells."""
        request = DescribeLogDirsRequest([DescribableLogDirTopic(self.topic, [self.partition])])
        for directory in client.broker(leader).request(request).results:
            for topic in directory.topics:
                for partition in topic.partitions:
                    if not partition.is_future_key:
                        return directory.log_dir, partition.partition_size
        return "", None

    def _configuration(self) -> dict[str, str]:
        if time.monotonic() >= self._config_at:
            self._config_at = time.monotonic() + CONFIG_S
            try:
                entries = self.cluster.topic_configs(self.topic)
            except ClusterError:
                return self._config
            self._config = {e["key"]: str(e["value"]) for e in entries if e["key"] in CONFIG_KEYS}
        return self._config

    def _segments(self, directory: str, end: int) -> tuple[tuple[SegmentView, ...], str]:
        """The segments in the data directory, or why they cannot be seen."""
        why = why_not_readable(self.cluster, directory, self.topic)
        if why:
            return (), why
        folder = Path(directory) / f"{self.topic}-{self.partition}"
        try:
            paths = sorted(folder.glob("[0-9]*.log"), key=data_files.base_offset_of)
            bases = [data_files.base_offset_of(path) for path in paths]
            found = [
                self._segment(path, base, after, is_active=path is paths[-1])
                for path, base, after in zip(paths, bases, [*bases[1:], end], strict=True)
            ]
        except (OSError, ValueError):
            # A segment was deleted while we looked: the next look sees what is left.
            return (self.picture.segments if self.picture else ()), ""
        return tuple(found), ""

    def _segment(self, path: Path, base: int, after: int, *, is_active: bool) -> SegmentView:
        index, time_index = path.with_suffix(".index"), path.with_suffix(".timeindex")
        times = list(data_files.time_index_entries(time_index)) if time_index.exists() else []
        entries, ticks = self._index_of(index)
        return SegmentView(
            base,
            max(base, after),
            path.stat().st_size,
            entries * 8,
            len(times) * 12,
            ticks,
            times[-1][0] if times else -1,
            is_active,
        )

    def _index_of(self, index: Path) -> tuple[int, tuple[int, ...]]:
        """Entries of an offset index, and some of their offsets; read again when it changed."""
        if not index.exists():
            return 0, ()
        status = index.stat()
        mark = (status.st_size, status.st_mtime_ns)
        kept = self._indexes.get(index.name)
        if kept is not None and kept[0] == mark:
            return kept[1], kept[2]
        if status.st_size > MAX_INDEX_BYTES:
            return 0, ()
        # Brokers make the file larger in advance, so its size is not that of its entries.
        offsets = [offset for offset, _ in data_files.index_entries(index)]
        ticks = tuple(offsets[:: -(-len(offsets) // MAX_TICKS) or 1])
        if len(self._indexes) > MAX_KEPT_INDEXES:
            self._indexes.clear()
        self._indexes[index.name] = (mark, len(offsets), ticks)
        return len(offsets), ticks


def why_not_readable(cluster: ClusterView, directory: str, topic: str) -> str:
    """Why a broker's data directory cannot be read here; empty when it can."""
    if not directory:
        return "the broker does not tell its log directory"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", topic):
        return "the topic's name is no name of a directory"
    try:
        properties = (Path(directory) / "meta.properties").read_text()
    except OSError:
        return f"its data directory {directory} is not on this machine"
    if f"cluster.id={cluster.cluster_id}\n" not in properties + "\n":
        return f"the directory {directory} on this machine belongs to another cluster"
    return ""


def changes(before: LogPicture, now: LogPicture) -> list[str]:
    """Sentences about what happened to the log between two looks."""
    found = []
    old = {s.base_offset: s for s in before.segments}
    new = {s.base_offset: s for s in now.segments}
    for base in sorted(old.keys() - new.keys()):
        gone = old[base]
        is_head = gone.end_offset <= now.log_start or base < min(new, default=0)
        why = "deleted by retention" if is_head else "merged into its neighbour by compaction"
        found.append(f"Segment {base} was {why}: {gone.log_bytes:,} bytes")
    for base in sorted(new.keys() - old.keys()):
        if old:
            found.append(f"A new segment begins at offset {base}: the one before it is closed")
    for base in sorted(old.keys() & new.keys()):
        if new[base].log_bytes < old[base].log_bytes:
            found.append(
                f"Segment {base} was compacted: {old[base].log_bytes:,} →"
                f" {new[base].log_bytes:,} bytes"
            )
    if now.log_start > before.log_start:
        found.append(
            f"The log now starts at offset {now.log_start:,}:"
            f" {now.log_start - before.log_start:,} offsets are gone"
        )
    for group in sorted(now.commits.keys() - before.commits.keys()):
        found.append(f"Group {group} committed offset {now.commits[group]:,} for the first time")
    for group in sorted(now.commits.keys() & before.commits.keys()):
        if now.commits[group] < before.commits[group]:
            found.append(
                f"Group {group} went back from {before.commits[group]:,} to {now.commits[group]:,}"
            )
    if now.leader != before.leader:
        found.append(f"Broker {now.leader} leads now, {before.leader} did before")
    return found


def deletable_from(segment: SegmentView, config: dict[str, str]) -> int | None:
    """When retention.ms allows to delete a closed segment, in ms; None when it never does."""
    try:
        retention_ms = int(config.get("retention.ms", "-1"))
    except ValueError:
        return None
    is_deleting = "delete" in config.get("cleanup.policy", "delete")
    if segment.is_active or retention_ms < 0 or segment.newest_ms < 0 or not is_deleting:
        return None
    return segment.newest_ms + retention_ms
