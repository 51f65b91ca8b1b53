"""What was promised, and whether this run kept it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.plan import MACHINE, SIZES
from benchmarks.systems import APACHE_CACHE, MOCK, NULL, OTTLA_CACHE, OTTLA_FSYNC

#: Within so much of a limit counts as at the limit.
AT_LIMIT: Final = 0.95
AHEAD: Final = 1.2


@dataclass(frozen=True)
class Verdict:
    """`is_met` is None when the run has no figure for it."""

    mark: str
    said: str
    is_met: bool | None
    bound: str = ""


class Figures:
    """Medians of a run's results."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._rows: dict[str, Any] = results["rows"]

    def has(self, row: str, *systems: str) -> bool:
        found = self._rows.get(row, {}).get("systems", {})
        return all(key in found for key in systems)

    def all(self, row: str, system: str, name: str) -> list[float]:
        samples = self._rows.get(row, {}).get("systems", {}).get(system, [])
        return [sample[name] for sample in samples if name in sample]

    def median(self, row: str, system: str, name: str) -> float:
        """Errors: StatisticsError when there is none."""
        return statistics.median(self.all(row, system, name))


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    figures = Figures(results)
    return [
        *_starts(figures),
        *_streams(figures),
        *_requests(figures),
        *_latencies(figures),
        *_coordination(figures),
        *_growth(figures),
    ]


def _asked(mark: str, ask: Callable[[], Verdict]) -> Verdict:
    try:
        return ask()
    except statistics.StatisticsError:
        return Verdict(mark, "not measured", None)


def _at_most(mark: str, unit: str, limit: float, value: Callable[[], float]) -> Verdict:
    def ask() -> Verdict:
        found = value()
        return Verdict(mark, f"{_number(found)} {unit}", found <= limit)

    return _asked(mark, ask)


def _at_least(mark: str, unit: str, limit: float, value: Callable[[], float]) -> Verdict:
    def ask() -> Verdict:
        found = value()
        return Verdict(mark, f"{_number(found)} {unit}".rstrip(), found >= limit)

    return _asked(mark, ask)


def _ratio(f: Figures, row: str, ours: str, name: str) -> float:
    """Our median to Apache Kafka's without fsync."""
    return f.median(row, ours, name) / f.median(row, APACHE_CACHE, name)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _starts(f: Figures) -> Iterator[Verdict]:
    names = (("open_s", "open port", 0.15), ("ack_s", "first acknowledged record", 0.3),
             ("consumed_s", "first group-consumed record", 0.6))  # fmt: skip
    for name, text, limit in names:
        yield _at_most(
            f"start to {text}, fsync: under {limit} s", "s", limit,
            lambda name=name: f.median("fresh", OTTLA_FSYNC, name),
        )  # fmt: skip
        yield _at_least(
            f"start to {text}: 8 times faster than Apache Kafka", "times", 8,
            lambda name=name: f.median("fresh", APACHE_CACHE, name)
            / f.median("fresh", OTTLA_FSYNC, name),
        )  # fmt: skip
    for name, text, limit in (
        ("idle_mb", "idle", 45),
        ("grown_mb", "1,000 partitions, 100 groups", 90),
    ):
        yield _at_most(
            f"memory, {text}: under {limit} MB", "MB", limit,
            lambda name=name: f.median("fresh", OTTLA_FSYNC, name),
        )  # fmt: skip
        yield _at_least(
            f"memory, {text}: at most an eighth of Apache Kafka's", "times less", 8,
            lambda name=name: f.median("fresh", APACHE_CACHE, name)
            / f.median("fresh", OTTLA_FSYNC, name),
        )  # fmt: skip


