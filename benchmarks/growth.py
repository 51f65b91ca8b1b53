"""Starts after a long life: 50 GB of log, ten million offset commits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from benchmarks.librdkafka import BatchProducer
from benchmarks.processes import resident_mb
from benchmarks.starting import commit, restart
from benchmarks.systems import Ottla, broker, remove
from ottla.client import Connection
from ottla.engine.distribution import Distribution
from ottla.wire import frames
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)

Figures = dict[str, float]
SEGMENT_BYTES: Final = 1_000_000
GROUPS: Final = 10
PARTITIONS: Final = 1_000
PIPELINED: Final = 5
#: Commits are made for so long at most.
COMMIT_S: Final = 180.0
PATIENCE_S: Final = 120


def large_log(
    key: str, directory: Path, distribution: Distribution | None, *, gigabytes: int
) -> Figures:
    """A start with one partition of many segments of a gigabyte each.

    The records at the beginning of each segment, and its indexes, were written
    by the broker; the rest of a segment is a hole in its file, so that the disk
    need not have the room. A clean start reads none of it, nor should it.
    """
    system = broker(key, directory, distribution)
    assert isinstance(system, Ottla)
    try:
        system.start()
        topic = system.create_topic(1, segment_bytes=str(SEGMENT_BYTES))
        settings = {"bootstrap.servers": system.bootstrap_servers, "batch.size": "100000"}
        with BatchProducer(settings, topic, range(1), 1_000) as producer:
            producer.produce((gigabytes + 1) * SEGMENT_BYTES // 1_000)
        system.stop()
        *sealed, _ = sorted((system.directory / "data" / f"{topic}-0").glob("*.log"))
        for path in sealed:
            with path.open("r+b") as segment:
                segment.truncate(1_000_000_000)
        figures = restart(system)
        return {**figures, "segments": len(sealed), "memory_mb": resident_mb(system.pid)}
    finally:
        remove(system)


def offset_commits(
    key: str, directory: Path, distribution: Distribution | None, *, count: int
) -> Figures:
    """A start after so many commits, or as many as can be made in `COMMIT_S`.

    Ten groups commit 1,000 partitions again and again.
    """
    system = broker(key, directory, distribution)
    try:
        system.start()
        topic = system.create_topic(PARTITIONS)
        began = time.monotonic()
        done = 0
        for number in range(GROUPS):
            group = f"bench-group-{number}"
            with system.cluster as cluster:
                coordinator = cluster.retry(lambda group=group: cluster.coordinator(group))
                commit(coordinator, group, topic, 1)
                until = began + COMMIT_S * (number + 1) / GROUPS
                done += _repeat(coordinator, group, topic, count // GROUPS // PARTITIONS, until)
        figures = {"commits": done, "commits_per_s": done / (time.monotonic() - began)}
        before = time.perf_counter()
        system.stop()
        figures["stop_s"] = time.perf_counter() - before
        figures |= restart(system)
        before = time.perf_counter()
        with system.cluster as cluster:
            coordinator = cluster.retry(lambda: cluster.coordinator("bench-group-0"))
            commit(coordinator, "bench-group-0", topic, 1)
        figures["ready_s"] += time.perf_counter() - before
        return {**figures, "memory_mb": resident_mb(system.pid)}
    finally:
        remove(system)


def _repeat(coordinator: Connection, group: str, topic: str, times: int, until: float) -> int:
    """Commit every partition so often, a few requests at a time, or until the monotonic clock
    says `until`; how many offsets that were."""
    partitions = [OffsetCommitRequestPartition(p, 1) for p in range(PARTITIONS)]
    request = OffsetCommitRequest(
        group, topics=[OffsetCommitRequestTopic(name=topic, partitions=partitions)]
    )
    data = b"".join(frames.encode_request(request, 8, 1, "bench"))
    sent = received = 0
    while received < sent or (sent < times and time.monotonic() < until):
        while sent < times and sent - received < PIPELINED:
            coordinator.send_bytes(data)
            sent += 1
        coordinator.receive_frame(time.monotonic() + PATIENCE_S, PATIENCE_S * 1_000)
        received += 1
        if time.monotonic() >= until:
            times = sent
    return received * PARTITIONS
