"""Something to look at for learners: topics that grow, roll and compact, and consumers to add.

The producer and the consumers are ordinary clients in threads of the console;
a playground belongs to one cluster and ends with the console, or by itself
after half an hour.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ottla.console.cluster import ClusterError, reason_of
from ottla.lag.feed import quiet_logger

LOG_TOPIC, TABLE_TOPIC, GROUP = "anatomy-log", "anatomy-table", "anatomy-readers"
PARTITIONS = 6
#: Segments are closed after so long, so that retention and compaction find something.
SEGMENT_MS = 15_000
RETENTION_MS = 60_000
TOPICS: dict[str, tuple[int, dict[str, str]]] = {
    LOG_TOPIC: (
        PARTITIONS,
        {"segment.ms": str(SEGMENT_MS), "retention.ms": str(RETENTION_MS)},
    ),
    TABLE_TOPIC: (
        1,
        {
            "cleanup.policy": "compact",
            "segment.ms": str(SEGMENT_MS),
            "min.cleanable.dirty.ratio": "0.01",
            "delete.retention.ms": "1000",
            "max.compaction.lag.ms": str(SEGMENT_MS),
        },
    ),
}
USERS = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "ken", "radia")
PAUSE_S = 0.02
RECORD_BYTES = 900
MAX_CONSUMERS = 8
CONSUME_S = 0.02
LIFE_S = 1800.0
TIMEOUT_S = 20.0


class Playground:
    """Traffic and consumers on one cluster."""

    def __init__(self, client_config: Mapping[str, Any]) -> None:
        self._config = dict(client_config)
        self._lock = threading.Lock()
        self._producing: tuple[threading.Thread, threading.Event] | None = None
        self._consuming: list[tuple[threading.Thread, threading.Event]] = []
        self._names = 0

    @property
    def is_running(self) -> bool:
        return self._producing is not None and self._producing[0].is_alive()

    @property
    def consumers(self) -> int:
        return len(self._consuming)

    def start(self) -> None:
        """The topics are there, and records flow. Errors: `ClusterError`."""
        with self._lock:
            if self.is_running:
                return
            self._create_topics()
            stop = threading.Event()
            thread = threading.Thread(target=self._produce, args=(stop,), daemon=True)
            self._producing = (thread, stop)
            thread.start()

    def stop(self) -> None:
        """No more records flow, and all consumers have left."""
        while self._consuming:
            self.remove_consumer()
        with self._lock:
            if self._producing is not None:
                self._producing[1].set()
                self._producing[0].join(TIMEOUT_S)
                self._producing = None

    def add_consumer(self) -> None:
        """One more member of the group. Errors: `ClusterError`."""
        with self._lock:
            if len(self._consuming) >= MAX_CONSUMERS:
                raise ClusterError(f"{MAX_CONSUMERS} consumers are enough to see it.")
            self._names += 1
            stop = threading.Event()
            thread = threading.Thread(
                target=self._consume, args=(f"reader-{self._names}", stop), daemon=True
            )
            self._consuming.append((thread, stop))
            thread.start()

    def remove_consumer(self) -> None:
        """The eldest member has left the group."""
        with self._lock:
            if not self._consuming:
                return
            thread, stop = self._consuming.pop(0)
        stop.set()
        thread.join(TIMEOUT_S)

    def _create_topics(self) -> None:
        admin = AdminClient(self._config, logger=quiet_logger)
        try:
            there = admin.list_topics(timeout=TIMEOUT_S).topics
            wanted = [
                NewTopic(name, num_partitions=n, replication_factor=-1, config=config)
                for name, (n, config) in TOPICS.items()
                if name not in there
            ]
            for future in admin.create_topics(wanted).values() if wanted else ():
                future.result(TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise ClusterError(reason_of(error)) from None

    def _produce(self, stop: threading.Event) -> None:
        producer = Producer({**self._config, "linger.ms": 50}, logger=quiet_logger)
        end = time.monotonic() + LIFE_S
        count = 0
        while not stop.wait(PAUSE_S) and time.monotonic() < end:
            count += 1
            user = random.choice(USERS)
            text = f'{{"n": {count}, "user": "{user}", "text": "'
            value = text + "x" * (RECORD_BYTES - len(text)) + '"}'
            try:
                producer.produce(LOG_TOPIC, value, f"{user}-{count}")
                producer.produce(TABLE_TOPIC, value, user)
            except BufferError:
                stop.wait(1)
            producer.poll(0)
        producer.flush(TIMEOUT_S)

    def _consume(self, name: str, stop: threading.Event) -> None:
        consumer = Consumer(
            {
                **self._config,
                "client.id": name,
                "group.id": GROUP,
                "auto.offset.reset": "latest",
                "auto.commit.interval.ms": 1000,
                "session.timeout.ms": 10_000,
            },
            logger=quiet_logger,
        )
        consumer.subscribe([LOG_TOPIC])
        end = time.monotonic() + LIFE_S
        try:
            while not stop.is_set() and time.monotonic() < end:
                for message in consumer.consume(50, 0.2):
                    if message.error() is None:
                        stop.wait(CONSUME_S)
        finally:
            consumer.close()
