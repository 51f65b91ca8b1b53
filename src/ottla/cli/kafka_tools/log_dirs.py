"""`kafka-log-dirs`: how much room partitions take in each broker's directories."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.wire.messages.describe_log_dirs import DescribeLogDirsResult


def build_parser() -> OptionParser:
    """The options of kafka-log-dirs."""
    parser = OptionParser("kafka-log-dirs", "Show the use of the brokers' log directories.")
    add_connection_options(parser)
    parser.flag("--describe", "show the directories; required")
    parser.value("--topic-list", "only these topics", metavar="T,T", default="")
    parser.value("--broker-list", "only these brokers, by id", metavar="N,N", default="")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Print Kafka's two lines and its JSON document."""
    options, _ = build_parser().parse(arguments)
    if not options.describe:
        raise CommandError('Missing required argument "[describe]"')
    try:
        wanted = sorted({int(word) for word in options.broker_list.split(",") if word})
    except ValueError:
        raise CommandError(f"--broker-list {options.broker_list} is no list of ids.") from None
    topics = {word for word in options.topic_list.split(",") if word}
    servers = bootstrap_servers(options.bootstrap_server)

    from ottla.cli.workers.log_directories import describe_log_directories
    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, client_properties(options.command_config)) as cluster:
        existing = [broker.node_id for broker in cluster.brokers()]
        missing = [node_id for node_id in wanted if node_id not in existing]
        if missing:
            raise CommandError(
                f"ERROR: The given brokers do not exist from --broker-list: {_commas(missing)}. "
                f"Current existent brokers: {_commas(existing)}"
            )
        print("Querying brokers for log directories information", flush=True)
        asked = wanted or existing
        described = {node_id: describe_log_directories(cluster, node_id) for node_id in asked}
    print(f"Received log directory information from brokers {_commas(asked)}")
    print(json.dumps(as_document(described, topics), separators=(",", ":")))
    return 0


def _commas(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def as_document(
    described: dict[int, list[DescribeLogDirsResult]], topics: set[str]
) -> dict[str, Any]:
    """What Kafka's tool prints, its order of keys included."""
    from ottla.cli.java_order import string_map_order

    def ordered(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: fields[name] for name in string_map_order(fields)}

    brokers = []
    for node_id, directories in described.items():
        by_path = {directory.log_dir: directory for directory in directories}
        log_dirs = [
            ordered(
                {
                    "logDir": path,
                    "error": _error_name(by_path[path].error_code),
                    "partitions": [ordered(entry) for entry in _partitions(by_path[path], topics)],
                }
            )
            for path in string_map_order(by_path, capacity=len(by_path))
        ]
        brokers.append(ordered({"broker": node_id, "logDirs": log_dirs}))
    return ordered({"version": 1, "brokers": brokers})


def _partitions(directory: DescribeLogDirsResult, topics: set[str]) -> list[dict[str, Any]]:
    from ottla.cli.java_order import partition_map_order

    found = {
        (topic.name, partition.partition_index): partition
        for topic in directory.topics
        for partition in topic.partitions
    }
    kept = [key for key in partition_map_order(found) if not topics or key[0] in topics]
    return [
        {
            "partition": f"{topic}-{number}",
            "size": found[topic, number].partition_size,
            "offsetLag": found[topic, number].offset_lag,
            "isFuture": found[topic, number].is_future_key,
        }
        for topic, number in partition_map_order(kept)
    ]


def _error_name(code: int) -> str | None:
    from ottla.cli.workers.failures import java_text

    return java_text(code).partition(":")[0] if code else None


def main() -> int:
    """Entry point of kafka-log-dirs."""
    return exit_status_of(lambda: run(sys.argv[1:]))
