"""Rates and latencies of producing and consuming."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Message

MEGABYTE: Final = 1024 * 1024
#: Latencies kept for the percentiles; of more records every n-th is kept.
MAX_SAMPLES: Final = 500_000


class ProducerStatistics:
    """What acknowledged records tell; windows are reported while it goes on.

    Latencies are milliseconds from the call that queued a record to its
    acknowledgement.
    """

    def __init__(
        self,
        records: int,
        interval_ms: int,
        report: Callable[[str], object],
        *,
        is_steady_state: bool = False,
    ) -> None:
        self.started = self._window_started = time.monotonic()
        self.count = self.bytes = 0
        self.is_quiet = False
        self._is_steady_state = is_steady_state
        self._interval_s = interval_ms / 1000
        self._report = report
        self._sampling = max(1, records // min(records, MAX_SAMPLES))
        self._latencies: list[float] = []
        self._total_ms = self._max_ms = 0.0
        self._window = (0, 0, 0.0)
        self._window_max_ms = 0.0

    def acknowledged(self, message: Message) -> None:
        """Count a record that arrived."""
        latency = (message.latency() or 0.0) * 1000
        self.count += 1
        self.bytes += len(message)
        self._total_ms += latency
        self._max_ms = max(self._max_ms, latency)
        self._window_max_ms = max(self._window_max_ms, latency)
        if self.count % self._sampling == 0:
            self._latencies.append(latency)
        if self.count % 100 == 0 and time.monotonic() - self._window_started >= self._interval_s:
            self._end_window()

    def _end_window(self) -> None:
        count, size, total_ms = self._window
        now = time.monotonic()
        elapsed = now - self._window_started
        records = self.count - count
        if self._is_steady_state and count == 0:
            self._report("In steady state.")
        if not self.is_quiet:
            self._report(
                f"{records} records sent, {records / elapsed:.1f} records/sec "
                f"({(self.bytes - size) / elapsed / MEGABYTE:.2f} MB/sec), "
                f"{(self._total_ms - total_ms) / records:.1f} ms avg latency, "
                f"{self._window_max_ms:.1f} ms max latency."
            )
        self._window = (self.count, self.bytes, self._total_ms)
        self._window_max_ms = 0.0
        self._window_started = now

    @property
    def records_per_second(self) -> float:
        """The rate so far."""
        return self.count / max(1e-9, time.monotonic() - self.started)

    def total(self) -> str:
        """Kafka's summary line."""
        elapsed = max(1e-9, time.monotonic() - self.started)
        latencies = sorted(self._latencies) or [0.0]
        at = [latencies[int(share * len(latencies))] for share in (0.5, 0.95, 0.99, 0.999)]
        steady = " steady state" if self._is_steady_state else ""
        return (
            f"{self.count}{steady} records sent, {self.count / elapsed:f} records/sec "
            f"({self.bytes / elapsed / MEGABYTE:.2f} MB/sec), "
            f"{self._total_ms / max(1, self.count):.2f} ms avg latency, "
            f"{self._max_ms:.2f} ms max latency, {at[0]:.0f} ms 50th, {at[1]:.0f} ms 95th, "
            f"{at[2]:.0f} ms 99th, {at[3]:.0f} ms 99.9th."
        )
