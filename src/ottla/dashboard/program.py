"""`ottla dash`: its flags, and the choice between the terminal and plain text."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping
from threading import Event

from ottla.dashboard.plain import text_of
from ottla.dashboard.reader import Reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topic", default="analytics", help="(default: %(default)s)")
    parser.add_argument(
        "--once", action="store_true", help="read what is there, print the lists and end"
    )
    parser.add_argument(
        "--patience", type=float, default=30.0, metavar="SECONDS",
        help="with a broker or a topic that is not there, in --once (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--plain", action="store_true",
        help="print the lists as text now and then (the default without a terminal)",
    )  # fmt: skip
    parser.add_argument(
        "--interval", type=float, default=10.0, metavar="SECONDS",
        help="between two prints of --plain (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--rows", type=int, default=10, help="of each printed list")
    parser.add_argument(
        "--address", action="append", default=[], metavar="NAME=ADDRESS",
        help="an address to show at the bottom; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--footer", action="append", default=[], metavar="LINE",
        help="a line to show at the bottom; may be given again",
    )  # fmt: skip


def run(args: argparse.Namespace, settings: Mapping[str, str]) -> int:
    """Returns the exit status."""
    reader = Reader(settings, args.topic)
    if args.once:
        return _print_once(reader, args.rows, args.patience)
    if args.plain or not sys.stdout.isatty():
        return _print_often(reader, args.rows, args.interval)
    from ottla.dashboard.app import Dashboard

    pairs = [tuple(word.partition("=")[::2]) for word in args.address]
    Dashboard(reader, args.footer, pairs).run()
    return 0


def _print_once(reader: Reader, rows: int, patience_s: float) -> int:
    reader.start()
    try:
        done = -1
        while not reader.wait_until_caught_up(patience_s):
            if reader.progress.done == done or not reader.progress.partitions:
                reason = reader.trouble or f"the topic {reader.topic} gives no records"
                print(f"Nothing to show: {reason}.", file=sys.stderr)
                return 1
            done = reader.progress.done
        sys.stdout.write(text_of(reader.snapshot(1), rows))
    finally:
        reader.close()
    return 0


def _print_often(reader: Reader, rows: int, interval_s: float) -> int:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    reader.start()
    try:
        while not stop.wait(interval_s):
            if reader.trouble:
                print(f"waiting: {reader.trouble}", flush=True)
            else:
                print(text_of(reader.snapshot(1), rows), flush=True)
    finally:
        reader.close()
    return 0
