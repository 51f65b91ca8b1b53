"""Moving replicas: to other brokers, and to other directories of a broker."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ottla.cli.errors import CommandError
from ottla.cli.workers.failures import raise_for, sentence
from ottla.cli.workers.log_directories import describe_log_directories
from ottla.client.cluster import Cluster
from ottla.client.offsets import TopicPartition
from ottla.wire.errors import ErrorCode

#: How long to wait before asking again whether a replica has come to a broker.
RETRY_S: Final = 0.1


class Replica(NamedTuple):
    """One replica; sorts as Kafka's tool shows them."""

    broker: int
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.broker}"


class Directories(NamedTuple):
    """Where a replica is, and where it is on its way to."""

    current: str | None
    future: str | None


def current_replicas(cluster: Cluster, topics: Iterable[str]) -> dict[TopicPartition, list[int]]:
    """Brokers of each partition of those topics that exist."""
    names = sorted(set(topics))
    if not names:
        return {}
    return {
        (topic.name or "", partition.partition_index): partition.replica_nodes
        for topic in cluster.metadata(names).topics
        if topic.error_code == 0
        for partition in topic.partitions
    }


def alter_reassignments(
    cluster: Cluster,
    targets: Mapping[TopicPartition, list[int] | None],
    *,
    may_change_factor: bool = True,
) -> dict[TopicPartition, str]:
    """Start moves, or with None cancel them; returns why some could not be.

    Errors: `RefusedError` when the request as a whole is refused.
    """
    from ottla.wire.messages.alter_partition_reassignments import (
        AlterPartitionReassignmentsRequest,
        ReassignablePartition,
        ReassignableTopic,
    )

    by_topic: dict[str, list[ReassignablePartition]] = defaultdict(list)
    for (topic, number), replicas in targets.items():
        by_topic[topic].append(ReassignablePartition(number, replicas))
    response = cluster.request_controller(
        AlterPartitionReassignmentsRequest(
            cluster.settings.request_timeout_ms,
            may_change_factor,
            [ReassignableTopic(topic, partitions) for topic, partitions in by_topic.items()],
        )
    )
    raise_for(response.error_code, response.error_message)
    return {
        (topic.name, partition.partition_index): sentence(
            partition.error_code, partition.error_message
        )
        for topic in response.responses
        for partition in topic.partitions
        if partition.error_code
    }


def replica_directories(cluster: Cluster, brokers: Iterable[int]) -> dict[Replica, Directories]:
    """The directories of every replica on some brokers, as far as those are there."""
    known = {broker.node_id for broker in cluster.brokers()}
    found: dict[Replica, Directories] = {}
    for node_id in sorted(set(brokers) & known):
        for directory in describe_log_directories(cluster, node_id):
            for topic in directory.topics:
                for partition in topic.partitions:
                    replica = Replica(node_id, topic.name, partition.partition_index)
                    before = found.get(replica, Directories(None, None))
                    if partition.is_future_key:
                        found[replica] = before._replace(future=directory.log_dir)
                    else:
                        found[replica] = before._replace(current=directory.log_dir)
    return found


def move_directories(
    cluster: Cluster, targets: Mapping[Replica, str], timeout_ms: int
) -> Iterable[list[Replica]]:
    """Start moves between directories; yields those that began, until all have.

    A replica that is still on its way to the broker is asked for again.
    Errors: `CommandError` for a refused move, or when time runs out.
    """
    deadline = time.monotonic() + timeout_ms / 1000
    pending = dict(targets)
    while True:
        started = _start_moves(cluster, pending)
        if started:
            yield sorted(started)
        for replica in started:
            del pending[replica]
        if not pending:
            return
        if time.monotonic() >= deadline:
            moves = "move" if len(pending) == 1 else "moves"
            names = ",".join(map(str, sorted(pending)))
            raise CommandError(
                f"Timed out before log directory {moves} could be started for: {names}",
                on_stdout=True,
            )
        time.sleep(RETRY_S)


def _start_moves(cluster: Cluster, targets: Mapping[Replica, str]) -> list[Replica]:
    from ottla.wire.messages.alter_replica_log_dirs import (
        AlterReplicaLogDir,
        AlterReplicaLogDirsRequest,
        AlterReplicaLogDirTopic,
    )

    started = []
    for node_id in sorted({replica.broker for replica in targets}):
        moves = [
            AlterReplicaLogDir(path, [AlterReplicaLogDirTopic(replica.topic, [replica.partition])])
            for replica, path in targets.items()
            if replica.broker == node_id
        ]
        response = cluster.broker(node_id).request(AlterReplicaLogDirsRequest(moves))
        for topic in response.results:
            for partition in topic.partitions:
                replica = Replica(node_id, topic.topic_name, partition.partition_index)
                code = partition.error_code
                if code == 0:
                    started.append(replica)
                elif code != ErrorCode.REPLICA_NOT_AVAILABLE:
                    raise CommandError(
                        f"Error: Failed to alter dir for {replica}: {sentence(code)}",
                        on_stdout=True,
                    )
    return started


def spread(racks: Mapping[int, str | None], partitions: int, factor: int) -> list[list[int]]:
    """Brokers for each partition: leaders in turn, replicas in as many racks as there are.

    `racks` is the rack of each broker. Errors: `CommandError` for too few brokers.
    """
    if factor > len(racks):
        raise CommandError(
            f"Error: The target replication factor of {factor} cannot be reached because only "
            f"{len(racks)} broker(s) are registered.",
            on_stdout=True,
        )
    ring = _interleaved(racks)
    start = random.randrange(len(ring))
    return [_from_ring(ring, racks, start + number, factor) for number in range(partitions)]


def _interleaved(racks: Mapping[int, str | None]) -> list[int]:
    """The brokers in random order, one of each rack after the other."""
    by_rack: dict[str, list[int]] = defaultdict(list)
    for broker in random.sample(sorted(racks), len(racks)):
        by_rack[racks[broker] or ""].append(broker)
    ring: list[int] = []
    while any(by_rack.values()):
        ring += [brokers.pop() for brokers in by_rack.values() if brokers]
    return ring


def _from_ring(
    ring: Sequence[int], racks: Mapping[int, str | None], start: int, factor: int
) -> list[int]:
    """`factor` brokers from a point of the ring on, new racks before those already used."""
    leader = start % len(ring)
    # With every turn the followers begin elsewhere, so that not all replicas
    # of a lost broker have their leaders on its one neighbour.
    others = [*ring[leader + 1 :], *ring[:leader]]
    turn = (start // len(ring)) % max(1, len(others))
    others = others[turn:] + others[:turn]
    chosen = [ring[leader]]
    while len(chosen) < factor:
        used = [racks[broker] for broker in chosen]
        chosen.append(min(others, key=lambda broker: used.count(racks[broker])))
        others.remove(chosen[-1])
    return chosen
