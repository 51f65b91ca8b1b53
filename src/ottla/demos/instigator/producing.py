"""The producer side: a message every interval while it is started."""

from __future__ import annotations

import json
import time
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from ottla.demos.instigator.worker import Worker
from ottla.demos.kafka_clients import Settings

FLUSH_S = 10.0


class MessageProducer(Worker):
    """Sends numbered JSON messages with a key each, so that a compacted topic takes them."""

    def __init__(self, settings: Settings, topic: str, interval_s: float) -> None:
        super().__init__()
        self.settings = settings
        self.topic = topic
        self.interval_s = interval_s
        self.sent = 0
        self.acknowledged = 0
        self.failed = 0

    def counters(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "failed": self.failed,
        }

    def work(self) -> None:
        producer = Producer(
            {**self.settings, "log_level": "0", "acks": "all", "enable.idempotence": "true"}
        )
        while not self.stopping.is_set():
            number = self.sent + 1
            message = {"number": number, "sent_at_ms": int(time.time() * 1000)}
            try:
                producer.produce(
                    self.topic,
                    json.dumps(message),
                    key=f"message-{number}",
                    on_delivery=self._on_delivery,
                )
            except BufferError:  # Kafka is slower than we are, or away: it waits in the queue
                producer.poll(0.1)
                continue
            self.sent = number
            producer.poll(0)
            self.stopping.wait(self.interval_s)
        producer.flush(FLUSH_S)

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.failed += 1
            self.failure = error.str()
