"""`kafka-get-offsets`: where partitions begin, end, or reach a time."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

#: Names of --time → what ListOffsets understands.
TIMES: Final = {
    "latest": -1,
    "earliest": -2,
    "max-timestamp": -3,
    "earliest-local": -4,
    "latest-tiered": -5,
    "earliest-pending-upload": -6,
}
_PATTERN: Final = re.compile(r"([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?")

PartitionFilter = Callable[[str, int], bool]


def build_parser() -> OptionParser:
    """The options of kafka-get-offsets."""
    parser = OptionParser(
        "kafka-get-offsets", "Print topic:partition:offset for the partitions of topics."
    )
    add_connection_options(parser)
    value = parser.value
    value("--topic", "topics: a regular expression or a list; all without it", metavar="TOPIC")
    value("--partitions", "partition numbers, separated by commas", metavar="N,N")
    value("--topic-partitions", "patterns such as t1:1,t2:0-3,t3,t4:5-", metavar="PATTERNS")
    value(
        "--time",
        "a timestamp in ms, or -1/latest, -2/earliest, -3/max-timestamp, -4/earliest-local, "
        "-5/latest-tiered, -6/earliest-pending-upload",
        default="latest",
    )
    parser.flag("--exclude-internal-topics", "leave the internal topics out")
    parser.retire("--broker-list", "--broker-list is an old name; use --bootstrap-server")
    parser.retire("--offsets", "--offsets is not used any more")
    parser.retire("--max-wait-ms", "--max-wait-ms is not used any more")
    return parser


def parse_time(text: str) -> int:
    """What --time means to ListOffsets. Errors: `CommandError`."""
    if text in TIMES:
        return TIMES[text]
    try:
        return int(text)
    except ValueError:
        names = " / ".join(f"{number} or {name}" for name, number in TIMES.items())
        raise CommandError(
            f"Error occurred: Malformed time argument {text}. Please use {names}, or a specified "
            "long format timestamp"
        ) from None


def partition_filter(options: argparse.Namespace) -> PartitionFilter:
    """Which partitions are asked for. Errors: `CommandError`."""
    from ottla.cli.workers.topics import topic_filter

    if options.topic_partitions:
        if options.topic or options.partitions:
            raise CommandError(
                "Error occurred: --topic-partitions cannot be used with --topic or --partitions"
            )
        rules = [_rule(text) for text in options.topic_partitions.split(",")]
        return lambda topic, number: any(rule(topic, number) for rule in rules)
    regex = topic_filter(options.topic or ".*")
    try:
        numbers = {int(word) for word in (options.partitions or "").split(",") if word}
    except ValueError:
        raise CommandError(
            "Error occurred: --partitions expects a comma separated list of numeric partition "
            f"ids, but received: {options.partitions}"
        ) from None
    return lambda topic, number: bool(regex.fullmatch(topic)) and (not numbers or number in numbers)


def _rule(text: str) -> PartitionFilter:
    from ottla.cli.workers.topics import topic_filter

    match = _PATTERN.fullmatch(text)
    if not match:
        raise CommandError(f"Error occurred: Invalid rule specification: {text}")
    name, single, low, high = match.groups()
    regex = topic_filter(name or ".*")
    if single:
        numbers = range(int(single), int(single) + 1)
    else:
        numbers = range(int(low or 0), int(high) if high else 2**31)
    return lambda topic, number: bool(regex.fullmatch(topic)) and number in numbers


def run(arguments: Sequence[str]) -> int:
    """Print the offsets, sorted as text; partitions without an answer are left out."""
    options, _ = build_parser().parse(arguments)
    time, is_wanted = parse_time(options.time), partition_filter(options)
    servers = bootstrap_servers(options.bootstrap_server, options.broker_list[-1:])

    from ottla.cli.workers.failures import sentence
    from ottla.cli.workers.opening import open_cluster
    from ottla.client.offsets import find_offsets

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        partitions = [
            (topic.name or "", partition.partition_index)
            for topic in cluster.metadata().topics
            if not (topic.is_internal and options.exclude_internal_topics)
            for partition in topic.partitions
            if is_wanted(topic.name or "", partition.partition_index)
        ]
        if not partitions:
            raise CommandError(
                "Error occurred: Could not match any topic-partitions with the specified filters"
            )
        found = find_offsets(cluster, dict.fromkeys(partitions, time))
    for topic, number in sorted(partitions, key=lambda partition: f"{partition[0]}-{partition[1]}"):
        answer = found[topic, number]
        if answer.error_code:
            print(
                f"Skip getting offsets for topic-partition {topic}-{number} due to error: "
                f"{sentence(answer.error_code)}",
                file=sys.stderr,
            )
        elif answer.offset >= 0:
            print(f"{topic}:{number}:{answer.offset}")
    return 0


def main() -> int:
    """Entry point of kafka-get-offsets."""
    return exit_status_of(lambda: run(sys.argv[1:]))
