"""Reading ranges of partitions as fast as the client gives them, without a group."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import KafkaError, Message, TopicPartition

from ottla.cli.errors import CommandError
from ottla.cli.workers.ranges import Ranges
from ottla.cli.workers.record_clients import open_consumer
from ottla.client import offsets

#: Records of one round at most.
BATCH: Final = 10_000
TICK_S: Final = 0.1


class RangeReader:
    """Reads every record of the ranges once; with `follow` what comes after them, too."""

    def __init__(
        self,
        servers: str,
        properties: dict[str, str],
        ranges: Ranges,
        *,
        follow: bool = False,
        read_committed: bool = False,
    ) -> None:
        self.ranges = ranges
        self.follow = follow
        self._open = {
            partition: end
            for partition, end in ranges.ends.items()
            if follow or ranges.starts[partition] < end
        }
        self._positions = dict(ranges.starts)
        self._consumer, self._watch = open_consumer(
            servers,
            properties,
            {
                "group.id": "ottla-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed" if read_committed else "read_uncommitted",
                "queued.min.messages": 500_000,
                "queued.max.messages.kbytes": 65_536,
                "fetch.wait.max.ms": 100,
                # How soon fetching goes on once the queue has room again.
                "fetch.queue.backoff.ms": 2,
                "fetch.message.max.bytes": 8_388_608,
            },
        )

    @property
    def done(self) -> float:
        """Share of the ranges that is behind us, 0 to 1."""
        total = self.ranges.total
        if not total:
            return 1.0
        left = sum(max(0, end - self._positions[p]) for p, end in self._open.items())
        return 1 - left / total

    def rounds(self) -> Iterator[list[Message]]:
        """Records as they come; an empty list now and then while there are none.

        Errors: `CommandError` when reading cannot go on.
        """
        if not self._open:
            return
        topics = {topic for topic, _ in self._open}
        if len(topics) == 1:
            self._warm_up(topics.pop())
        self._consumer.assign(
            [TopicPartition(t, n, self.ranges.starts[t, n]) for t, n in self._open]
        )
        while self._open:
            taken = self._consumer.consume(BATCH, TICK_S)
            yield [message for message in taken if self._take(message)]
            if not taken:
                self._watch.check()

    def _warm_up(self, topic: str) -> None:
        """Have metadata at hand, or librdkafka's first fetch waits for its next tick."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                self._consumer.list_topics(topic, timeout=TICK_S)
            except KafkaException:
                self._consumer.poll(0)
                self._watch.check()
            else:
                return

    def _take(self, message: Message) -> bool:
        """Whether this is a record of the ranges; learns from it where we are."""
        self._watch.was_reached = True
        partition: offsets.TopicPartition = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                if not self.follow:
                    self._close(partition)
                return False
            if error.retriable() or error.code() in (
                KafkaError._TRANSPORT,
                KafkaError._ALL_BROKERS_DOWN,
            ):
                return False
            raise CommandError(f"Reading {partition[0]} failed: {error.str()}.")
        end = self._open.get(partition)
        if end is None:
            return False
        offset = message.offset() or 0
        self._positions[partition] = offset + 1
        if self.follow:
            return True
        if offset + 1 >= end:
            self._close(partition)
        return offset < end

    def _close(self, partition: offsets.TopicPartition) -> None:
        if self._open.pop(partition, None) is not None and self._open:
            self._consumer.incremental_unassign([TopicPartition(*partition)])

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
