"""Counters and histograms: cheap enough to be always on.

A counter is an attribute; a histogram is a list of counts by power of two of
microseconds or bytes, so that recording is one `bit_length` and one addition.
Reading them out (Prometheus text, `ottla ps`) happens elsewhere.
"""

from __future__ import annotations

from typing import Final

#: Buckets of a histogram: bucket i counts values below 2**i.
BUCKETS: Final = 40


class Histogram:
    """Counts of non-negative integers by their bit length, with their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total = 0

    def record(self, value: int) -> None:
        self.counts[min(value.bit_length(), BUCKETS - 1)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile(self, q: float) -> int:
        """An upper bound of the value below which the part `q` of all lie; 0 when empty."""
        left = q * self.count
        for i, n in enumerate(self.counts):
            left -= n
            if n and left <= 0:
                return (1 << i) - 1
        return 0


class ApiMetrics:
    """One API's requests, errors, bytes and time to answer."""

    __slots__ = ("errors", "request_bytes", "requests", "response_bytes", "time_ms")

    def __init__(self) -> None:
        self.requests = 0
        self.errors: dict[int, int] = {}
        self.request_bytes = 0
        self.response_bytes = 0
        self.time_ms = Histogram()

    def count_error(self, code: int) -> None:
        self.errors[code] = self.errors.get(code, 0) + 1


class Metrics:
    """All counters of one broker."""

    __slots__ = (
        "apis",
        "batches_in",
        "bytes_in",
        "bytes_out",
        "compactions",
        "compactions_failed",
        "connections_closed_by_error",
        "connections_opened",
        "fetches_parked",
        "flush_failures",
        "flush_rounds",
        "flushes",
        "produces_refused",
        "records_in",
    )

    def __init__(self) -> None:
        self.apis: dict[int, ApiMetrics] = {}
        self.connections_opened = 0
        self.connections_closed_by_error = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.compactions = 0
        self.compactions_failed = 0
        self.batches_in = 0
        self.records_in = 0
        self.produces_refused = 0
        self.fetches_parked = 0
        self.flush_rounds = 0
        self.flushes = 0
        self.flush_failures = 0

    def api(self, api_key: int) -> ApiMetrics:
        metrics = self.apis.get(api_key)
        if metrics is None:
            metrics = self.apis[api_key] = ApiMetrics()
        return metrics
