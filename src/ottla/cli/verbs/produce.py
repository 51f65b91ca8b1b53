"""`ottla produce`: send lines, JSON records, or a file as records."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ottla.cli.errors import CommandError
from ottla.cli.progress import Progress
from ottla.cli.record_texts import ESCAPES, TextRecord, from_json
from ottla.cli.verbs.connection import add_connection_arguments, connection_of

if TYPE_CHECKING:
    from ottla.cli.workers.producing import RecordSender

#: So many records between two looks at the clock.
PROGRESS_EVERY: Final = 1_000

DESCRIPTION = """\
Send records to a topic; each line of standard input is one.

  echo hello | ottla produce greetings
  ottla produce orders --separator : < keys-and-values.txt
  ottla produce orders -k k1 -H source=cli -m '{"id": 1}'
  ottla consume orders -e -o json | ottla produce copy -i json      nothing is lost
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("topic", metavar="TOPIC")
    add("-m", "--message", action="append", default=[], metavar="TEXT", help="send this instead")
    add("-f", "--file", action="append", default=[], type=Path, help="send a file as one record")
    add(
        "-i",
        "--input",
        choices=("lines", "json"),
        default="lines",
        help="json: the lines of `ottla consume -o json`, with key, headers, partition, timestamp",
    )
    add("-k", "--key", metavar="TEXT", help="key of every record")
    add("-s", "--separator", metavar="TEXT", help="what stands between key and value of a line")
    add("-H", "--header", action="append", default=[], metavar="K=V", help="header of each record")
    add("-p", "--partition", type=int, metavar="N", help="send to this partition")
    add("--keep-partitions", action="store_true", help="with -i json: to the partitions they name")
    add("-0", "--empty-as-null", action="store_true", help="an empty value is a tombstone")
    add("-z", "--compression", choices=("none", "gzip", "snappy", "lz4", "zstd"), default="none")
    add("--acks", choices=("0", "1", "all"), default="all")
    add("-q", "--quiet", action="store_true", help="do not say how many were sent")
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Send everything; 1 when a record was refused."""
    from ottla.cli.workers.producing import RecordSender

    connection = connection_of(args)
    # A name may come several times: pairs, not a dictionary.
    pairs = (word.partition("=") for word in args.header)
    headers = [(name.strip(), value.encode()) for name, _, value in pairs]
    defaults: dict[str, Any] = {
        "acks": args.acks,
        "compression.type": args.compression,
        "linger.ms": 5,
        "topic.metadata.propagation.max.ms": 10_000,
        "client.id": "ottla-produce",
    }
    with (
        RecordSender(connection.servers, connection.properties, defaults) as sender,
        Progress("sending", is_wanted=_wants_progress(args)) as progress,
    ):
        for count, record in enumerate(_records(args), 1):
            _send(sender, args, record, headers)
            if count % PROGRESS_EVERY == 0:
                progress.show(_share_read(), count)
    if not args.quiet:
        print(f"Sent {sender.sent} record{'s'[: sender.sent != 1]}.", file=sys.stderr)
    return 1 if sender.failures else 0


def _wants_progress(args: argparse.Namespace) -> bool:
    """Not for what a person types, nor beside the progress of an `ottla consume` in the pipe."""
    if args.quiet or args.message or args.file or sys.stdin.isatty():
        return False
    return args.input == "lines" or _file_size() is not None


def _share_read() -> float | None:
    """How much of standard input is read; None when it has no end that is known."""
    size = _file_size()
    return min(1.0, sys.stdin.buffer.tell() / size) if size else None


def _file_size() -> int | None:
    """The size of standard input where it is a file."""
    status = os.fstat(sys.stdin.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _send(
    sender: RecordSender,
    args: argparse.Namespace,
    record: TextRecord,
    headers: list[tuple[str, bytes]],
) -> None:
    partition = record.partition if args.keep_partitions else -1
    if args.partition is not None:
        partition = args.partition
    value = None if args.empty_as_null and not record.value else record.value
    sender.send(
        args.topic,
        value,
        key=record.key if args.key is None else args.key.encode(),
        headers=[*record.headers, *headers],
        partition=partition,
        timestamp_ms=max(0, record.timestamp_ms),
    )


def _records(args: argparse.Namespace) -> Iterator[TextRecord]:
    if args.message or args.file:
        for text in args.message:
            yield _plain(None, text.encode())
        for path in args.file:
            try:
                yield _plain(None, path.read_bytes())
            except OSError as error:
                raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
        return
    if sys.stdin.isatty():
        print("One record per line; Ctrl-D ends.", file=sys.stderr)
    lines: Iterable[bytes] = sys.stdin.buffer
    separator = None
    if args.separator is not None:
        text = args.separator
        if text[:1] == "\\" and text[1:] in ESCAPES:
            text = ESCAPES[text[1:]]
        separator = text.encode()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\n").removesuffix(b"\r")
        if args.input == "json":
            if line.strip():
                yield from_json(line, f"line {number}")
        elif separator is None:
            yield _plain(None, line)
        else:
            key, found, value = line.partition(separator)
            if not found:
                raise CommandError(f"Line {number} has no {args.separator!r} after its key.")
            yield _plain(key, value)


def _plain(key: bytes | None, value: bytes) -> TextRecord:
    return TextRecord("", -1, -1, -1, key, value, [])
