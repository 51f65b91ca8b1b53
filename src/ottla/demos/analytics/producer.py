"""Paces a shop by the real clock and sends its events to Kafka."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ottla.demos.analytics.shop import Shop
from ottla.demos.kafka_clients import Settings, Stop

MAX_BATCHES_AT_ONCE = 500  # between two looks at the clock and the stop signal
MAX_LAG_S = 1.0  # behind the clock; beyond it simulated time slows down
FLUSH_TIMEOUT_S = 60.0
TRAFFIC_INTERVAL_S = 1.0

PRODUCER_SETTINGS: dict[str, str | bool] = {
    "acks": "all",
    "enable.idempotence": "true",
    "linger.ms": "20",
    "compression.type": "lz4",
    "queue.buffering.max.messages": "500000",
    "queue.buffering.max.kbytes": "262144",
    "delivery.report.only.error": True,  # a callback for each success would cost the most here
    "log_level": "0",
}


@dataclasses.dataclass
class Pace:
    """How fast, and how long."""

    speed: float = 1.0  # run seconds a second: the clock and the users alike
    is_paced: bool = True  # False: as fast as this machine can
    max_events: int | None = None
    max_duration_s: float | None = None  # real seconds
    status_interval_s: float = 5.0


@dataclasses.dataclass
class Tally:
    """What was sent and what became of it."""

    sent: int = 0
    failed: int = 0
    unsent: int = 0  # made, but not taken by the client before the end
    pending: int = 0  # without an answer when the time to flush was over
    slowed_s: float = 0.0  # that simulated time fell behind the real clock
    elapsed_s: float = 0.0
    last_error: str = ""

    @property
    def acknowledged(self) -> int:
        return self.sent - self.failed - self.pending

    @property
    def is_complete(self) -> bool:
        return not (self.failed or self.pending or self.unsent)


class ShopProducer:
    """One producer for all the users of a shop."""

    def __init__(self, settings: Settings, topic: str, shop: Shop, pace: Pace, stop: Stop) -> None:
        self.shop = shop
        self.pace = pace
        self.tally = Tally()
        self.stop = stop
        self.topic = topic
        self.traffic_topic = f"{topic}-traffic"
        self._producer = Producer(
            {**PRODUCER_SETTINGS, **settings, "error_cb": self._on_client_error}
        )

    def run(self, report: Callable[[str], None]) -> Tally:
        """Send until told to stop, or until the pace's limits; then flush.

        `report` gets a line every few seconds.
        """
        start = time.monotonic()
        next_status = start + self.pace.status_interval_s
        next_traffic = start
        origin = start  # real time at which the run's clock stood at zero
        sent_before, before = 0, start
        while not self.stop.is_set():
            now = time.monotonic()
            if self._is_over(now - start):
                break
            origin = self._advance(now, origin)
            self._producer.poll(0)
            if now >= next_traffic:
                next_traffic = now + TRAFFIC_INTERVAL_S
                self._send_traffic()
            if now >= next_status:
                report(self._status((self.tally.sent - sent_before) / (now - before)))
                sent_before, before = self.tally.sent, now
                next_status = now + self.pace.status_interval_s
            if self.pace.is_paced:
                until_due = (self.shop.next_due_s / self.pace.speed + origin) - time.monotonic()
                self.stop.wait(min(until_due, TRAFFIC_INTERVAL_S / 4))
        self.tally.pending = self._producer.flush(FLUSH_TIMEOUT_S)
        self.tally.elapsed_s = time.monotonic() - start
        return self.tally

    def _is_over(self, elapsed_s: float) -> bool:
        pace = self.pace
        if pace.max_duration_s is not None and elapsed_s >= pace.max_duration_s:
            return True
        return pace.max_events is not None and self.tally.sent >= pace.max_events

    def _advance(self, now: float, origin: float) -> float:
        """Let the shop act until now; returns the origin, later if the shop cannot keep up."""
        if not self.pace.is_paced:
            self.shop.advance(float("inf"), self._emit, MAX_BATCHES_AT_ONCE)
            return origin
        wanted = (now - origin) * self.pace.speed
        self.shop.advance(wanted, self._emit, MAX_BATCHES_AT_ONCE)
        behind = (wanted - self.shop.now_s) / self.pace.speed
        if behind > MAX_LAG_S:
            self.tally.slowed_s += behind
            return origin + behind
        return origin

    def _emit(self, key: str, events: list[str]) -> None:
        limit = self.pace.max_events
        for event in events:
            if limit is not None and self.tally.sent >= limit:
                return
            while True:
                try:
                    self._producer.produce(self.topic, event, key, on_delivery=self._on_failure)
                    self.tally.sent += 1
                    break
                except BufferError:  # the client's queue is full: wait for the broker
                    if self.stop.is_set():
                        self.tally.unsent += 1
                        break
                    self._producer.poll(0.05)

    def _send_traffic(self) -> None:
        """Tell the dashboard how many are online and how many the pattern wants."""
        shop, settings = self.shop, self.shop.settings
        record = {
            "time": shop.simulated_time_s,
            "online": shop.online,
            "target": shop.target,
            "peak": settings.peak_users,
            "pattern": settings.pattern.factors,
            "spawned": shop.spawned,
            "killed": shop.killed,
        }
        try:
            self._producer.produce(self.traffic_topic, json.dumps(record))
        except (BufferError, KafkaException):
            return  # the next second brings a newer one

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.tally.failed += 1
            self.tally.last_error = error.str()

    def _on_client_error(self, error: KafkaError) -> None:
        if not self.tally.failed:  # what became of an event says more than what a connection met
            self.tally.last_error = error.str()

    def _status(self, rate: float) -> str:
        shop, tally = self.shop, self.tally
        clock = time.strftime("%H:%M", time.gmtime(shop.simulated_time_s))
        line = (
            f"shop time {clock}   {shop.online:,} of {shop.target:,} users online   "
            f"{rate:,.0f} events/s   {tally.sent:,} sent"
        )
        waiting = len(self._producer)
        if waiting > rate:
            line += f"   {waiting:,} waiting for the broker"
        if tally.failed:
            line += f"   {tally.failed:,} FAILED ({tally.last_error})"
        return line
