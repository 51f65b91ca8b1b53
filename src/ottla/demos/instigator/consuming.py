"""The consumer side: a group member that counts what it reads and commits it."""

from __future__ import annotations

from collections import deque
from typing import Any

from confluent_kafka import Consumer, Message

from ottla.demos.instigator.worker import Worker
from ottla.demos.kafka_clients import Settings

LAST = 10
BATCH = 500  # at most, committed together


class MessageConsumer(Worker):
    """Reads the topic in a group; stopping commits and leaves, starting goes on there."""

    def __init__(self, settings: Settings, topic: str, group: str) -> None:
        super().__init__()
        self.settings = settings
        self.topic = topic
        self.group = group
        self.consumed = 0
        self.partitions: list[int] = []
        self.last: deque[dict[str, Any]] = deque(maxlen=LAST)

    def counters(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "group": self.group,
            "partitions": self.partitions,
            "consumed": self.consumed,
            "last": list(self.last),
        }

    def work(self) -> None:
        consumer = Consumer(
            {
                # So long a successor waits for a member that was killed.
                "session.timeout.ms": "6000",
                "heartbeat.interval.ms": "1000",
                **self.settings,
                "log_level": "0",
                "group.id": self.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": "false",
            }
        )
        try:
            consumer.subscribe([self.topic])
            while not self.stopping.is_set():
                messages = [m for m in consumer.consume(BATCH, 0.2) if m.error() is None]
                self.partitions = sorted(p.partition for p in consumer.assignment())
                if messages:
                    consumer.commit(asynchronous=False)
                    self._show(messages)
        finally:
            consumer.close()
            self.partitions = []

    def _show(self, messages: list[Message]) -> None:
        """Only what is committed: nothing that is shown comes again."""
        self.failure = None
        self.consumed += len(messages)
        self.last.extend(
            {
                "partition": message.partition(),
                "offset": message.offset(),
                "value": (message.value() or b"").decode("utf-8", "replace"),
            }
            for message in messages[-LAST:]
        )
