"""`ottla consume`: read records of topics, filtered and formatted."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from ottla.cli.errors import INTERRUPTED, CommandError, flush_to_reader
from ottla.cli.progress import Progress
from ottla.cli.record_filters import RecordFilter, add_filter_arguments, filter_of
from ottla.cli.record_texts import (
    CSV_COLUMNS,
    LETTERS_HELP,
    TextRecord,
    compile_format,
    csv_row,
    to_csv,
    to_json,
)
from ottla.cli.verbs.connection import (
    Connection,
    add_connection_arguments,
    connection_of,
    opened_cluster,
)

#: JSON is in lines either way: topics have no end.
OUTPUTS = ("value", "json", "jsonl", "csv", "full")

DESCRIPTION = """\
Read records of topics, from the first one on, and wait for more.

  ottla consume orders                      values, one per line
  ottla consume orders -e -o json | jq .    all that is there, as JSON lines
  ottla consume orders -F '%p:%o %k = %v\\n'
  ottla consume orders --tail 10            the last ten; with -f also what comes
  ottla consume orders --from 2h --to 1h -j user.id=7
  ottla consume orders -g billing           as a member of a group, committing
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("topics", nargs="+", metavar="TOPIC")
    add("-o", "--output", choices=OUTPUTS, default="value", help="what to print")
    add("-F", "--format", metavar="TEXT", help=LETTERS_HELP.replace("%", "%%"))
    add("--inline", action="store_true", help="with -o json: values that are JSON as JSON")
    where = parser.add_argument_group(
        "from where to where", "earliest, latest, an offset, a date and time, or so long ago: 2h"
    )
    where.add_argument(
        "--from",
        dest="start",
        default="earliest",
        metavar="WHERE",
        help="begin here: an offset, a time, earliest (default) or latest",
    )
    where.add_argument("--to", dest="end", metavar="WHERE", help="end before this offset or time")
    where.add_argument("--tail", type=int, metavar="N", help="the last N records, and end")
    where.add_argument("-f", "--follow", action="store_true", help="with --tail: go on")
    where.add_argument("-e", "--exit", action="store_true", help="end at the end of the topics")
    where.add_argument("-n", "--max", type=int, metavar="N", help="end after N records")
    where.add_argument(
        "-p", "--partition", action="append", default=[], type=int, metavar="N", help="only this"
    )
    add("-g", "--group", metavar="GROUP", help="read as a member of a group, and commit")
    add("--read-committed", action="store_true", help="leave aborted transactions out")
    add_filter_arguments(parser)
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print what passes the filters; Ctrl-C is 130."""
    write, is_wanted = _writer(args), filter_of(args)
    connection = connection_of(args)
    output = sys.stdout.buffer
    if args.output == "csv" and args.format is None:
        output.write(csv_row(CSV_COLUMNS).encode() + b"\n")
    try:
        with Progress("reading", is_wanted=not sys.stdout.isatty()) as progress:
            records = _records(connection, args, progress, is_wanted)
            for record in records if args.max is None else islice(records, args.max):
                output.write(write(record))
    except KeyboardInterrupt:
        output.flush()
        return INTERRUPTED
    output.flush()
    return 0


def _writer(args: argparse.Namespace) -> Callable[[TextRecord], bytes]:
    if args.format is not None:
        return compile_format(args.format if args.format.endswith("\\n") else args.format + "\\n")
    if args.output in ("json", "jsonl"):
        return lambda record: to_json(record, inline=args.inline).encode() + b"\n"
    if args.output == "csv":
        return lambda record: to_csv(record).encode() + b"\n"
    if args.output == "full":
        return compile_format("%d  %t-%p@%o  %h\\n  %k\\n  %v\\n")
    return lambda record: (b"" if record.value is None else record.value) + b"\n"


def _records(
    connection: Connection,
    args: argparse.Namespace,
    progress: Progress,
    is_wanted: RecordFilter | None,
) -> Iterator[TextRecord]:
    source = _from_group if args.group else _from_ranges
    for record in source(connection, args, progress):
        if is_wanted is None or is_wanted(record):
            yield record


def _from_group(
    connection: Connection, args: argparse.Namespace, progress: Progress
) -> Iterator[TextRecord]:
    from ottla.cli.workers.consuming import RecordReader

    del progress
    if (
        args.tail is not None
        or args.end
        or args.partition
        or args.start
        not in (
            "earliest",
            "latest",
        )
    ):
        raise CommandError("A group reads from what it committed: --from earliest or latest only.")
    properties = {
        "auto.offset.reset": args.start,
        "group.id": args.group,
        "client.id": "ottla-consume",
        "isolation.level": "read_committed" if args.read_committed else "read_uncommitted",
        **connection.properties,
    }
    with RecordReader(connection.servers, properties) as reader:
        reader.subscribe_all(args.topics)
        while True:
            message = reader.next(3 if args.exit else None, before_waiting=flush_to_reader)
            if message is None:
                return
            yield TextRecord.of(message)


def _from_ranges(
    connection: Connection, args: argparse.Namespace, progress: Progress
) -> Iterator[TextRecord]:
    from ottla.cli.workers.range_reading import RangeReader
    from ottla.cli.workers.ranges import partitions_of, resolve

    with opened_cluster(args) as cluster:
        partitions = partitions_of(cluster, args.topics, args.partition)
        ranges = resolve(cluster, partitions, start=args.start, end=args.end, tail=args.tail)
    ends = bool(args.exit or args.end or (args.tail is not None and not args.follow))
    last: deque[TextRecord] | None = None
    if args.tail is not None and len(partitions) > 1 and not args.follow:
        last = deque()
    read = 0
    with RangeReader(
        connection.servers,
        connection.properties,
        ranges,
        follow=not ends,
        read_committed=args.read_committed,
    ) as reader:
        for messages in reader.rounds():
            read += len(messages)
            if ends:
                progress.show(reader.done, read)
            if not messages:
                flush_to_reader()
            for message in messages:
                record = TextRecord.of(message)
                if last is None:
                    yield record
                else:
                    last.append(record)
    if last is not None:
        newest = sorted(last, key=lambda record: record.timestamp_ms)
        yield from newest[-args.tail :] if args.tail else []