def _streams(f: Figures) -> Iterator[Verdict]:
    for size, text in SIZES.items():
        for codec in ("none", "lz4"):
            row = f"stream/{size}/{codec}"
            name = f"{text}, {codec}"
            for way, word in (("in", "produce"), ("out", "consume")):
                yield _asked(
                    f"{word} {name}: 1.2 times Apache Kafka, or at a limit",
                    lambda way=way, word=word, row=row, name=name: _ahead(f, row, way, word, name),
                )
            for key, part in ((OTTLA_CACHE, 0.85), (OTTLA_FSYNC, 0.75)):
                how = "fsync" if key == OTTLA_FSYNC else "page-cache"
                yield _at_least(
                    f"produce {name}, {how}: {part} of the mock", "of the mock", part,
                    lambda key=key, row=row: f.median(row, key, "in_mb_s")
                    / f.median(row, MOCK, "in_mb_s"),
                )  # fmt: skip
            yield _at_most(
                f"produce {name}: broker CPU per MB at most half of Apache Kafka's",
                "of Apache Kafka's", 0.5,
                lambda row=row: f.median(row, OTTLA_FSYNC, "in_cpu_ms_mb")
                / f.median(row, APACHE_CACHE, "in_cpu_ms_mb"),
            )  # fmt: skip
    for size, text in SIZES.items():
        mark = f"consume {text} from the tail: 1.2 times Apache Kafka, or at a limit"
        yield _asked(mark, lambda mark=mark, size=size: _at_the_tail(f, f"tail/{size}", mark))
    for partitions in (1, 12, 100, 1_000):
        row = f"together/{partitions}"
        yield _at_least(
            f"2 producers and 2 consumers, {partitions:,} partitions: 1.2 times Apache Kafka",
            "times", AHEAD,
            lambda row=row: _ratio(f, row, OTTLA_FSYNC, "mb_s"),
        )  # fmt: skip


def _ahead(f: Figures, row: str, way: str, word: str, name: str) -> Verdict:
    """Ottla with fsync against Apache Kafka without, and against what limits both."""
    name_of = f"{way}_mb_s"
    ours = f.median(row, OTTLA_FSYNC, name_of)
    ratio = ours / f.median(row, APACHE_CACHE, name_of)
    # What the client manages at most is seen with the brokers that do least; of the mock's few
    # megabytes a consumer learns nothing.
    least = (NULL, MOCK) if way == "in" else (NULL, APACHE_CACHE)
    limits = {"the client's limit": max(f.median(row, key, name_of) for key in least)}
    if way == "in":
        limits["the disk's append and fsync"] = f.median("floor", MACHINE, "fsync_mb_s")
    bound, limit = min(limits.items(), key=lambda item: item[1])
    said = f"{ratio:.2f} times; {ours / limit:.2f} of {bound}"
    mark = f"{word} {name}: 1.2 times Apache Kafka, or at a limit"
    return Verdict(mark, said, ratio >= AHEAD or ours >= AT_LIMIT * limit, bound)


def _at_the_tail(f: Figures, row: str, mark: str) -> Verdict:
    ours, limit = f.median(row, OTTLA_FSYNC, "mb_s"), f.median(row, NULL, "mb_s")
    ratio = ours / f.median(row, APACHE_CACHE, "mb_s")
    said = f"{ratio:.2f} times; {ours / limit:.2f} of the client's limit"
    return Verdict(mark, said, ratio >= AHEAD or ours >= AT_LIMIT * limit)


