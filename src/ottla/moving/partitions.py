"""Partitions of a cluster: who leads them, where they begin and end, and asking with patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeVar

from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.client.offsets import TopicPartition, find_offsets
from ottla.moving.errors import MoveError
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)

RETRY_S: Final = 0.3
GIVE_UP_S: Final = 60.0
READ_COMMITTED: Final = 1

T = TypeVar("T")


class GoneError(ClientError):
    """A partition is not in the cluster: deleted, or so new that not every broker knows it."""


class Where(NamedTuple):
    """A partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


def leaders(cluster: Cluster, partitions: Iterable[Where]) -> dict[int, list[Where]]:
    """The partitions by the node that leads them.

    Errors: `ClientError` for one without, `GoneError` for one that is not there.
    """
    wanted = set(partitions)
    found: dict[int, list[Where]] = {}
    for topic in cluster.metadata({w.topic for w in wanted}).topics:
        for partition in topic.partitions:
            where = Where(topic.name or "", partition.partition_index)
            if where in wanted:
                if partition.leader_id < 0:
                    raise ClientError(f"{where} has no leader now")
                found.setdefault(partition.leader_id, []).append(where)
                wanted.discard(where)
    if wanted:
        raise GoneError(f"{min(wanted)} is not in the cluster")
    return found


def by_topic(partitions: Iterable[Where]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for where in sorted(partitions):
        found.setdefault(where.topic, []).append(where.partition)
    return found


def list_offsets(
    cluster: Cluster, partitions: Iterable[Where], timestamp: int, isolation: int = 0
) -> dict[Where, int]:
    """Offsets of the partitions: `LATEST` (with isolation 1 the last stable) or `EARLIEST`."""
    led = leaders(cluster, partitions).items()
    nodes: dict[TopicPartition, int] = {where: node for node, places in led for where in places}
    found: dict[Where, int] = {}
    for where, answer in find_offsets(
        cluster,
        dict.fromkeys(nodes, timestamp),
        read_committed=isolation == READ_COMMITTED,
        leaders=nodes,
    ).items():
        if answer.error_code:
            reason = ErrorCode(answer.error_code).name
            raise ClientError(f"the offsets of {Where(*where)} cannot be read: {reason}")
        found[Where(*where)] = answer.offset
    return found


def patiently(ask: Callable[[], T], *, waits_for_new: bool = False) -> T:
    """Ask again while leaders are being chosen.

    Errors: `MoveError` after a minute; `GoneError`, unless it is worth waiting
    for what was only just made.
    """
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            return ask()
        except ClientError as error:
            if isinstance(error, GoneError) and not waits_for_new:
                raise
            if time.monotonic() > deadline:
                raise MoveError(f"no way on for {GIVE_UP_S:g} s: {error}") from None
            time.sleep(RETRY_S)


def uncommitted_end(cluster: Cluster, where: Where) -> int:
    """The end of the leader's own log, what its followers lack included.

    Followers ask for it under this name (KIP-101); behind the high watermark
    it tells of records that may still come to count. Errors: `ClientError`.
    """
    known = cluster.partition(where.topic, where.partition)
    asked = OffsetForLeaderPartition(where.partition, leader_epoch=known.leader_epoch)
    request = OffsetForLeaderEpochRequest(-1, [OffsetForLeaderTopic(where.topic, [asked])])
    (topic,) = cluster.broker(known.leader_id).request(request).topics
    answer = topic.partitions[0]
    if answer.error_code:
        raise ClientError(f"the end of {where}: {ErrorCode(answer.error_code).name}")
    return answer.end_offset
