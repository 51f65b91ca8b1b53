"""`ottla demo hello`: a topic with 2 partitions, 25 messages, 2 consumers that stay open.

The consumers read the topic together, as one group: with two partitions each gets one.
`hello producer` and `hello consumer` are the two halves, for two terminals.
"""

from __future__ import annotations

import argparse
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from ottla.demos.kafka_clients import (
    DemoError,
    Settings,
    Stop,
    create_topic,
    no_broker,
    waiting_line,
)

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_INTERVAL_MS = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "half", nargs="?", choices=("both", "producer", "consumer"), default="both",
        help="both (the default), or one half of it",
    )  # fmt: skip
    parser.add_argument("--topic", default="hello", help="(default: %(default)s)")
    parser.add_argument("--partitions", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--messages", type=int, default=25, help="(default: %(default)s)")
    parser.add_argument("--consumers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--group", default="hello-readers", help="(default: %(default)s)")
    parser.add_argument(
        "--exit", action="store_true",
        help="end once the messages are read, instead of keeping the consumers open",
    )  # fmt: skip


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Errors: DemoError."""
    with Stop() as stop:
        if args.half != "consumer":
            create_topic(settings, args.topic, args.partitions)
            write_messages(settings, args.topic, args.messages, _say)
        if args.half != "producer":
            expected = args.messages if args.exit else None
            Readers(settings, args.topic, args.group, args.consumers, _say).run(stop, expected)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def write_messages(
    settings: Settings, topic: str, count: int, report: Callable[[str], None]
) -> None:
    """All `count` messages are acknowledged afterwards. Errors: DemoError."""
    from confluent_kafka import KafkaError, Message, Producer

    failures: list[str] = []
    per_partition: Counter[int | None] = Counter()

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error.str())
        else:
            per_partition[message.partition()] += 1

    producer = Producer({"log_level": "0", **settings})
    for number in range(1, count + 1):
        while True:
            try:
                # The key decides the partition: messages of one key stay in order.
                producer.produce(
                    topic, f"hello {number}", key=f"key-{number}", on_delivery=on_delivery
                )
                break
            except BufferError:  # the client's queue is full: wait for the broker
                producer.poll(0.05)
        producer.poll(0)
    waiting = producer.flush(30)
    if failures or waiting:
        reason = failures[0] if failures else no_broker(settings)
        raise DemoError(f"{len(failures) + waiting} of {count} messages got lost: {reason}")
    spread = ", ".join(
        f"{n} in partition {partition}" for partition, n in sorted(per_partition.items())
    )
    report(f"Wrote {count} messages to the topic {topic}: {spread}.")


class Readers:
    """Consumers of one group, each in its own thread, as each would be a process elsewhere.

    Nobody reads before all of them have joined: otherwise the first to come would have read
    everything while the others still asked for their share.
    """

    def __init__(
        self, settings: Settings, topic: str, group: str, count: int, report: Callable[[str], None]
    ) -> None:
        self.read: Counter[int] = Counter()
        self._settings = settings
        self._topic = topic
        self._group = group
        self._count = count
        self._report = report
        self._joined: set[int] = set()

    def run(self, stop: Stop, expected: int | None = None) -> None:
        """Read until told to stop, or until `expected` messages are read."""
        numbers = range(1, self._count + 1)
        threads = [threading.Thread(target=self._consume, args=(n, stop)) for n in numbers]
        for thread in threads:
            thread.start()
        while not stop.wait(0.05):
            if expected is not None and self.read.total() >= expected:
                stop.set()
        for thread in threads:
            thread.join()
        shares = ", ".join(f"consumer {n} read {self.read[n]}" for n in numbers)
        self._report(f"{self.read.total()} messages read: {shares}.")

    def _consume(self, number: int, stop: Stop) -> None:
        from confluent_kafka import Consumer

        waiting: list[TopicPartition] = []

        def on_assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            consumer.assign(partitions)
            consumer.pause(partitions)
            waiting[:] = partitions
            self._joined.add(number)
            owned = ", ".join(str(p.partition) for p in sorted(partitions, key=_partition))
            self._report(f"consumer {number}: has partition {owned or 'none, and waits'}")

        consumer = Consumer(
            {
                "log_level": "0",
                "client.id": f"hello-{number}",
                "group.id": self._group,
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": "false",  # committed is what was shown
                "session.timeout.ms": SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
                "topic.metadata.refresh.interval.ms": 1_000,  # the topic may come after us
                **self._settings,
            }
        )
        consumer.subscribe([self._topic], on_assign=on_assign)
        try:
            while not stop.is_set():
                if waiting and len(self._joined) == self._count:
                    consumer.resume(waiting)
                    waiting.clear()
                message = consumer.poll(0.1)
                if message is None:
                    continue
                error = message.error()
                if error is not None:
                    self._report(f"consumer {number}: {waiting_line(error, self._topic)}")
                    stop.wait(1)
                    continue
                self.read[number] += 1
                value = (message.value() or b"").decode(errors="replace")
                self._report(
                    f"consumer {number}: partition {message.partition()} "
                    f"offset {message.offset()}: {value}"
                )
                consumer.store_offsets(message)
        finally:
            consumer.close()


def _partition(item: TopicPartition) -> int:
    return int(item.partition)
