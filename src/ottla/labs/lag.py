"""A slow consumer through Burrow's eyes: OK, WARN, STALL, STOP, REWIND.

Burrow knows no thresholds. It looks at the last ten commits of a partition and
at how the consumer moves: too slow, not at all, silent, or backwards. Here a
consumer does each of these on a real topic, and the monitor, which reads
`__consumer_offsets` like any other, has to find it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ottla.labs.bench import Bench
from ottla.labs.screen import bar
from ottla.lag.evaluation import Status
from ottla.lag.feed import LagFeed, now_ms
from ottla.lag.store import LagStore, PartitionStatus, StoreSettings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer

INTERVALS: Final = 10
REFRESH_S: Final = 0.02
_STYLES: Final = {Status.OK: "green", Status.WARN: "yellow"}


class Patient:
    """A group with one partition that commits what it is told to, and its monitor."""

    def __init__(self, bench: Bench) -> None:
        from confluent_kafka import Consumer, Producer

        self.bench = bench
        self.topic = bench.create_topic(bench.unique("lag"))
        self.group = bench.unique("lag-group")
        self.producer: Producer = Producer(bench.client(linger_ms=0))
        self.consumer: Consumer = Consumer(
            bench.client(group_id=self.group, enable_auto_commit=False)
        )
        self.written = self.committed = 0
        self.interval_s = bench.scaled(20, 200) / 1_000
        self.feed = LagFeed(bench.client(), LagStore(StoreSettings(intervals=INTERVALS)), REFRESH_S)
        self.feed.start()

    def write(self, count: int) -> None:
        for _ in range(count):
            self.producer.produce(self.topic, f"record {self.written}")
            self.written += 1
        self.producer.flush(20)

    def commit(self, offset: int) -> None:
        """Commit, once the monitor knows the end: its lag is that of this commit."""
        from confluent_kafka import TopicPartition

        self.bench.wait(self._has_seen_end, "the monitor does not see the topic's end")
        self.consumer.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)
        self.committed = offset

    def _has_seen_end(self) -> bool:
        with self.feed.lock:
            return self.feed.store.end_of(self.topic, 0) == self.written

    def status(self) -> PartitionStatus | None:
        """What the monitor says now."""
        with self.feed.lock:
            group = self.feed.store.evaluate(self.group, now_ms())
        return group.partitions[0] if group is not None and group.partitions else None

    def close(self) -> None:
        self.feed.stop()
        self.consumer.close()


def run(bench: Bench) -> None:
    patient = Patient(bench)
    bench.screen.heading("one consumer, five ways to behave")
    found: list[str] = []
    try:
        patient.write(10)
        stages: list[tuple[str, Status, Callable[[], None]]] = [
            ("keeps up with the producer", Status.OK, lambda: _keep_up(patient)),
            ("is slower than the producer", Status.WARN, lambda: _fall_behind(patient)),
            ("commits the same offset again and again", Status.STALL, lambda: _stand(patient)),
            ("commits nothing any more", Status.STOP, lambda: patient.write(1)),
            ("comes back, and catches up", Status.OK, lambda: _keep_up(patient)),
            ("commits an offset from the past", Status.REWIND, lambda: _go_back(patient)),
        ]
        for behaviour, expected, act in stages:
            status = _watch(patient, behaviour, expected, act)
            found.append(status.status.name)
            bench.check(
                f"{behaviour}: {status.status.name}, lag {status.current_lag}",
                status.status is expected
                and status.current_lag == patient.written - patient.committed,
            )
    finally:
        patient.close()
    committed = _committed(patient)
    bench.count(states=found, written=patient.written, committed=committed)
    bench.check(
        "the records and the commits are those the lag was made of",
        len(bench.read(patient.topic)) == patient.written and committed == patient.committed,
    )


def _watch(
    patient: Patient, behaviour: str, expected: Status, act: Callable[[], None]
) -> PartitionStatus:
    """Behave like that until the monitor says what is expected; then what it says."""
    bench, screen = patient.bench, patient.bench.screen
    screen.say("")
    screen.say(screen.paint(f"  the consumer {behaviour}", "dim"))

    def picture() -> list[str]:
        status = patient.status()
        name = status.status.name if status else "…"
        style = _STYLES.get(status.status, "red") if status else "dim"
        drawn = screen.paint(bar(patient.committed, patient.written, 30), style)
        lag = patient.written - patient.committed
        return [f"  {drawn} {screen.paint(f'{name:<7}', style)} lag {lag}"]

    def has_heard() -> bool:
        """The monitor knows the last record and the last commit."""
        with patient.feed.lock:
            entry = patient.feed.store.groups.get(patient.group, {}).get((patient.topic, 0))
            end = patient.feed.store.end_of(patient.topic, 0)
            return (
                entry is not None
                and entry.commits[-1].offset == patient.committed
                and end == patient.written
            )

    def goes_on() -> bool:
        act()
        bench.wait(has_heard, "the monitor does not hear of it", picture=picture)
        until = time.monotonic() + patient.interval_s
        while time.monotonic() < until:
            screen.draw(picture())
            time.sleep(0.02)
        status = patient.status()
        return status is not None and status.status is expected

    bench.wait(goes_on, f"the monitor does not say {expected.name}")
    status = patient.status()
    assert status is not None
    screen.draw(picture())
    return status


def _keep_up(patient: Patient) -> None:
    patient.write(5)
    patient.commit(patient.written)


def _fall_behind(patient: Patient) -> None:
    patient.write(5)
    patient.commit(patient.committed + 2)


def _stand(patient: Patient) -> None:
    patient.write(1)
    patient.commit(patient.committed)


def _go_back(patient: Patient) -> None:
    if patient.committed == patient.written:
        patient.write(5)
        patient.commit(patient.committed // 2)


def _committed(patient: Patient) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(patient.bench.client(group_id=patient.group))
    (where,) = consumer.committed([TopicPartition(patient.topic, 0)], timeout=20)
    consumer.close()
    return int(where.offset)
