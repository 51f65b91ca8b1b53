"""`ottla offsets`: where partitions begin and end, and what was written when."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ottla.cli.errors import CommandError
from ottla.cli.output import add_output_argument, print_rows
from ottla.cli.times import parse_moment
from ottla.cli.verbs.connection import add_connection_arguments, opened_cluster
from ottla.cli.watching import Rates, add_watch_argument, shown

if TYPE_CHECKING:
    from ottla.client.cluster import Cluster

DESCRIPTION = """\
Show the offsets of topics, one row per partition.

  ottla offsets orders
  ottla offsets orders --at 2h                    the first record of the last two hours
  ottla offsets orders --at 2026-05-31T12:00      the first record since then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    parser.add_argument("--at", metavar="TIME", help="also the offset of this time")
    add_watch_argument(parser)
    add_output_argument(parser)
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the rows; an unknown topic is an error."""
    rates = Rates()
    with opened_cluster(args) as cluster:
        return shown(lambda: _show(cluster, args, rates), args.watch)


def _show(cluster: Cluster, args: argparse.Namespace, rates: Rates) -> None:
    from ottla.client.offsets import EARLIEST, LATEST, find_offsets, partition_leaders

    partitions = sorted(partition_leaders(cluster, args.topics))
    for topic in args.topics:
        if not any(name == topic for name, _ in partitions):
            raise CommandError(f"There is no topic {topic}.")
    starts = find_offsets(cluster, dict.fromkeys(partitions, EARLIEST))
    ends = find_offsets(cluster, dict.fromkeys(partitions, LATEST))
    found = {}
    if args.at:
        found = find_offsets(cluster, dict.fromkeys(partitions, parse_moment(args.at)))
    rows = []
    for topic, number in partitions:
        start, end = starts[topic, number].offset, ends[topic, number].offset
        row: dict[str, object] = {
            "topic": topic,
            "partition": number,
            "start": start,
            "end": end,
            "records": end - start,
            "per_second": rates.of((topic, number), end),
        }
        if args.at:
            offset = found[topic, number].offset
            row["at"] = None if offset < 0 else offset
        rows.append(row)
    columns = ["topic", "partition", "start", "end", "records"]
    columns += ["per_second"] if args.watch is not None else []
    print_rows(rows, [*columns, "at"] if args.at else columns, args.output)
