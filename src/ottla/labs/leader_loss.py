"""What acks=1 loses with its leader, and acks=all does not.

The followers of a partition are paused, so that only its leader has what comes
now. Then the leader is killed, and the followers go on. What only the leader
had is gone: with acks=1 it was acknowledged, with acks=all it never was.
"""

from __future__ import annotations

import time
from typing import Final

from ottla.client import Cluster
from ottla.client.offsets import LATEST
from ottla.engine.apache import ApacheKafka
from ottla.labs.acks import Sender
from ottla.labs.bench import Bench
from ottla.labs.screen import bar
from ottla.moving.partitions import Where, list_offsets, uncommitted_end

REPLICAS: Final = 3
SENDING_MS: Final = 2_000


def show(bench: Bench, kafka: ApacheKafka) -> None:
    """Both on the nodes of `kafka`, which take followers for in sync while they are paused."""
    lost = {acks: leader_dies(bench, kafka, acks) for acks in ("1", "all")}
    bench.count(lost_with_the_leader={acks: gone for acks, (_, gone) in lost.items()})
    bench.check(
        f"acks=1: {lost['1'][1]} acknowledged records died with the leader", lost["1"][1] > 0
    )
    bench.check("acks=all: nothing that was acknowledged is lost", lost["all"][1] == 0)
    bench.check(
        "acks=all: what only the leader had was never acknowledged",
        not lost["all"][0].acknowledged - first_half(bench),
    )


def leader_dies(bench: Bench, kafka: ApacheKafka, acks: str) -> tuple[Sender, int]:
    """Half of the records while all is well, half to the leader alone: (sender, lost)."""
    screen = bench.screen
    screen.heading(f"acks={acks}: the leader is killed while its followers are paused")
    own = Bench({"bootstrap.servers": kafka.bootstrap_servers}, screen, bench.is_fast)
    name = own.unique(f"leader-{acks}")
    topic = own.create_topic(name, config={"min.insync.replicas": "2"}, replicas=REPLICAS)
    sender = Sender(own, topic, acks, {"message.timeout.ms": SENDING_MS})
    for value in sorted(first_half(bench)):
        sender.send(value)
    sender.finish()
    # A consumer is shown what all replicas have.
    own.wait(lambda: len(own.read(topic)) == sender.sent, "the followers do not follow")
    with Cluster(kafka.bootstrap_servers) as cluster:
        leader = cluster.partition(topic, 0).leader_id
    followers = [node for node in kafka.brokers if node.node_id != leader]
    for follower in followers:
        follower.pause()
    try:
        screen.say(f"  leader {leader}; paused: {', '.join(str(f.node_id) for f in followers)}")
        # Each follower had asked for more before it was paused: this one answers them.
        sender.send("on its way")
        sender.finish()
        for number in range(len(first_half(bench))):
            sender.send(f"alone {number}")
        sender.finish()
        kafka.node(leader).kill()
    finally:
        for follower in followers:
            follower.resume()
    screen.say(f"  leader {leader} is dead, the others go on")
    own.wait(lambda: _leader(followers[0].port, topic) not in (-1, leader), "nobody leads")
    own.wait(lambda: _is_settled(followers[0].port, topic), "the new leader shows not all it has")
    there = {row.value or "" for row in own.read(topic)}
    lost = len(sender.acknowledged - there)
    drawn = screen.paint(bar(len(there), sender.sent, 24), "cyan")
    screen.say(
        f"  {drawn} {sender.sent} sent, {len(sender.acknowledged)} acknowledged, "
        f"{sender.refused} refused, {lost} lost"
    )
    kafka.restart(leader)
    return sender, lost


def first_half(bench: Bench) -> set[str]:
    """The records that are sent while all is well."""
    return {f"together {number}" for number in range(bench.scaled(50, 500))}


def _is_settled(port: int | None, topic: str) -> bool:
    """Whether consumers are shown all that the leader has."""
    from ottla.client import ClientError

    place = Where(topic, 0)
    try:
        with Cluster(f"127.0.0.1:{port}") as cluster:
            shown = list_offsets(cluster, [place], LATEST)[place]
            return shown == uncommitted_end(cluster, place)
    except ClientError:
        time.sleep(0.1)
        return False


def _leader(port: int | None, topic: str) -> int:
    """Who leads, as a node sees it that may just be waking up."""
    from ottla.client import ClientError

    try:
        with Cluster(f"127.0.0.1:{port}") as cluster:
            return cluster.partition(topic, 0).leader_id
    except ClientError:
        time.sleep(0.1)
        return -1
