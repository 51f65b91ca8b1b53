"""`ottla verify`: check a data directory, without a broker and without writing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ottla.cli.errors import CommandError
from ottla.cli.output import GREEN, RED, colour, size_text

DESCRIPTION = """\
Read every batch and index of a data directory, Ottla's or Apache Kafka's, and
name what is damaged by file and byte. Nothing is written. The broker may run,
but then its last batch may be unfinished.

  ottla verify                      ./ottla-data
  ottla verify /var/lib/kafka --deep
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directories", nargs="*", type=Path, default=[Path("ottla-data")])
    parser.add_argument("--deep", action="store_true", help="open every record, too")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is wrong")


def run(args: argparse.Namespace) -> int:
    """Print problems and a summary; 1 when there are problems."""
    from ottla.inspect.verification import Findings, verify

    findings = Findings()
    is_shown = sys.stderr.isatty() and not args.quiet
    for directory in args.directories:
        try:
            for partition in verify(directory, findings, is_deep=args.deep):
                if is_shown:
                    print(f"\r\x1b[2K{partition.name[:70]}", end="", file=sys.stderr, flush=True)
        except OSError as error:
            raise CommandError(f"Cannot read {error.filename}: {error.strerror}.") from None
    if is_shown:
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    for problem in findings.problems:
        print(colour(str(problem), RED))
    if not args.quiet:
        print(
            f"{findings.partitions} partitions, {findings.segments} segments, "
            f"{findings.batches:,} batches, {findings.records:,} records, "
            f"{size_text(findings.size)}."
        )
        if not findings.problems:
            print(colour("Everything is in order.", GREEN))
    return 1 if findings.problems else 0
