"""Which rows a run has, in its quick and in its full profile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import (
    coordination,
    floors,
    growth,
    http_door,
    latency,
    small_requests,
    starting,
    throughput,
)
from benchmarks.processes import peak_mb, resident_mb
from benchmarks.runner import Figures, Row
from benchmarks.security import Certificates, give_rights
from benchmarks.systems import (
    APACHE_CACHE,
    APACHE_FSYNC,
    MOCK,
    NULL,
    OTTLA_CACHE,
    OTTLA_FSYNC,
    Apache,
    Helper,
    Ottla,
    broker,
    remove,
)
from ottla.engine.distribution import Distribution

MACHINE: Final = "machine"
SIZES: Final = {100: "100 B", 1_000: "1 KB", 10_000: "10 KB"}
MEGABYTES: Final = {100: 100, 1_000: 400, 10_000: 600}


@dataclass(frozen=True)
class Bench:
    """Everything a run needs, and the systems that run while it lasts."""

    directory: Path
    distribution: Distribution | None
    certificates: Certificates | None
    is_full: bool
    rounds: int
    systems: dict[str, Ottla | Apache | Helper]

    @property
    def ours(self) -> tuple[str, ...]:
        return (OTTLA_FSYNC, OTTLA_CACHE)

    @property
    def brokers(self) -> tuple[str, ...]:
        if self.distribution is None:
            return self.ours
        return (*self.ours, APACHE_CACHE, *((APACHE_FSYNC,) if self.is_full else ()))

    @property
    def unflushed(self) -> tuple[str, ...]:
        """Without the slowest of them, which most rows can do without."""
        return tuple(key for key in self.brokers if key != APACHE_FSYNC)

    def running(self, measure: Callable[..., Figures], **how: object) -> Callable[[str], Figures]:
        """The measurement of a running system."""
        return lambda key: measure(self.systems[key], **how)

    def starting(self, measure: Callable[..., Figures], **how: object) -> Callable[[str], Figures]:
        """The measurement of a system that it starts by itself."""
        return lambda key: measure(key, self.directory, self.distribution, **how)


@contextlib.contextmanager
def systems(
    directory: Path,
    distribution: Distribution | None,
    certificates: Certificates | None,
    *,
    is_full: bool,
    rounds: int,
    tell: Callable[[str], None],
) -> Iterator[Bench]:
    """All systems started; stopped and their data deleted afterwards."""
    bench = Bench(directory, distribution, certificates, is_full, rounds, {})
    with contextlib.ExitStack() as stack:
        for key in bench.brokers:
            tell(f"starting {key}")
            system = broker(key, directory, distribution, certificates)
            stack.callback(remove, system)
            system.start()
            if certificates is not None:
                with system.cluster as cluster:
                    give_rights(cluster)
            bench.systems[key] = system
        for key in (MOCK, NULL):
            helper = Helper(key)
            stack.callback(helper.stop)
            helper.start()
            bench.systems[key] = helper
        yield bench


def rows(bench: Bench) -> list[Row]:
    """In the order they are measured: what is short and telling first."""
    found = [
        Row("floor", "floor of the machine", [MACHINE], _floor(bench), bench.rounds, 2,
            "fsync_us_p50"),
        *_streams(bench),
        *_tails(bench),
        *_together(bench),
        *_requests(bench),
        *_latencies(bench),
        *_doors(bench),
        *_coordination(bench),
        *_secured(bench),
        *_starts(bench),
    ]  # fmt: skip
    if bench.is_full:
        found += growth_rows(bench)
    return found


def _floor(bench: Bench) -> Callable[[str], Figures]:
    return lambda _: floors.measure(bench.directory, 400_000_000)


def _streams(bench: Bench) -> Iterator[Row]:
    for codec in ("none", "lz4") if bench.is_full else ("none",):
        for size, text in SIZES.items():
            yield Row(
                f"stream/{size}/{codec}",
                f"{text}{', lz4' if codec == 'lz4' else ''}",
                [*(bench.brokers if codec == "none" else bench.unflushed), MOCK, NULL],
                bench.running(
                    throughput.stream, size=size, total=MEGABYTES[size] * 1_000_000, codec=codec
                ),
                bench.rounds,
                2.2,
                "in_mb_s",
            )
    if bench.is_full and bench.distribution is not None:
        measure = bench.running(
            throughput.java_tool, distribution=bench.distribution, size=1_000, total=100_000_000
        )
        yield Row(
            "java/1000",
            "1 KB",
            bench.unflushed,
            measure,
            min(2, bench.rounds),
            3,
            "in_mb_s",
        )


def _tails(bench: Bench) -> Iterator[Row]:
    """One writes, one reads it at once."""
    for size, text in SIZES.items() if bench.is_full else ():
        total = MEGABYTES[size] * 500_000
        measure = bench.running(throughput.together, size=size, total=total, partitions=1, pairs=1)
        rounds = min(2, bench.rounds)
        yield Row(f"tail/{size}", text, [*bench.unflushed, NULL], measure, rounds, 2)


def _together(bench: Bench) -> Iterator[Row]:
    for partitions in (1, 12, 100, 1_000) if bench.is_full else (12,):
        measure = bench.running(
            throughput.together, size=1_000, total=200_000_000, partitions=partitions
        )
        title = f"2 producers, 2 consumers, {partitions} partitions"
        seconds = 2.5 if partitions < 1_000 else 8
        rounds = bench.rounds if partitions < 1_000 else min(2, bench.rounds)
        keys = bench.brokers if partitions == 12 else bench.unflushed
        yield Row(f"together/{partitions}", title, keys, measure, rounds, seconds)
    if bench.is_full:
        measure = bench.running(throughput.stream, size=10_000, total=400_000_000, partitions=100)
        yield Row(
            "stream/10000/none/100", "10 KB, 100 partitions", [*bench.unflushed, MOCK, NULL],
            measure, min(2, bench.rounds), 3, "in_mb_s",
        )  # fmt: skip


def _requests(bench: Bench) -> Iterator[Row]:
    seconds = 1.5 if bench.is_full else 1.0
    for clients in (1, 16, 64, 200) if bench.is_full else (1, 64):
        idle = 2_000 if clients == 200 else 0
        yield Row(
            f"requests/{clients}",
            f"{clients} unbatched clients{', 2,000 idle' if idle else ''}",
            [*(bench.brokers if clients in (1, 64) else bench.unflushed), MOCK],
            bench.running(small_requests.measure, clients=clients, seconds=seconds, idle=idle),
            bench.rounds,
            seconds + (2.5 if idle else 0.6),
            "per_s",
        )


def _connections(bench: Bench) -> Row:
    measure = bench.starting(starting.with_connections, clients=200, idle=2_000)
    return Row("connections", "2,000 idle connections", bench.unflushed, measure, 1, 7, "memory_mb")


def _doors(bench: Bench) -> Iterator[Row]:
    requests = 3_000 if bench.is_full else 1_000
    measure = bench.running(http_door.rest_produce, size=100, requests=requests)
    yield Row("rest", "REST door, batches of 100", bench.unflushed, measure, 1, 5, "per_s")


def _latencies(bench: Bench) -> Iterator[Row]:
    for rate in (1_000, 20_000) if bench.is_full else (1_000,):
        measure = bench.running(latency.produce_to_consume, rate=rate, seconds=2)
        title = f"produce to consume, {rate:,} msg/s"
        yield Row(f"latency/{rate}", title, bench.unflushed, measure, bench.rounds, 3.2, "p50_us")


def _coordination(bench: Bench) -> Iterator[Row]:
    measure = bench.running(coordination.transactions, seconds=1.5)
    yield Row("transactions", "transactions", bench.brokers, measure, bench.rounds, 2, "per_s")
    if not bench.is_full:
        return
    measure = bench.running(coordination.rebalance, members=50)
    yield Row("rebalance", "rebalance of 50", bench.unflushed, measure, bench.rounds, 1.5, "ms")
    measure = bench.running(coordination.share_acknowledgements, records=50_000)
    yield Row("share", "share acknowledgements", bench.unflushed, measure, bench.rounds, 2, "per_s")


def _secured(bench: Bench) -> Iterator[Row]:
    if not bench.is_full or bench.certificates is None:
        return

    def measure(protocol: str) -> Callable[[str], Figures]:
        def run(key: str) -> Figures:
            system = bench.systems[key]
            assert not isinstance(system, Helper)
            return throughput.stream(
                system, size=1_000, total=150_000_000, settings=system.secured(protocol)
            )

        return run

    for protocol, title in (("SSL", "1 KB, TLS"), ("SASL_SSL", "1 KB, TLS, SASL, ACLs, quota")):
        yield Row(
            f"tls/{protocol}", title, bench.unflushed, measure(protocol), min(2, bench.rounds), 3,
            "in_mb_s",
        )  # fmt: skip


def _starts(bench: Bench) -> Iterator[Row]:
    measure = bench.starting(starting.fresh, partitions=1_000, groups=100)
    # Apache Kafka starts in the same way in both durabilities.
    yield Row("fresh", "first start", bench.unflushed, measure, bench.rounds, 8, "open_s")


def memory_after(bench: Bench) -> dict[str, dict[str, float]]:
    """What the systems hold at the end of everything."""
    return {
        key: {"resident_mb": resident_mb(system.pid), "peak_mb": peak_mb(system.pid)}
        for key, system in bench.systems.items()
    }


def growth_rows(bench: Bench) -> Iterator[Row]:
    """One measurement each: they take long, and what they ask for is an order of magnitude."""
    yield _connections(bench)
    keys = [OTTLA_FSYNC, *((APACHE_CACHE,) if bench.distribution is not None else ())]
    for partitions in (100, 1_000, 10_000):
        measure = bench.starting(starting.many_partitions, partitions=partitions)
        seconds = 4 + partitions / 1_000
        title = f"{partitions:,} partitions"
        # Apache Kafka takes minutes for the last of these.
        compared = keys if partitions <= 1_000 else keys[:1]
        yield Row(
            f"growth/partitions/{partitions}", title, compared, measure, 1, seconds, "ready_s"
        )
    measure = bench.starting(growth.large_log, gigabytes=50)
    yield Row("growth/log", "50 GB of log opened", [OTTLA_FSYNC], measure, 1, 5, "ready_s")
    measure = bench.starting(growth.offset_commits, count=10_000_000)
    yield Row(
        "growth/commits", "10 million offset commits", [OTTLA_FSYNC], measure, 1, 120, "ready_s"
    )
