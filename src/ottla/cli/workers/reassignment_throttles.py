"""How much of the network moving replicas may take: the configurations that say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ottla.cli.workers.configs import alter_configs
from ottla.cli.workers.resource_types import BROKER, TOPIC
from ottla.cli.workers.topics import Reassignment
from ottla.client.cluster import Cluster
from ottla.client.offsets import TopicPartition

LEADER_RATE: Final = "leader.replication.throttled.rate"
FOLLOWER_RATE: Final = "follower.replication.throttled.rate"
DIRECTORY_RATE: Final = "replica.alter.log.dirs.io.max.bytes.per.second"
LEADER_REPLICAS: Final = "leader.replication.throttled.replicas"
FOLLOWER_REPLICAS: Final = "follower.replication.throttled.replicas"


def throttle_moves(
    cluster: Cluster,
    rate: int,
    moves: Mapping[TopicPartition, Reassignment],
    targets: Mapping[TopicPartition, list[int]],
    current: Mapping[TopicPartition, list[int]],
) -> None:
    """Throttle what is on its way in `moves` and what is to go to `targets`."""
    ways: dict[TopicPartition, tuple[set[int], set[int]]] = {
        partition: (set(move.replicas) - set(move.adding), set(move.adding))
        for partition, move in moves.items()
    }
    for partition, replicas in targets.items():
        sources = ways[partition][0] if partition in ways else set(current[partition])
        ways[partition] = sources, set(replicas) - sources
    for topic in sorted({topic for topic, _ in ways}):
        of_topic = {number: way for (name, number), way in ways.items() if name == topic}
        words = [
            sorted(f"{number}:{node}" for number, way in of_topic.items() for node in way[side])
            for side in (0, 1)
        ]
        settings = {LEADER_REPLICAS: ",".join(words[0]), FOLLOWER_REPLICAS: ",".join(words[1])}
        alter_configs(cluster, TOPIC, topic, set_=settings, delete=())
    settings = {LEADER_RATE: str(rate), FOLLOWER_RATE: str(rate)}
    for node in sorted({node for way in ways.values() for side in way for node in side}):
        alter_configs(cluster, BROKER, str(node), set_=settings, delete=())


def throttle_directories(cluster: Cluster, rate: int, brokers: Iterable[int]) -> None:
    """Throttle moves between the directories of some brokers."""
    for node in sorted(set(brokers)):
        alter_configs(cluster, BROKER, str(node), set_={DIRECTORY_RATE: str(rate)}, delete=())


def clear_throttles(cluster: Cluster, brokers: Iterable[int], topics: Iterable[str]) -> None:
    """Take all of that back, on the brokers that are there."""
    known = {broker.node_id for broker in cluster.brokers()}
    rates = (LEADER_RATE, FOLLOWER_RATE, DIRECTORY_RATE)
    for node in sorted(set(brokers) & known):
        alter_configs(cluster, BROKER, str(node), set_={}, delete=rates)
    for topic in topics:
        alter_configs(cluster, TOPIC, topic, set_={}, delete=(LEADER_REPLICAS, FOLLOWER_REPLICAS))
