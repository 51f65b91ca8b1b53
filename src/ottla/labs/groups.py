"""Who reads what in a consumer group, and what a rebalance costs.

First the picture every introduction has: 5 consumers on 2 partitions, of which
3 are idle, and a second group that reads everything again. Then one more
consumer joins a group at work, under each rebalance protocol: eager (everybody
gives up everything), cooperative (KIP-429: only what moves is given up), and
the broker's own (KIP-848).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import Any, Final

from ottla.labs.bench import PATIENCE_S, Bench, LabError
from ottla.labs.screen import bar

#: So that joining is not the whole show. Elsewhere the cluster's own values apply.
BROKER: Final = {
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.heartbeat.interval.ms": "100",
}
IDLE_PARTITIONS, IDLE_CONSUMERS = 2, 5
PARTITIONS: Final = 6
PROTOCOLS: Final = {
    "eager": {"partition.assignment.strategy": "range"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "KIP-848": {"group.protocol": "consumer"},
}
LOAD_PER_S: Final = 400
#: A shorter one may be the machine's.
PAUSE_MS: Final = 50


class Member:
    """One consumer of a group, in a thread, and everything that happened to it."""

    def __init__(self, bench: Bench, group: str, topic: str, config: dict[str, str]) -> None:
        from confluent_kafka import Consumer

        is_classic = config.get("group.protocol") != "consumer"
        timing = {"heartbeat.interval.ms": 200, "session.timeout.ms": 6_000} if is_classic else {}
        self.owned: set[int] = set()
        #: (moment, offset) of each record, by partition.
        self.read: dict[int, list[tuple[float, int]]] = {}
        self.taken: list[tuple[float, int]] = []  # (moment, partition) it had to give up
        self.assignments = 0
        self._stop = threading.Event()
        self._consumer = Consumer(
            bench.client(**{"group.id": group, "auto.offset.reset": "earliest", **timing, **config})
        )
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        return sum(len(seen) for seen in self.read.values())

    def _assigned(self, _: Any, partitions: Any) -> None:
        self.owned |= {p.partition for p in partitions}
        self.assignments += 1

    def _revoked(self, _: Any, partitions: Any) -> None:
        moment = time.monotonic()
        if not self._stop.is_set():
            self.taken += [(moment, p.partition) for p in partitions]
        self.owned -= {p.partition for p in partitions}

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(50, 0.01):
                if message.error() is None:
                    seen = self.read.setdefault(message.partition() or 0, [])
                    seen.append((time.monotonic(), message.offset() or 0))
        self._consumer.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)


class Load:
    """Records to every partition, all the time, until stopped."""

    def __init__(self, bench: Bench, topic: str, partitions: int) -> None:
        from confluent_kafka import Producer

        self._producer = Producer(bench.client(linger_ms=2))
        self._topic = topic
        self._partitions = partitions
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for number in itertools.count():
            self._producer.produce(self._topic, str(number), partition=number % self._partitions)
            self._producer.poll(0)
            if number % self._partitions == 0 and self._stop.wait(self._partitions / LOAD_PER_S):
                return

    def stop(self) -> None:
        """Everything sent is acknowledged. Errors: LabError."""
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(PATIENCE_S)
        if left:
            raise LabError(f"{left} records were not acknowledged within {PATIENCE_S:g} s")


def run(bench: Bench) -> None:
    idle_consumers(bench)
    price_of_rebalances(bench)


def idle_consumers(bench: Bench) -> None:
    """5 consumers, 2 partitions; then a second group."""
    screen = bench.screen
    screen.heading(f"{IDLE_CONSUMERS} consumers on {IDLE_PARTITIONS} partitions, two groups")
    topic = bench.create_topic(bench.unique("groups"), IDLE_PARTITIONS)
    records = bench.scaled(100, 2_000)
    first = _group(bench, bench.unique("first"), topic, IDLE_CONSUMERS)
    second: list[Member] = []

    def picture() -> list[str]:
        lines = [screen.paint("group  consumer  has                 has read", "dim")]
        for name, members in (("first", first), ("second", second)):
            for number, member in enumerate(members, 1):
                owned = ", ".join(f"partition {p}" for p in sorted(member.owned)) or "nothing: idle"
                style = "cyan" if member.owned else "dim"
                text = f"{name:<7}{number:<10}{owned:<26}"
                drawn = bar(member.count, records, 28)
                lines.append(screen.paint(text, style) + f"{drawn} {member.count}")
        return lines

    try:
        bench.wait(
            lambda: _is_shared_out(first, IDLE_PARTITIONS),
            "the group has not shared out its partitions",
            picture=picture,
        )
        # With keys: few records without one may all go to the same partition.
        bench.produce(topic, [(str(number), str(number)) for number in range(records)])
        bench.wait(
            lambda: sum(m.count for m in first) >= records, "not all was read", picture=picture
        )
        second += _group(bench, bench.unique("second"), topic, 1)
        bench.wait(
            lambda: second[0].count >= records,
            "the second group has not read all",
            picture=picture,
        )
    finally:
        for member in (*first, *second):
            member.stop()
    idle = sum(not member.count for member in first)
    lying = Counter((row.partition, row.offset) for row in bench.read(topic))
    bench.count(consumers=IDLE_CONSUMERS, partitions=IDLE_PARTITIONS, idle=idle, records=records)
    bench.check(f"{idle} of {IDLE_CONSUMERS} consumers had nothing to do", idle == 3)
    bench.check(
        f"the first group read each of the {records} records once", _read_by(first) == lying
    )
    bench.check(
        "the second group read every one of them again, by itself", _read_by(second) == lying
    )


def price_of_rebalances(bench: Bench) -> None:
    """A third consumer joins two at work, under each protocol."""
    screen = bench.screen
    screen.heading(f"a third consumer joins two that read {PARTITIONS} partitions")
    prices = {name: _price(bench, name, config) for name, config in PROTOCOLS.items()}
    screen.say("")
    titles = f"{'protocol':<13}{'given up':>9}{'moved':>7}{'went on':>9}{'stopped':>12}"
    screen.say(screen.paint(titles, "dim"))
    slowest = max(price["stopped_ms"] for price in prices.values())
    for name, price in prices.items():
        screen.say(
            f"{name:<13}{price['taken']:>9}{price['moved']:>7}{price['went_on']:>9}"
            f"{price['stopped_ms']:>9} ms  "
            f"{screen.paint(bar(price['stopped_ms'], slowest, 24), 'yellow')}"
        )
    legend = f"partitions; went on: read without a pause of {PAUSE_MS} ms; stopped: pauses added up"
    screen.say(screen.paint(legend, "dim"))
    for line in (
        "eager: all is given up, in one round; cooperative: what moves, in two rounds;",
        "KIP-848: no rounds, each member is told by its own heartbeat",
    ):
        screen.say(screen.paint(line, "dim"))
    bench.count(rebalances=prices)
    moved = prices["eager"]["moved"]
    bench.check(
        f"eager: all {PARTITIONS} partitions were given up, so that {moved} could move",
        prices["eager"]["taken"] == PARTITIONS and moved < PARTITIONS,
    )
    for name in ("cooperative", "KIP-848"):
        price = prices[name]
        bench.check(
            f"{name}: only what moved was given up ({price['taken']} of {PARTITIONS})",
            price["taken"] == price["moved"] < PARTITIONS,
        )
    lost = sum(price["lost"] for price in prices.values())
    bench.check("no record was left out in any of them", lost == 0)


def _price(bench: Bench, name: str, config: dict[str, str]) -> dict[str, int]:
    screen = bench.screen
    topic = bench.create_topic(bench.unique(name.lower()), PARTITIONS)
    group = bench.unique(f"{name.lower()}-group")
    members = _group(bench, group, topic, 2, config)
    load = Load(bench, topic, PARTITIONS)

    def picture() -> list[str]:
        owners = {p: number for number, m in enumerate(members) for p in m.owned}
        cells = [
            screen.colour_of(owners[p], f" {owners[p] + 1} ") if p in owners else " · "
            for p in range(PARTITIONS)
        ]
        return [f"{name:<13}partition → consumer  [{'|'.join(cells)}]"]

    try:
        bench.wait(lambda: _is_balanced(members), "the group does not settle", picture=picture)
        bench.wait(lambda: _has_read_all_partitions(members, 0.0), "nothing is read")
        before = {p: number for number, m in enumerate(members) for p in m.owned}
        joined_at = time.monotonic()
        members += _group(bench, group, topic, 1, config)
        bench.wait(lambda: _is_balanced(members), "the group does not settle", picture=picture)
        settled_at = time.monotonic()
        bench.wait(lambda: _has_read_all_partitions(members, settled_at), "reading does not go on")
        after = {p: number for number, m in enumerate(members) for p in m.owned}
    finally:
        load.stop()
        try:
            bench.wait(lambda: _lag(bench, topic, members) == 0, "not all was read")
        finally:
            for member in members:
                member.stop()
    screen.settle()
    read = _read_by(members)
    pauses = [_longest_pause_ms(members, p, joined_at) for p in range(PARTITIONS)]
    lying = {(row.partition, row.offset) for row in bench.read(topic)}
    return {
        "taken": len({p for m in members for moment, p in m.taken if moment >= joined_at}),
        "moved": sum(before[p] != after[p] for p in before),
        "went_on": sum(pause < PAUSE_MS for pause in pauses),
        "stopped_ms": sum(pauses),
        "settled_ms": round((settled_at - joined_at) * 1000),
        "read_twice": sum(read.values()) - len(read),
        "lost": len(lying - set(read)),
    }


def _group(
    bench: Bench, group: str, topic: str, count: int, config: dict[str, str] | None = None
) -> list[Member]:
    return [Member(bench, group, topic, config or {}) for _ in range(count)]


def _is_shared_out(members: list[Member], partitions: int) -> bool:
    """Every member has heard its share, and each partition has one owner."""
    owned = [p for member in members for p in member.owned]
    return sorted(owned) == list(range(partitions)) and all(m.assignments for m in members)


def _is_balanced(members: list[Member]) -> bool:
    shares = [len(member.owned) for member in members]
    return _is_shared_out(members, PARTITIONS) and max(shares) - min(shares) <= 1


def _has_read_all_partitions(members: list[Member], since: float) -> bool:
    return all(
        any(m.read.get(p, [(-1.0, 0)])[-1][0] > since for m in members if p in m.owned)
        for p in range(PARTITIONS)
    )


def _lag(bench: Bench, topic: str, members: list[Member]) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(bench.client(group_id="lab-ends"))
    read = _read_by(members)
    lag = 0
    for partition in range(PARTITIONS):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        lag += sum((partition, offset) not in read for offset in range(end))
    consumer.close()
    return lag


def _read_by(members: list[Member]) -> Counter[tuple[int, int]]:
    """How often each (partition, offset) was read."""
    return Counter(
        (partition, offset)
        for member in members
        for partition, seen in list(member.read.items())
        for _, offset in list(seen)
    )


def _longest_pause_ms(members: list[Member], partition: int, since: float) -> int:
    """The longest time without a record of the partition, from just before `since` on."""
    moments = sorted(moment for m in members for moment, _ in m.read.get(partition, []))
    pauses = [b - a for a, b in itertools.pairwise(moments) if b >= since]
    return round(max(pauses, default=0.0) * 1000)
