"""`ottla doctor`: find what usually hurts, and say what to do."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ottla import __version__
from ottla.cli.output import (
    GREEN,
    RED,
    YELLOW,
    add_output_argument,
    colour,
    print_rows,
    prose,
)
from ottla.cli.verbs.connection import add_connection_arguments, connection_of

if TYPE_CHECKING:
    from ottla.cli.workers.examinations import Finding

DESCRIPTION = """\
Look at what usually hurts: which address clients are sent to, whether they
arrive there and whom they find (NAT, port mappings, containers), clocks, disks,
replicas, ports, limits, versions.
"""

PORTS: Final = {
    9092: "broker",
    8082: "REST",
    8000: "Burrow",
    9308: "metrics",
    9021: "console",
    9644: "broker metrics",
}
MARKS: Final = {"good": ("ok", GREEN), "warning": ("!!", YELLOW), "bad": ("XX", RED)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output_argument(parser)
    parser.add_argument(
        "--json", dest="output", action="store_const", const="jsonl", help="the same as -o jsonl"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="leave out what is good")
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print one sentence each; 1 when something is bad."""
    seen: list[Finding] = []

    def told() -> Iterator[Finding]:
        for finding in findings(args):
            seen.append(finding)
            if not args.quiet or finding.verdict != "good":
                yield finding

    if args.output == "table":
        for finding in told():
            _print(finding)
    else:
        columns = ("verdict", "sentence", "remedy")
        print_rows((finding._asdict() for finding in told()), columns, args.output)
    return 1 if any(finding.verdict == "bad" for finding in seen) else 0


def findings(args: argparse.Namespace) -> Iterator[Finding]:
    """Everything, in the order in which one thing rests on the other."""
    from ottla.cli.workers import examinations
    from ottla.cli.workers.examinations import Finding

    yield Finding("good", _versions())
    yield from examinations.examine_this_machine()
    connection = connection_of(args)
    reached = list(examinations.examine_bootstrap(connection.servers))
    yield from reached
    yield from examinations.examine_ports(PORTS)
    if all(finding.verdict == "bad" for finding in reached):
        return
    yield from _cluster_findings(connection.servers, connection.properties)


def _cluster_findings(servers: str, properties: dict[str, str]) -> Iterable[Finding]:
    from ottla.cli.errors import CommandError
    from ottla.cli.workers import examinations
    from ottla.cli.workers.examinations import Finding
    from ottla.cli.workers.opening import open_cluster

    found: list[Finding] = []
    try:
        with open_cluster(servers, properties, timeout_ms=10_000) as cluster:
            found += examinations.examine_versions(cluster)
            found += examinations.examine_advertised(cluster, servers)
            found += examinations.examine_partitions(cluster)
            found += examinations.examine_clock(cluster)
            found += examinations.examine_disks(cluster)
    except CommandError as error:
        found.append(
            Finding(
                "bad",
                f"The port answers, but not as Kafka does: {error}",
                "Is it a TLS port, or does it want a user? Give the properties with "
                "--command-config.",
            )
        )
    return found


def _versions() -> str:
    from confluent_kafka import libversion

    return (
        f"Ottla {__version__}, Python {platform.python_version()}, librdkafka {libversion()[0]}, "
        f"{platform.system()} {platform.release()}."
    )


def _print(finding: Finding) -> None:
    mark, code = MARKS[finding.verdict]
    print(colour(mark, code) + prose(finding.sentence, "   ", "   ")[2:])
    if finding.remedy:
        print(prose(finding.remedy, "   → ", "     "))
