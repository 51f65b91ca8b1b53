"""`ottla search`: find text or a regular expression in whole topics."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ottla.cli.errors import INTERRUPTED
from ottla.cli.output import BOLD, DIM, RED, colour
from ottla.cli.progress import Progress
from ottla.cli.record_filters import add_filter_arguments, filter_of, pattern_filter
from ottla.cli.record_texts import (
    CSV_COLUMNS,
    TextRecord,
    csv_row,
    moment_text,
    to_csv,
    to_json,
)
from ottla.cli.verbs.connection import (
    add_connection_arguments,
    connection_of,
    opened_cluster,
)

DESCRIPTION = """\
Find text in keys, values and headers of whole topics; 1 when there is none.

  ottla search timeout orders payments
  ottla search '/order-[0-9]{7}/' --all --from 2h
  ottla search error app-log -o json | jq -r .value
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("pattern", metavar="PATTERN", help="text, or a regular expression between slashes")
    add("topics", nargs="*", metavar="TOPIC", help="where to look")
    add("-a", "--all", action="store_true", help="every topic but the internal ones")
    add(
        "--in",
        dest="places",
        choices=("key", "value", "headers", "any"),
        default="any",
        help="where in a record",
    )
    add("--from", dest="start", default="earliest", metavar="WHERE", help="time or offset")
    add("--to", dest="end", metavar="WHERE", help="time or offset")
    add("-n", "--max", type=int, metavar="N", help="end after N finds")
    add("--count", action="store_true", help="print only how many there are, per topic")
    add(
        "-o",
        "--output",
        choices=("text", "json", "jsonl", "csv"),
        default="text",
        help="how to print what is found",
    )
    add_filter_arguments(parser)
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print what is found; 0 when there was something, as grep does."""
    from ottla.cli.errors import CommandError
    from ottla.cli.workers.range_reading import RangeReader
    from ottla.cli.workers.ranges import partitions_of, resolve
    from ottla.cli.workers.topics import list_topics

    is_found = _finder(args.pattern, args.places)
    is_wanted = filter_of(args)
    connection = connection_of(args)
    with opened_cluster(args) as cluster:
        topics = sorted(list_topics(cluster, internal=False)) if args.all else args.topics
        if not topics:
            raise CommandError("Name topics to search, or --all.")
        partitions = partitions_of(cluster, topics)
        ranges = resolve(cluster, partitions, start=args.start, end=args.end)
    counts = dict.fromkeys(topics, 0)
    read = 0
    if args.output == "csv" and not args.count:
        print(csv_row(CSV_COLUMNS))
    try:
        with (
            Progress("searching") as progress,
            RangeReader(connection.servers, connection.properties, ranges) as reader,
        ):
            for messages in reader.rounds():
                read += len(messages)
                for message in messages:
                    record = TextRecord.of(message)
                    if not is_found(record) or (is_wanted and not is_wanted(record)):
                        continue
                    counts[record.topic] += 1
                    if not args.count:
                        progress.clear()
                        print(_text(record, args), flush=sys.stdout.isatty())
                    if args.max is not None and sum(counts.values()) >= args.max:
                        return 0
                progress.show(reader.done, read)
    except KeyboardInterrupt:
        return INTERRUPTED
    if args.count:
        for topic, count in counts.items():
            print(f"{topic}: {count}")
    found = sum(counts.values())
    print(f"{found} of {read:,} records.", file=sys.stderr)
    return 0 if found else 1


def _finder(pattern: str, places: str) -> Callable[[TextRecord], bool]:
    found = pattern_filter(pattern)

    def in_headers(record: TextRecord) -> bool:
        return any(found(value) or found(name.encode()) for name, value in record.headers)

    return {
        "key": lambda record: found(record.key),
        "value": lambda record: found(record.value),
        "headers": in_headers,
        "any": lambda record: found(record.value) or found(record.key) or in_headers(record),
    }[places]


def _text(record: TextRecord, args: argparse.Namespace) -> str:
    if args.output in ("json", "jsonl"):
        return to_json(record)
    if args.output == "csv":
        return to_csv(record)
    place = colour(f"{record.topic}-{record.partition}@{record.offset}", BOLD)
    when = colour(moment_text(record.timestamp_ms), DIM)
    key = "" if record.key is None else f"{record.key.decode(errors='replace')} = "
    value = "(null)" if record.value is None else record.value.decode(errors="replace")
    return f"{place} {when}  {_marked(key + value, args.pattern)}"


def _marked(text: str, pattern: str) -> str:
    """The first place where it was found in red, on a terminal."""
    import re

    is_regex = len(pattern) > 1 and pattern[0] == pattern[-1] == "/"
    match = re.search(pattern[1:-1] if is_regex else re.escape(pattern), text)
    if not match or not match[0]:
        return text
    return text[: match.start()] + colour(match[0], RED) + text[match.end() :]
