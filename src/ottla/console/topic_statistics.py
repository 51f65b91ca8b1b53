"""Numbers over a topic's records: null keys, distinct keys, sizes; in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ottla.console.cluster import ClusterView
from ottla.console.messages import Range, Reader, RecordView, covered
from ottla.dashboard.counting import TopCounter

#: Distinct keys are exact up to here, then estimated.
MAX_EXACT_KEYS = 100_000
PERCENTILES = (50, 90, 99, 100)
TOP_KEYS = 10


class DistinctKeys:
    """Counts distinct keys: those whose hash ends in `level` zero bits, multiplied up."""

    def __init__(self, capacity: int = MAX_EXACT_KEYS) -> None:
        self.capacity = capacity
        self.level = 0
        self._kept: set[int] = set()

    def add(self, key: bytes) -> None:
        mark = hash(key)
        if mark & ((1 << self.level) - 1):
            return
        self._kept.add(mark)
        while len(self._kept) > self.capacity:
            self.level += 1
            self._kept = {m for m in self._kept if not m & ((1 << self.level) - 1)}

    @property
    def count(self) -> int:
        return len(self._kept) << self.level

    @property
    def is_exact(self) -> bool:
        return self.level == 0


@dataclass
class Statistics:
    """So far; sizes are bytes of key and value together."""

    records: int = 0
    null_keys: int = 0
    null_values: int = 0
    json_values: int = 0
    with_headers: int = 0
    bytes: int = 0
    by_partition: Counter[int] = field(default_factory=Counter)
    keys: DistinctKeys = field(default_factory=DistinctKeys)
    top_keys: TopCounter = field(default_factory=lambda: TopCounter(1000))
    sizes: Counter[int] = field(default_factory=Counter)

    def add(self, record: RecordView) -> None:
        self.records += 1
        self.bytes += record.size
        self.by_partition[record.partition] += 1
        self.sizes[rounded(record.size)] += 1
        if record.key is None:
            self.null_keys += 1
        else:
            self.keys.add(record.key)
            self.top_keys.add(record.key[:120].decode("utf-8", "backslashreplace"))
        if record.value is None:
            self.null_values += 1
        elif record.value[:1] in (b"{", b"["):
            self.json_values += 1
        self.with_headers += bool(record.headers)

    def percentile(self, share: float) -> int:
        """The size that `share` percent of the records do not exceed, to 2 %."""
        wanted = self.records * share / 100
        passed = 0
        for size in sorted(self.sizes):
            passed += self.sizes[size]
            if passed >= wanted:
                return size
        return 0


def rounded(size: int) -> int:
    """Up to two significant binary digits finer than 2 %: so there are few different sizes."""
    shift = max(0, size.bit_length() - 6)
    return -(-size >> shift) << shift if shift else size


def measure(
    cluster: ClusterView, topic: str, should_stop: Callable[[], bool]
) -> Iterator[tuple[Statistics, float]]:
    """(statistics so far, share of the topic covered), until all of it is."""
    reader = Reader(cluster, topic)
    found = Statistics()
    try:
        bounds = reader.bounds(Range(start="beginning"))
        total = sum(end - start for start, end in bounds.values())
        for batch in reader.read(bounds):
            for record in batch:
                found.add(record)
            yield found, covered(bounds, reader.positions) / total if total else 1.0
            if should_stop():
                return
        yield found, 1.0
    finally:
        reader.close()