def _requests(f: Figures) -> Iterator[Verdict]:
    yield _at_most(
        "synchronous produce, 1 client, page-cache: p50 below Apache Kafka's", "of Apache Kafka's",
        1.0,
        lambda: f.median("requests/1", OTTLA_CACHE, "p50_us")
        / f.median("requests/1", APACHE_CACHE, "p50_us"),
    )  # fmt: skip
    yield _at_most(
        "synchronous produce, 1 client: fsync adds no more than the device's fsync", "of it", 1.0,
        lambda: (
            f.median("requests/1", OTTLA_FSYNC, "p50_us")
            - f.median("requests/1", OTTLA_CACHE, "p50_us")
        )
        / f.median("floor", MACHINE, "fsync_us_p50"),
    )  # fmt: skip
    yield _at_least(
        "group commit at 64 clients: requests a second beyond one fsync each", "times", 2,
        lambda: f.median("requests/64", OTTLA_FSYNC, "per_s")
        * f.median("floor", MACHINE, "fsync_us_p50") / 1e6,
    )  # fmt: skip
    for clients in (1, 16, 64, 200):
        row = f"requests/{clients}"
        yield _at_least(
            f"small requests, {clients} clients, page-cache: at least Apache Kafka's", "times", 1.0,
            lambda row=row: _ratio(f, row, OTTLA_CACHE, "per_s"),
        )  # fmt: skip
    yield _at_least(
        "small requests, 200 clients, page-cache: 60,000 a second", "a second", 60_000,
        lambda: f.median("requests/200", OTTLA_CACHE, "per_s"),
    )  # fmt: skip
    yield _at_least(
        "small requests, 64 clients, fsync: 40,000 a second", "a second", 40_000,
        lambda: f.median("requests/64", OTTLA_FSYNC, "per_s"),
    )  # fmt: skip
    yield _at_most(
        "memory with 200 clients and 2,000 idle connections: under 60 MB", "MB", 60,
        lambda: f.median("connections", OTTLA_FSYNC, "memory_mb"),
    )  # fmt: skip


def _latencies(f: Figures) -> Iterator[Verdict]:
    for rate in (1_000, 20_000):
        for name in ("p50", "p99"):
            yield _at_most(
                f"produce to consume at {rate:,}/s, page-cache: {name} below Apache Kafka's",
                "of Apache Kafka's", 1.0,
                lambda rate=rate, name=name: _ratio(
                    f, f"latency/{rate}", OTTLA_CACHE, f"{name}_us"
                ),
            )  # fmt: skip


def _coordination(f: Figures) -> Iterator[Verdict]:
    for row, text in (("transactions", "transactions"), ("share", "share acknowledgements")):
        for key, how in ((OTTLA_CACHE, "page-cache"), (OTTLA_FSYNC, "fsync")):
            yield _at_least(
                f"{text} a second, {how}: at least Apache Kafka's", "times", 1.0,
                lambda row=row, key=key: _ratio(f, row, key, "per_s"),
            )  # fmt: skip
    yield _at_most(
        "rebalance of 50 members: no slower than Apache Kafka", "of Apache Kafka's", 1.0,
        lambda: _ratio(f, "rebalance", OTTLA_FSYNC, "ms"),
    )  # fmt: skip


def _growth(f: Figures) -> Iterator[Verdict]:
    for row, text, limit in (
        ("growth/partitions/10000", "clean start with 10,000 partitions", 2.0),
        ("growth/log", "50 GB opened", 1.0),
        ("growth/commits", f"start after {_millions(f)} million offset commits", 1.0),
    ):
        yield _at_most(
            f"{text}: under {limit:g} s", "s", limit,
            lambda row=row: f.median(row, OTTLA_FSYNC, "ready_s"),
        )  # fmt: skip
    yield _slope(f, "ready_s", 1e3, "ms of a start")
    yield _slope(f, "memory_mb", 1e3, "KB of memory")


def _millions(f: Figures) -> str:
    """How many commits the run had time for."""
    made = f.all("growth/commits", OTTLA_FSYNC, "commits")
    return f"{made[0] / 1e6:.3g}" if made else "10"


def _slope(f: Figures, name: str, scale: float, unit: str) -> Verdict:
    """What one more partition costs between 100 and 10,000 of them, and between 100 and 1,000."""
    mark = f"each partition more: {unit}, about the same everywhere"

    def ask() -> Verdict:
        few, some, many = (
            f.median(f"growth/partitions/{count}", OTTLA_FSYNC, name)
            for count in (100, 1_000, 10_000)
        )
        below, above = (some - few) / 900 * scale, (many - some) / 9_000 * scale
        said = f"{below:.2g} up to 1,000, {above:.2g} up to 10,000"
        return Verdict(mark, said, above <= max(2 * below, 1.0 if name == "ready_s" else 20.0))

    return _asked(mark, ask)
