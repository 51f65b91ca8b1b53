"""`ottla verify`: check a data directory without a broker; mend it only when told."""

from __future__ import annotations

import argparse
from pathlib import Path

from ottla.cli.errors import CommandError
from ottla.cli.output import GREEN, RED, colour, size_text
from ottla.cli.progress import Progress

DESCRIPTION = """\
Read every batch and index of a data directory, Ottla's or Apache Kafka's, and
name what is damaged by file, byte and offsets. Nothing is written, unless
--repair says so: then what a start can build again is set aside, and what
follows the last whole batch of a log is cut off and kept beside it. The broker
may run while nothing is repaired, but then its last batch may be unfinished.

  ottla verify                      ./ottla-data
  ottla verify /var/lib/kafka --deep
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories",
        nargs="*",
        type=Path,
        default=[Path("ottla-data")],
        metavar="DIRECTORY",
        help="default: ./ottla-data",
    )
    parser.add_argument("--deep", action="store_true", help="open every record, too")
    parser.add_argument("--repair", action="store_true", help="mend what can be, losing nothing")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is wrong")


def run(args: argparse.Namespace) -> int:
    """Print problems and a summary; 1 when there are problems."""
    from ottla.inspect.repair import InUseError, repair
    from ottla.inspect.verification import Findings, verify

    findings = Findings()
    mended: list[str] = []
    for directory in args.directories:
        seen = len(findings.problems)
        try:
            total = sum(path.stat().st_size for path in directory.glob("*/*.log"))
            with Progress("verifying", is_wanted=not args.quiet) as progress:
                before = findings.size
                for _ in verify(directory, findings, is_deep=args.deep):
                    share = (findings.size - before) / total if total else 0.0
                    progress.show(min(1.0, share), findings.records)
            if args.repair:
                mended += repair(directory, findings.problems[seen:])
        except InUseError as error:
            raise CommandError(f"{error}.") from None
        except OSError as error:
            raise CommandError(f"Cannot read {error.filename}: {error.strerror}.") from None
    for problem in findings.problems:
        print(colour(str(problem), RED))
    for sentence in mended:
        print(sentence)
    if not args.quiet:
        print(
            f"{findings.partitions} partitions, {findings.segments} segments, "
            f"{findings.batches:,} batches, {findings.records:,} records, "
            f"{size_text(findings.size)}."
        )
        if not findings.problems:
            print(colour("Everything is in order.", GREEN))
    return 1 if findings.problems else 0
