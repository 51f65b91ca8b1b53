"""How fast one partition can be written and read on a cluster, by trying it."""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import Final, NamedTuple
from uuid import uuid4

from ottla.cli.workers.producing import RecordSender
from ottla.cli.workers.range_reading import RangeReader
from ottla.cli.workers.ranges import partitions_of, resolve
from ottla.cli.workers.topics import create_topic, delete_topics, wait_for_topic
from ottla.client.cluster import Cluster

#: Room that one trial may take on the brokers.
MAX_BYTES: Final = 1024 * 1024 * 1024


class Rates(NamedTuple):
    """Records per second of the trials, one number each."""

    trials: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.trials)

    @property
    def spread(self) -> float:
        """Half the distance between the slowest and the fastest, as a share of the median."""
        return (max(self.trials) - min(self.trials)) / 2 / self.median


class Trial(NamedTuple):
    """What was measured with records of `size` bytes."""

    size: int
    producing: Rates
    consuming: Rates


def measure_partition(
    cluster: Cluster,
    servers: str,
    properties: dict[str, str],
    *,
    size: int,
    seconds: float,
    rounds: int,
    replication_factor: int = -1,
    is_keyed: bool = False,
) -> Trial:
    """Write and read one partition of a topic made for this, and delete the topic.

    Each round writes for `seconds` and reads all of it back; the first round
    warms up and does not count. Errors: `CommandError`.
    """
    topic = f"ottla-plan-{uuid4().hex[:8]}"
    create_topic(cluster, topic, partitions=1, replication_factor=replication_factor)
    try:
        wait_for_topic(cluster, topic)
        produced, consumed = [], []
        for number in range(rounds + 1):
            warm_up = min(seconds, 0.5) if number == 0 else seconds
            produced.append(_produce(servers, properties, topic, size, warm_up, is_keyed=is_keyed))
            consumed.append(_consume(cluster, servers, properties, topic))
        return Trial(size, Rates(produced[1:]), Rates(consumed[1:]))
    finally:
        delete_topics(cluster, [topic])


def _produce(
    servers: str,
    properties: dict[str, str],
    topic: str,
    size: int,
    seconds: float,
    *,
    is_keyed: bool,
) -> float:
    """Records acknowledged per second."""
    # Half random, so that compression finds about what it finds in JSON.
    pool = [os.urandom(size // 2) + b"x" * (size - size // 2) for _ in range(64)]
    keys = [b"key-%d" % number for number in range(1000)] if is_keyed else [None]
    limit = max(1000, MAX_BYTES // max(size, 1))
    defaults = {"acks": "all", "client.id": "ottla-plan", "linger.ms": 5}
    with RecordSender(servers, properties, defaults) as sender:
        # The first record waits for the connection, and is not to count.
        sender.send(topic, pool[0])
        sender.flush()
        before = sender.sent
        started = time.monotonic()
        deadline = started + seconds
        count = 0
        while count < limit and time.monotonic() < deadline:
            for _ in range(500):
                sender.send(topic, random.choice(pool), key=random.choice(keys), partition=0)
            count += 500
        sender.flush()
        return (sender.sent - before) / (time.monotonic() - started)


def _consume(cluster: Cluster, servers: str, properties: dict[str, str], topic: str) -> float:
    """Records read per second, from the first that came to the last."""
    ranges = resolve(cluster, partitions_of(cluster, [topic]))
    count = 0
    first = None
    with RangeReader(servers, properties, ranges) as reader:
        for messages in reader.rounds():
            if messages and first is None:
                first = time.monotonic()
                continue
            count += len(messages)
    elapsed = time.monotonic() - (first or time.monotonic())
    return count / elapsed if count and elapsed > 0 else float(ranges.total)
