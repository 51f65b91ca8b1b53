"""`kafka-leader-election`: make the preferred replica the leader again, or any that is left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
    renamed_value,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.client.offsets import TopicPartition

TYPES: Final = {"PREFERRED": 0, "UNCLEAN": 1}
TIMEOUT_MS: Final = 30_000
#: Errors that mean there was nothing to do.
NOT_NEEDED: Final = 84


def build_parser() -> OptionParser:
    """The options of kafka-leader-election."""
    parser = OptionParser("kafka-leader-election", "Elect leaders of partitions.")
    add_connection_options(parser)
    value = parser.value
    value("--admin.config", "deprecated: --command-config", metavar="FILE")
    value("--election-type", "preferred or unclean", metavar="TYPE")
    value("--topic", "topic; with --partition", metavar="TOPIC")
    value("--partition", "partition of the topic", type_=int)
    parser.flag("--all-topic-partitions", "every partition that needs it")
    value("--path-to-json-file", 'file of {"partitions": [{"topic": "t", "partition": 0}]}')
    return parser


def _check(options: argparse.Namespace) -> None:
    if not options.election_type:
        raise CommandError("Missing required option(s): election-type")
    if options.election_type.upper() not in TYPES:
        raise CommandError(f"--election-type {options.election_type} is not preferred or unclean.")
    scopes = (options.topic, options.all_topic_partitions, options.path_to_json_file)
    if sum(bool(scope) for scope in scopes) != 1:
        raise CommandError(
            "One and only one of the following options is required: topic, "
            "all-topic-partitions, path-to-json-file"
        )
    if options.topic and options.partition is None:
        raise CommandError("Missing required option(s): partition")
    if options.partition is not None and not options.topic:
        raise CommandError("Option partition is only allowed if topic is used")


def _partitions(options: argparse.Namespace) -> list[TopicPartition] | None:
    """What is asked for; None for all."""
    if options.topic:
        return [(options.topic, options.partition)]
    if not options.path_to_json_file:
        return None
    from ottla.cli.json_files import listed_objects, read_json_object, topic_and_partition

    path = options.path_to_json_file
    value = read_json_object(path)
    if "partitions" not in value:
        raise CommandError('Replica election data is missing "partitions" field')
    found = [topic_and_partition(item, path) for item in listed_objects(value, "partitions", path)]
    duplicates = sorted({f"{t}-{n}" for t, n in found if found.count((t, n)) > 1})
    if duplicates:
        raise CommandError(
            f"Replica election data contains duplicate partitions: {','.join(duplicates)}"
        )
    return found


def run(arguments: Sequence[str]) -> int:
    """Elect, and say what came of it; 1 when an election failed."""
    options, _ = build_parser().parse(arguments)
    _check(options)
    wanted = _partitions(options)
    kind = options.election_type.upper()
    servers = bootstrap_servers(options.bootstrap_server)
    properties = client_properties(renamed_value(options, "--admin.config", "--command-config"))

    from ottla.cli.java_order import partition_map_order
    from ottla.cli.workers.failures import java_text, raise_for
    from ottla.cli.workers.opening import open_cluster
    from ottla.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions

    topics = None
    if wanted is not None:
        names = dict.fromkeys(topic for topic, _ in wanted)
        topics = [TopicPartitions(name, [n for t, n in wanted if t == name]) for name in names]
    with open_cluster(servers, properties, timeout_ms=TIMEOUT_MS) as cluster:
        response = cluster.request_controller(ElectLeadersRequest(TYPES[kind], topics, TIMEOUT_MS))
        raise_for(response.error_code)
    results = {
        (result.topic, one.partition_id): (one.error_code, one.error_message)
        for result in response.replica_election_results
        for one in result.partition_result
    }
    ordered = partition_map_order(results)
    done = [f"{t}-{n}" for t, n in ordered if not results[t, n][0]]
    idle = [f"{t}-{n}" for t, n in ordered if results[t, n][0] == NOT_NEEDED]
    failed = [key for key in ordered if results[key][0] not in (0, NOT_NEEDED)]
    if done:
        names_done = ", ".join(done)
        print(f"Successfully completed leader election ({kind}) for partitions {names_done}")
    if idle:
        print(f"Valid replica already elected for partitions {', '.join(idle)}")
    for topic, number in failed:
        text = java_text(*results[topic, number])
        print(f"Error completing leader election ({kind}) for partition: {topic}-{number}: {text}")
    if failed:
        raise CommandError(f"{len(failed)} replica(s) could not be elected")
    return 0


def main() -> int:
    """Entry point of kafka-leader-election."""
    return exit_status_of(lambda: run(sys.argv[1:]))
