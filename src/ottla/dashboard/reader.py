"""Reads the topic in a thread: every partition from its beginning, then live.

Partitions are assigned, not subscribed: no group is joined and nothing is committed. The
lock guards the aggregate and the progress; it is held for one chunk of records at a time.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from ottla.dashboard.aggregate import Aggregate, Snapshot
from ottla.dashboard.progress import Progress

CHUNK = 2_000  # records between two chances for others to take the lock
POLL_S = 0.1
NO_ANSWER = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
DISCOVERY_INTERVAL_S = 3.0
ANSWER_TIMEOUT_S = 5.0

CONSUMER_SETTINGS: dict[str, str | int | bool] = {
    "group.id": "ottla-dash",  # the client wants a name; it is never used on the wire
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "allow.auto.create.topics": False,
    "fetch.wait.max.ms": 100,
    # Little is fetched ahead of us, but asked for again at once (the default waits a second):
    # half the memory, and faster.
    "queued.max.messages.kbytes": 4_096,
    "fetch.message.max.bytes": 524_288,
    "fetch.queue.backoff.ms": 5,
    "log_level": 0,
}


class Reader:
    """Owns the consumer, the aggregate and the progress."""

    def __init__(self, settings: Mapping[str, str], topic: str) -> None:
        self.topic = topic
        self.traffic_topic = f"{topic}-traffic"
        self.lock = threading.Lock()
        self.aggregate = Aggregate()
        self.progress = Progress()
        self.trouble = "no broker answers"  # why nothing comes, if nothing comes
        self._settings = settings
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dash reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """The thread has ended and the consumer is closed afterwards."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_until_caught_up(self, timeout_s: float) -> bool:
        return self._caught_up.wait(timeout_s)

    @property
    def is_caught_up(self) -> bool:
        return self._caught_up.is_set()

    def snapshot(self, seconds: int) -> Snapshot:
        """The numbers now; while history is read, the seconds are those of history."""
        second = int(time.time()) - 1
        with self.lock:
            if not self.is_caught_up and self.aggregate.newest_second:
                second = min(second, self.aggregate.newest_second)
            return self.aggregate.snapshot(second, seconds)

    def _run(self) -> None:
        consumer = Consumer(
            {**CONSUMER_SETTINGS, **self._settings, "error_cb": self._on_client_error}
        )
        next_discovery = 0.0
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                if now >= next_discovery:
                    self._discover(consumer)
                    next_discovery = now + DISCOVERY_INTERVAL_S
                messages = consumer.consume(CHUNK, POLL_S)
                with self.lock:
                    self._take(messages)
                    if not self._caught_up.is_set():
                        self.progress.sample(time.monotonic())
                        if self.progress.is_caught_up:
                            self._caught_up.set()
        finally:
            consumer.close()

    def _discover(self, consumer: Consumer) -> None:
        """Start to read partitions that were not there before."""
        try:
            topics = consumer.list_topics(timeout=ANSWER_TIMEOUT_S).topics
            known = {(p.topic, p.partition) for p in consumer.assignment()}
            for name in (self.topic, self.traffic_topic):
                metadata = topics.get(name)
                if metadata is None:
                    continue
                fresh = [
                    TopicPartition(name, partition, OFFSET_BEGINNING)
                    for partition in sorted(metadata.partitions)
                    if (name, partition) not in known
                ]
                if fresh and name == self.topic:
                    self._measure(consumer, fresh)
                if fresh:
                    consumer.incremental_assign(fresh)
            self.trouble = "" if self.topic in topics else f"the topic {self.topic} is not there"
        except KafkaException as error:
            self.trouble = _sentence(error.args[0])

    def _measure(self, consumer: Consumer, fresh: list[TopicPartition]) -> None:
        ends = [
            consumer.get_watermark_offsets(
                TopicPartition(p.topic, p.partition), timeout=ANSWER_TIMEOUT_S
            )
            for p in fresh
        ]
        with self.lock:
            for partition, (low, high) in zip(fresh, ends, strict=True):
                self.progress.add_partition(partition.partition, low, high)

    def _take(self, messages: list[Message]) -> None:
        aggregate, progress = self.aggregate, self.progress
        add = aggregate.add
        now = int(time.time())
        seconds: Counter[int] = Counter()
        last: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self.trouble = _sentence(error)
                continue
            if message.topic() != self.topic:
                aggregate.add_traffic(message.value())
                continue
            partition, offset = message.partition(), message.offset()
            assert partition is not None  # only errors lack them
            assert offset is not None
            last[partition] = offset
            reason = add(message.value())
            if reason is not None:
                aggregate.note_malformed(partition, offset, reason)
            # A clock ahead of ours must not push the window into the future.
            seconds[min(message.timestamp()[1] // 1000, now)] += 1
        for second, events in seconds.items():
            aggregate.count_second(second, events)
        for partition, offset in last.items():
            progress.move(partition, offset + 1)

    def _on_client_error(self, error: KafkaError) -> None:
        self.trouble = _sentence(error)


def _sentence(error: KafkaError) -> str:
    if error.code() in NO_ANSWER:
        return "no broker answers"
    return str(error.str())
