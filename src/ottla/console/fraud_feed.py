"""Follows the decisions of the fraud demo: the last of each topic, then live."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from ottla.lag.feed import quiet_logger

VERDICTS = ("authorized", "unauthorized", "malformed")
KEPT = 60
RATE_S = 120
POLL_S = 0.2
DISCOVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Decision:
    """One account and what was said of it; the card's number is masked."""

    timestamp_ms: int
    verdict: str
    name: str
    card: str
    amount: str
    source: str


class FraudFeed:
    """Decisions newest first, counts since watching began, and rates per second."""

    def __init__(self, client_config: Mapping[str, Any], topic: str) -> None:
        self.topic = topic
        self.decisions: deque[Decision] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.seconds: dict[int, Counter[str]] = {}
        self.is_there = False
        self._config = dict(client_config)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fraud-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def series(self, verdict: str) -> list[list[float]]:
        """[time in ms, decisions in that second] of the last two minutes."""
        now = int(time.time()) - 1
        seconds = dict(self.seconds)
        return [
            [s * 1000, seconds[s][verdict] if s in seconds else 0]
            for s in range(now - RATE_S, now + 1)
        ]

    def _run(self) -> None:
        consumer = Consumer(
            {
                **self._config,
                "group.id": "ottla-console",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "allow.auto.create.topics": False,
            },
            logger=quiet_logger,
        )
        next_discovery = 0.0
        try:
            while not self._stop.is_set():
                if time.monotonic() >= next_discovery:
                    next_discovery = time.monotonic() + DISCOVERY_S
                    self._discover(consumer)
                if not self.is_there:
                    self._stop.wait(POLL_S)
                    continue
                for message in consumer.consume(500, POLL_S):
                    if message.error() is None:
                        self._take(message)
        finally:
            consumer.close()

    def _discover(self, consumer: Consumer) -> None:
        """Read from a little before the ends of partitions that are new to us."""
        try:
            topics = consumer.list_topics(timeout=5).topics
            known = {(p.topic, p.partition) for p in consumer.assignment()}
            for verdict in VERDICTS:
                name = f"{self.topic}-{verdict}"
                metadata = topics.get(name)
                for number in metadata.partitions if metadata else ():
                    if (name, number) in known:
                        continue
                    low, high = consumer.get_watermark_offsets(
                        TopicPartition(name, number), timeout=5
                    )
                    consumer.incremental_assign(
                        [TopicPartition(name, number, max(low, high - KEPT))]
                    )
                    self.is_there = True
        except KafkaException:
            return  # asked again in a moment; the frame says that no broker answers

    def _take(self, message: Message) -> None:
        verdict = (message.topic() or "").rpartition("-")[2]
        timestamp_ms = message.timestamp()[1]
        headers = dict(message.headers() or [])
        source = headers.get("source") or b""
        self.decisions.appendleft(
            decision_of(verdict, timestamp_ms, message.value(), source)  # type: ignore[arg-type]
        )
        self.counts[verdict] += 1
        second = timestamp_ms // 1000
        self.seconds.setdefault(second, Counter())[verdict] += 1
        for old in [s for s in self.seconds if s < second - 2 * RATE_S]:
            del self.seconds[old]


def decision_of(verdict: str, timestamp_ms: int, value: bytes | None, source: bytes) -> Decision:
    """A record of the fraud demo for display, whatever is in it."""
    try:
        account = json.loads(value or b"")
        name = f"{account['FirstName']} {account['LastName']}"[:60]
        digits = str(account["CreditCardNumber"])
        amount = f"{float(account['Amount']):,.2f}"
    except (ValueError, TypeError, KeyError, RecursionError):
        name, digits, amount = "cannot be read", "", "–"
    card = f"•••• {digits[-4:]}" if digits else "–"
    return Decision(timestamp_ms, verdict, name, card, amount, source.decode("utf-8", "replace"))
