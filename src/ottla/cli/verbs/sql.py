"""`ottla sql`: topics as tables."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ottla.cli.errors import INTERRUPTED, CommandError, flush_to_reader, note
from ottla.cli.output import add_output_argument, print_rows
from ottla.cli.progress import Progress
from ottla.cli.verbs.connection import add_connection_arguments, opened_cluster

if TYPE_CHECKING:
    from ottla.cli.workers.column_reading import Part
    from ottla.cli.workers.ranges import Ranges
    from ottla.cli.workers.topic_tables import TopicTables
    from ottla.client.cluster import Cluster

DESCRIPTION = """\
Ask topics in SQL. Columns: partition, offset, timestamp (UTC), key, value,
headers, json, and each field of JSON values under its own name.

  ottla sql "SELECT country, count(*) FROM events GROUP BY country ORDER BY 2 DESC"
  ottla sql 'SELECT o.id, p.sum FROM orders o JOIN payments p ON p.order_id = o.id'
  ottla sql "COPY (SELECT * FROM events WHERE timestamp > '2026-05-31') TO 'e.parquet'"
  ottla sql --follow "SELECT type, count(*) FROM events GROUP BY type"

Names with dashes take double quotes: FROM "my-topic". Conditions on partition,
offset and timestamp are applied before anything is read; an upper limit of the
time only where the broker stamps the records (LogAppendTime).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", help="a query, or - for standard input")
    parser.add_argument(
        "--from", dest="start", default="earliest", metavar="WHERE", help="read from"
    )
    parser.add_argument("--to", dest="end", metavar="WHERE", help="read to")
    parser.add_argument("-f", "--follow", action="store_true", help="keep the result up to date")
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="S", help="with --follow: so often (default 1)"
    )
    add_output_argument(parser)
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Load what the query names, run it, print the rows."""
    try:
        from ottla.cli.workers.topic_tables import TopicTables, quote_offsets, tables_in
    except ModuleNotFoundError:
        raise CommandError(
            "ottla sql needs DuckDB; install it with: pip install 'ottla[sql]'"
        ) from None
    from ottla.cli.workers.topics import list_topics

    query = quote_offsets(sys.stdin.read() if args.query == "-" else args.query)
    with opened_cluster(args) as cluster:
        topics = tables_in(query, list_topics(cluster))
        tables = TopicTables()
        try:
            read = _load(cluster, tables, topics, query, args)
            if args.follow:
                return _follow(cluster, tables, read, query, args)
            _print(tables, query, args)
            for topic in topics:
                strays = tables.not_json(topic)
                if strays:
                    are = "value is" if strays == 1 else "values are"
                    note(f"{topic}: {strays:,} {are} not JSON")
        finally:
            tables.close()
    return 0


def _load(
    cluster: Cluster,
    tables: TopicTables,
    topics: Sequence[str],
    query: str,
    args: argparse.Namespace,
) -> dict[str, Ranges]:
    """Fill the tables with what the query can want; returns what was read of each topic."""
    from ottla.cli.workers.query_bounds import (
        bounds_of,
        columns_of_records,
        narrowed,
        records_enough,
    )
    from ottla.cli.workers.ranges import partitions_of, resolve

    bounds = bounds_of(tables.database, query, topics)
    wanted = columns_of_records(tables.database, query)
    enough = None if args.follow else records_enough(tables.database, query)
    read: dict[str, Ranges] = {}
    for topic in topics:
        partitions = partitions_of(cluster, [topic])
        read[topic] = resolve(cluster, partitions, start=args.start, end=args.end)
        limits = bounds.get(topic)
        if limits is not None and args.follow:
            # What follows begins where reading ended, so only the beginning may move.
            limits = limits._replace(end=None, until_ms=None, partitions=None)
        if limits is not None:
            is_ascending = limits.until_ms is not None and _is_of_append(cluster, topic)
            read[topic] = narrowed(cluster, read[topic], limits, is_time_ascending=is_ascending)
        tables.add(topic, _rounds(cluster, read[topic], wanted, enough, f"reading {topic}"))
    return read


def _is_of_append(cluster: Cluster, topic: str) -> bool:
    """Whether the broker stamps the topic's records, so that their times ascend."""
    from ottla.cli.workers.configs import describe_configs
    from ottla.cli.workers.resource_types import TOPIC

    entries = describe_configs(cluster, TOPIC, [topic])[topic]
    values = {entry.name: entry.value for entry in entries}
    return values.get("message.timestamp.type") == "LogAppendTime"


def _rounds(
    cluster: Cluster, ranges: Ranges, wanted: frozenset[str], enough: int | None, what: str
) -> Iterator[list[Part]]:
    """What the ranges hold, until there is enough of it."""
    from ottla.cli.workers.column_reading import ColumnReader

    count = 0
    with Progress(what) as progress:
        reader = ColumnReader(cluster, ranges, wanted=wanted)
        for parts in reader.rounds():
            count += sum(len(part.columns.offsets) for part in parts)
            progress.show(reader.done, count)
            yield parts
            if enough is not None and count >= enough and count:
                return


def _print(tables: TopicTables, query: str, args: argparse.Namespace) -> None:
    """Run the query and print its result."""
    columns, rows = tables.run(query)
    named = [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]
    print_rows(named, columns, args.output, empty="(no rows)", headings=columns)


def _plain(value: Any) -> Any:
    """Values that JSON has no word for, as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | dict):
        return value
    return str(value)


def _follow(
    cluster: Cluster,
    tables: TopicTables,
    read: dict[str, Ranges],
    query: str,
    args: argparse.Namespace,
) -> int:
    """Show the result again and again, with what has come since; Ctrl-C ends it."""
    from ottla.cli.workers.column_reading import ColumnReader
    from ottla.cli.workers.ranges import Ranges
    from ottla.cli.workers.topic_tables import NoFieldsYetError

    starts = {p: end for ranges in read.values() for p, end in ranges.ends.items()}
    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() else ""
    rounds = ColumnReader(cluster, Ranges(starts, dict(starts)), follow=True).rounds()
    is_waiting = False
    try:
        while True:
            try:
                print(clear, end="")
                _print(tables, query, args)
            except NoFieldsYetError as error:
                if not is_waiting:
                    note(f"{error} Waiting for it.")
                is_waiting = True
            flush_to_reader()
            deadline = time.monotonic() + args.every
            new: dict[str, list[Part]] = {}
            while time.monotonic() < deadline:
                for part in next(rounds, []):
                    new.setdefault(part.topic, []).append(part)
            for topic, parts in new.items():
                tables.add(topic, [parts])
    except KeyboardInterrupt:
        return INTERRUPTED
