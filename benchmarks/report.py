"""Results as tables: what was measured, with spread and ratios, and which marks hold."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.marks import verdicts
from benchmarks.plan import MACHINE
from benchmarks.systems import APACHE_CACHE, NAMES, OTTLA_CACHE, OTTLA_FSYNC

BEGIN: Final = "<!-- written by make bench ARGS=--full -->"
END: Final = "<!-- end of what make bench writes -->"
NOTHING: Final = "–"
LINE_WIDTH: Final = 100


class Column(NamedTuple):
    """One figure of a row: its name in the results, and how it is shown."""

    name: str
    title: str
    digits: int = 0
    scale: float = 1.0


class Table(NamedTuple):
    """Rows that begin with `prefix`, one line for each of their figures."""

    heading: str
    prefix: str
    columns: Sequence[Column]
    text: str = ""
    lower_is_better: bool = False


TABLES: Final = (
    Table("Start and memory", "fresh", (
        Column("open_s", "open port, s", 2), Column("ack_s", "first acknowledged, s", 2),
        Column("consumed_s", "first group-consumed, s", 2),
        Column("start_cpu_s", "CPU to the open port, s", 2),
        Column("idle_mb", "memory idle, MB"),
        Column("grown_mb", "memory, 1,000 partitions and 100 groups, MB"),
        Column("create_ms", "making a partition, ms", 2),
    ), "On an empty directory. Apache Kafka was formatted before; that is not counted.", True),
    Table("Produce", "stream/", (Column("in_mb_s", "MB/s"), Column("in_cpu_ms_mb", "CPU ms/MB", 2)),
        "One librdkafka producer, acks=all, requests of up to 1 MB. “No broker” receives and"
        " acknowledges without a look: the client's own limit."),
    Table("Consume", "stream/", (
        Column("out_mb_s", "MB/s"), Column("out_cpu_ms_mb", "CPU ms/MB", 2),
    ), "One librdkafka consumer reads what was just written, from the page cache."),
    Table("Java's own tools", "java/", (
        Column("in_mb_s", "in, MB/s"), Column("in_cpu_ms_mb", "in, CPU ms/MB", 2),
        Column("out_mb_s", "out, MB/s"), Column("out_cpu_ms_mb", "out, CPU ms/MB", 2),
    ), "`kafka-producer-perf-test` and `kafka-consumer-perf-test` of Apache Kafka."),
    Table("Consume from the tail", "tail/", (
        Column("mb_s", "MB/s"), Column("cpu_ms_mb", "CPU ms/MB", 2),
    ), "One producer, and one consumer that reads what is being written: in and out together."),
    Table("Everybody at once", "together/", (
        Column("mb_s", "MB/s"), Column("cpu_ms_mb", "CPU ms/MB", 2),
    ), "Producers write, consumers read the tail meanwhile; 1 KB."),
    Table("Encrypted", "tls/", (
        Column("in_mb_s", "in, MB/s"), Column("in_cpu_ms_mb", "in, CPU ms/MB", 2),
        Column("out_mb_s", "out, MB/s"),
    )),
    Table("Small requests", "requests/", (
        Column("per_s", "a second"), Column("p50_us", "p50, µs"), Column("p99_us", "p99, µs"),
        Column("p999_us", "p99.9, µs"), Column("cpu_us", "broker CPU, µs each", 1),
    ), "Each client sends one record of 100 bytes and waits for its acknowledgement."),
    Table("Memory with connections", "connections", (Column("memory_mb", "MB"),),
        "A fresh broker, 200 active clients, 2,000 idle connections.", True),
    Table("Produce to consume", "latency/", (
        Column("p50_us", "p50, µs"), Column("p99_us", "p99, µs"), Column("p999_us", "p99.9, µs"),
    ), "", True),
    Table("Through the REST door", "rest", (
        Column("per_s", "records a second"), Column("gateway_us", "gateway's CPU, µs a record", 1),
    ), "Ottla's gateway in front of each; eight clients, 100 records of 100 bytes in a request."),
    Table("Coordinators", "transactions", (
        Column("per_s", "transactions of 100 records a second"), Column("cpu_ms", "CPU ms each", 2),
    )),
    Table("", "rebalance", (Column("ms", "rebalance of 50 members, ms", 1),
        Column("cpu_ms", "CPU ms", 1)), "", True),
    Table("", "share", (Column("per_s", "share acknowledgements a second"),
        Column("cpu_us", "CPU µs each", 1))),
    Table("Growth", "growth/partitions", (
        Column("ready_s", "start, s", 2), Column("metadata_ms", "metadata of all, ms", 1),
        Column("memory_mb", "memory, MB"), Column("create_ms", "making one, ms", 2),
    ), "", True),
    Table("", "growth/log", (Column("ready_s", "start, s", 2), Column("memory_mb", "memory, MB")),
        "Segments of a gigabyte that are mostly holes; a clean start reads none of them.", True),
    Table("", "growth/commits", (Column("ready_s", "start, s", 2), Column("stop_s", "stop, s", 2),
        Column("memory_mb", "memory, MB"), Column("commits", "commits"),
        Column("commits_per_s", "commits a second")), "", True),
)  # fmt: skip


def markdown(results: dict[str, Any]) -> str:
    """The whole report, without a title of its own."""
    return "\n".join([*_head(results), *_verdicts(results), *_tables(results)]) + "\n"


def _rounds(results: dict[str, Any]) -> str:
    """How often the row measured most often was measured."""
    systems = (row["systems"].values() for row in results["rows"].values())
    most = max((len(samples) for found in systems for samples in found), default=0)
    return "each row once" if most == 1 else f"up to {most} rounds a row"


def _head(results: dict[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    yield _wrapped(
        f"Measured {results['began']} in {results.get('took_s', 0) / 60:.0f} minutes,"
        f" {_rounds(results)}:"
        f" {machine['system']}, {machine['processor']}, {machine['cores']} cores, Python"
        f" {machine['python']}; load {machine['load']} when it began. Clients and brokers share"
        " the machine. All systems run at once and are measured in turn, in another order each"
        " round; figures are medians (smallest to largest). The authorizer is on everywhere."
        " The mock is C, in memory, without checksums or a disk, and keeps 5 MB a partition: an"
        " upper bound, not an equal."
    )
    for note in results["notes"]:
        yield f"\n**{note}**"
    yield ""
    samples = results["rows"].get("floor", {}).get("systems", {}).get(MACHINE, [])
    if samples:
        middle = {name: statistics.median(s[name] for s in samples) for name in samples[0]}
        yield _wrapped(
            "The floor of the machine in this run: a loop that only receives takes"
            f" {middle['tcp_mb_s']:,.0f} MB/s ({middle['tcp_cpu_ms_mb']:.2f} ms of CPU per MB),"
            f" one that only writes a file {middle['append_mb_s']:,.0f} MB/s, and with a flush"
            f" after each megabyte {middle['fsync_mb_s']:,.0f} MB/s; a flush after 100 bytes"
            f" takes {middle['fsync_us_p50']:,.0f} µs (p99 {middle['fsync_us_p99']:,.0f} µs)."
        )
        yield ""
    after = results.get("memory_after", {})
    if after:
        held = ", ".join(
            f"{NAMES[key]} {found['resident_mb']:,.0f} MB (peak {found['peak_mb']:,.0f})"
            for key, found in after.items()
        )
        yield _wrapped(f"Memory after all of it: {held}.")
        yield ""


def _wrapped(text: str) -> str:
    return textwrap.fill(text, LINE_WIDTH)


def _verdicts(results: dict[str, Any]) -> Iterator[str]:
    found = verdicts(results)
    asked = [verdict for verdict in found if verdict.is_met is not None]
    if not asked:
        return
    met = sum(bool(verdict.is_met) for verdict in asked)
    yield f"## Marks: {met} of {len(asked)} met"
    yield ""
    yield "| mark | measured | |"
    yield "|---|---|---|"
    for verdict in found if results["profile"] == "full" else asked:
        word = {True: "met", False: "**not met**", None: NOTHING}[verdict.is_met]
        yield f"| {verdict.mark} | {verdict.said} | {word} |"
    yield ""


def _tables(results: dict[str, Any]) -> Iterator[str]:
    for table in TABLES:
        rows = {k: v for k, v in results["rows"].items() if k.startswith(table.prefix)}
        if not rows:
            continue
        systems = [key for key in NAMES if any(key in row["systems"] for row in rows.values())]
        if table.heading:
            yield f"## {table.heading}"
            yield ""
        if table.text:
            yield table.text
            yield ""
        ratios = _ratios(systems)
        yield "| | " + " | ".join([*(NAMES[key] for key in systems), *ratios]) + " |"
        yield "|---|" + "---|" * (len(systems) + len(ratios))
        for row in rows.values():
            yield from _lines(row, table, systems, ratios)
        yield ""


def _ratios(systems: Sequence[str]) -> dict[str, tuple[str, str]]:
    if APACHE_CACHE not in systems:
        return {}
    wanted = {
        "Ottla page-cache / Apache": (OTTLA_CACHE, APACHE_CACHE),
        "Ottla fsync / Apache page-cache": (OTTLA_FSYNC, APACHE_CACHE),
    }
    return {text: pair for text, pair in wanted.items() if pair[0] in systems}


def _lines(
    row: dict[str, Any],
    table: Table,
    systems: Sequence[str],
    ratios: dict[str, tuple[str, str]],
) -> Iterator[str]:
    for column in table.columns:
        if not any(column.name in s for found in row["systems"].values() for s in found):
            continue
        title = column.title if len(table.columns) > 3 and table.prefix == "fresh" else (
            f"{row['title']}: {column.title}"
        )  # fmt: skip
        cells = [title]
        for key in systems:
            samples = [s[column.name] for s in row["systems"].get(key, []) if column.name in s]
            failed = key in row["failures"]
            cells.append(_cell(samples, column.digits) if samples else "failed" * failed or NOTHING)
        cells += [_ratio(row, column.name, *pair) for pair in ratios.values()]
        yield "| " + " | ".join(cells) + " |"


def _cell(samples: Sequence[float], digits: int) -> str:
    show: Callable[[float], str] = lambda value: f"{value:,.{digits}f}"  # noqa: E731
    middle = show(statistics.median(samples))
    if len(samples) < 2:
        return middle
    return f"{middle} ({show(min(samples))}–{show(max(samples))})"


def _ratio(row: dict[str, Any], name: str, ours: str, theirs: str) -> str:
    """Of the medians."""
    found = [[s[name] for s in row["systems"].get(key, []) if name in s] for key in (ours, theirs)]
    if not all(found) or not statistics.median(found[1]):
        return NOTHING
    return f"{statistics.median(found[0]) / statistics.median(found[1]):.2f}"


def write_into(page: Path, text: str) -> None:
    """Put the report between the page's two marks; what is around them stays."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
