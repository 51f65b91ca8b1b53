"""Carries events from the outbox into Kafka, each at least once and in order.

An event is marked published only after Kafka has acknowledged it; a crash in
between publishes it again with the same event id, which the consumers know.
"""

from __future__ import annotations

import threading

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from sqlalchemy.exc import OperationalError

from ottla.demos.kafka_clients import Settings
from ottla.demos.services.database import Outbox
from ottla.demos.services.events import encode
from ottla.demos.services.observing import producer_log

BATCH = 500
IDLE_S = 0.05
FLUSH_S = 10.0
PAUSE_S = 1.0


class OutboxRelay:
    """A thread that empties the outbox; `nudge` tells it that there is something new."""

    def __init__(self, settings: Settings, outbox: Outbox) -> None:
        self.outbox = outbox
        self.published = 0
        self.failed = 0
        self._producer = Producer(
            {
                **settings,
                "log_level": "0",
                "acks": "all",
                "enable.idempotence": "true",
                "linger.ms": "2",
                # Shorter than the wait for it: no event is in the producer's queue twice.
                "message.timeout.ms": str(int(FLUSH_S * 800)),
            }
        )
        self._stop = threading.Event()
        self._work = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-relay")

    def start(self) -> None:
        self._thread.start()

    def nudge(self) -> None:
        self._work.set()

    def stop(self) -> None:
        """Publish what is pending, as far as Kafka answers, and end."""
        self._stop.set()
        self._work.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                moved = self.publish_pending()
            except (OperationalError, KafkaException, BufferError) as error:
                # The events stay where they are, in the outbox.
                producer_log.warning("the outbox is tried again in a moment: %s", error)
                self.failed += 1
                moved = 0
                self._stop.wait(PAUSE_S)
            if moved:
                continue
            if self._stop.is_set():
                return
            self._work.wait(IDLE_S)
            self._work.clear()

    def publish_pending(self) -> int:
        """Publish one batch; returns how many are known to be in Kafka."""
        pending = self.outbox.pending(BATCH)
        done: list[int] = []

        def delivered(row: int) -> object:
            def report(error: KafkaError | None, _: Message) -> None:
                if error is None:
                    done.append(row)
                else:
                    self.failed += 1

            return report

        for row, event in pending:
            self._producer.produce(
                event.topic,
                encode(event.payload),
                event.key,
                headers=list(event.headers.items()),
                on_delivery=delivered(row),  # type: ignore[arg-type]
            )
        if pending:
            self._producer.flush(FLUSH_S)
            self.outbox.mark_published(done)
            self.published += len(done)
        return len(done)
