"""`kafka-topics`: create, list, describe, enlarge and delete topics."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of, note
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.configs import Entries
    from ottla.cli.workers.topics import Partition, Reassignment, Topic
    from ottla.client.cluster import Cluster

ACTIONS: Final = ("list", "describe", "create", "alter", "delete")
#: What to leave out of a description, by option.
REPORTS: Final = (
    "under_replicated_partitions",
    "unavailable_partitions",
    "under_min_isr_partitions",
    "at_min_isr_partitions",
)
MAX_REPLICATION_FACTOR: Final = 32767
CONFIGS_HINT: Final = " (To alter topic configurations, the kafka-configs tool can be used.)"


def build_parser() -> OptionParser:
    """The options of kafka-topics, today's and yesterday's."""
    parser = OptionParser("kafka-topics", "Create, list, describe, enlarge or delete topics.")
    add_connection_options(parser)
    flag, value = parser.flag, parser.value
    flag("--list", "list the topics")
    flag("--describe", "show the topics in detail")
    flag("--create", "create a topic")
    flag("--alter", "give a topic more partitions")
    flag("--delete", "delete topics")
    value(
        "--topic",
        "the topic; a regular expression or a list with commas, but for --create",
        metavar="TOPIC",
    )
    value("--topic-id", "id of the topic to describe", metavar="ID")
    parser.values("--config", "KEY=VALUE for the topic to create")
    parser.values("--delete-config", "no longer does anything")
    value("--partitions", "partitions of the topic; the broker's default otherwise", type_=int)
    value("--replication-factor", "copies of each partition", type_=int)
    value("--replica-assignment", "brokers of each partition: 1:2,2:3,...")
    flag("--under-replicated-partitions", "describe only partitions that lack replicas")
    flag("--unavailable-partitions", "describe only partitions without a leader")
    flag("--under-min-isr-partitions", "describe only partitions below min.insync.replicas")
    flag("--at-min-isr-partitions", "describe only partitions at min.insync.replicas")
    flag("--topics-with-overrides", "describe only topics with configurations of their own")
    flag("--if-exists", "do nothing when the topic does not exist")
    flag("--if-not-exists", "do nothing when the topic exists")
    flag("--exclude-internal", "leave the internal topics out")
    value("--partition-size-limit-per-response", "partitions per response", type_=int)
    for name in ("--force", "--disable-rack-aware"):
        parser.retire(name, f"{name} is not used any more", takes_value=False)
    return parser


def _option(name: str) -> str:
    return f'"[{name}]"'


def _check(options: argparse.Namespace) -> str:
    """The one action asked for. Errors: `CommandError` in Kafka's words."""
    given = [action for action in ACTIONS if getattr(options, action)]
    if len(given) != 1:
        raise CommandError(
            "Command must include exactly one action: "
            "--list, --describe, --create, --alter or --delete"
        )
    action = given[0]
    if options.delete_config:
        note("--delete-config is no longer supported; use kafka-configs --delete-config")
    if action in ("create", "alter", "delete") and not options.topic:
        raise CommandError(f"Missing required argument {_option('topic')}")
    if action == "describe" and options.if_exists and not (options.topic or options.topic_id):
        raise CommandError("--topic or --topic-id is required to describe a topic")
    if action == "alter" and options.config:
        raise CommandError(
            'Option combination "[bootstrap-server],[config]" can\'t be used with option '
            f"{_option('alter')}{CONFIGS_HINT}"
        )
    if action == "alter" and options.partitions is None:
        raise CommandError(f"Missing required argument {_option('partitions')}")
    allowed = {
        "config": ("alter", "create"),
        "partitions": ("alter", "create"),
        "replication_factor": ("create",),
        "replica_assignment": ("alter", "create"),
        **dict.fromkeys(REPORTS, ("describe",)),
        "topics_with_overrides": ("describe",),
        "if_exists": ("alter", "delete", "describe"),
        "if_not_exists": ("create",),
        "exclude_internal": ("list", "describe"),
    }
    for name, actions in allowed.items():
        if getattr(options, name) not in (None, False, []) and action not in actions:
            _refuse_combination(name, action)
    if action == "create" and options.replica_assignment:
        for name in ("partitions", "replication_factor"):
            if getattr(options, name) is not None:
                _refuse_combination("replica_assignment", name)
    return action


def _refuse_combination(used: str, other: str) -> None:
    raise CommandError(
        f"Option {_option(used.replace('_', '-'))} can't be used with option "
        f"{_option(other.replace('_', '-'))}"
    )


def run(arguments: Sequence[str]) -> int:
    """Do the one thing asked for; errors of the cluster go to stdout, as Kafka's do."""
    options, rest = build_parser().parse(arguments)
    if rest and not options.topic:
        options.topic = rest[0]
        note(f"taking '{rest[0]}' for the topic; write --topic {rest[0]}")
    action = _check(options)
    servers = bootstrap_servers(options.bootstrap_server)
    properties = client_properties(options.command_config)

    from ottla.cli.workers.opening import open_cluster
    from ottla.client.errors import ResponseError

    with open_cluster(servers, properties) as cluster:
        try:
            {
                "list": _list,
                "describe": _describe,
                "create": _create,
                "alter": _alter,
                "delete": _delete,
            }[action](cluster, options)
        except (CommandError, ResponseError) as error:
            raise CommandError(
                f"Error while executing topic command : {error}", on_stdout=True
            ) from None
    return 0


def _found(cluster: Cluster, options: argparse.Namespace) -> list[str]:
    """The topics that --topic means, sorted. Errors: `CommandError` when there are none."""
    from ottla.cli.workers.topics import list_topics, matching

    known = list_topics(cluster, internal=not options.exclude_internal)
    found = matching(known, options.topic)
    if options.topic and not found and not options.if_exists:
        raise CommandError(f"Topic '{options.topic}' does not exist as expected")
    return found


def _list(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.topics import list_topics, matching

    names = list_topics(cluster, internal=not options.exclude_internal)
    print("\n".join(matching(names, options.topic)))


def _create(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.topics import create_topic

    configs = {}
    for word in options.config:
        pair = re.split(r"\s*=\s*", word.strip())
        if len(pair) != 2:
            raise CommandError(
                "requirement failed: Invalid topic config: all configs to be added must be in "
                'the format "key=val".'
            )
        configs[pair[0]] = pair[1]
    factor, partitions = options.replication_factor, options.partitions
    if "." in options.topic or "_" in options.topic:
        print(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or "
            "underscore ('_') could collide. To avoid issues it is best to use either, "
            "but not both."
        )
    if factor is not None and not 1 <= factor <= MAX_REPLICATION_FACTOR:
        raise CommandError(
            f"The replication factor must be between 1 and {MAX_REPLICATION_FACTOR} inclusive"
        )
    if partitions is not None and partitions < 1:
        raise CommandError("The partitions must be greater than 0")
    created = create_topic(
        cluster,
        options.topic,
        partitions=-1 if partitions is None else partitions,
        replication_factor=-1 if factor is None else factor,
        assignment=parse_assignment(options.replica_assignment),
        configs=configs,
        if_not_exists=options.if_not_exists,
    )
    if created:
        print(f"Created topic {options.topic}.")


def parse_assignment(text: str | None) -> dict[int, list[int]]:
    """`1:2,2:3` as partition → brokers. Errors: `CommandError`."""
    if not text:
        return {}
    assignment: dict[int, list[int]] = {}
    for number, part in enumerate(text.split(",")):
        try:
            brokers = [int(word) for word in part.split(":")]
        except ValueError:
            raise CommandError(
                f"'{part}' is not a list of broker ids; write --replica-assignment 1:2,2:3"
            ) from None
        repeated = sorted({broker for broker in brokers if brokers.count(broker) > 1})
        if repeated:
            raise CommandError(
                "Partition replica lists may not contain duplicate entries: "
                + ",".join(map(str, repeated))
            )
        if assignment and len(brokers) != len(assignment[0]):
            raise CommandError(f"Partition {number} has different replication factor: {brokers}")
        assignment[number] = brokers
    return assignment


def _alter(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.topics import create_partitions, describe_topics

    assignment = parse_assignment(options.replica_assignment)
    for topic in describe_topics(cluster, _found(cluster, options)):
        new = None
        if assignment:
            new = [assignment[n] for n in sorted(assignment) if n >= len(topic.partitions)]
        create_partitions(cluster, topic.name, options.partitions, new)


def _delete(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.topics import delete_topics

    names = _found(cluster, options)
    if names:
        delete_topics(cluster, names)


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.configs import describe_configs
    from ottla.cli.workers.resource_types import TOPIC
    from ottla.cli.workers.topics import describe_topics, reassignments

    topics = _described_by_id(cluster, options) if options.topic_id else None
    if topics is None:
        names = _found(cluster, options)
        limit = options.partition_size_limit_per_response or 2000
        names = string_map_order(names, capacity=len(names))
        topics = describe_topics(cluster, names, limit=limit)
    configs = describe_configs(cluster, TOPIC, [topic.name for topic in topics])
    moves = reassignments(cluster, topics)
    show_headings = not any(getattr(options, report) for report in REPORTS)
    for topic in topics:
        entries = configs[topic.name]
        if show_headings:
            line = heading(topic, entries, moves)
            if line.has_overrides or not options.topics_with_overrides:
                print(line)
        if options.topics_with_overrides:
            continue
        for partition in topic.partitions:
            move = moves.get((topic.name, partition.number))
            if show_headings or _is_reported(cluster, options, partition, entries, move):
                print(partition_line(topic.name, partition, move))


def _described_by_id(cluster: Cluster, options: argparse.Namespace) -> list[Topic] | None:
    """The topic of --topic-id; None for the id that means none."""
    from ottla.cli.workers.topics import describe_by_metadata, list_topics, uuid_from_text
    from ottla.wire.message import ZERO_UUID

    wanted = uuid_from_text(options.topic_id)
    if wanted == ZERO_UUID:
        return None
    if options.topic and options.if_exists:
        print(
            "Only topic id will be used when both --topic and --topic-id are specified "
            "and topicId is not Uuid.ZERO_UUID"
        )
    known = list_topics(cluster, internal=not options.exclude_internal)
    names = [name for name, topic_id in known.items() if topic_id == wanted]
    if not names and not options.if_exists:
        raise CommandError(f"TopicId '{options.topic_id}' does not exist as expected")
    return list(describe_by_metadata(cluster, names).values()) if names else []


class Heading(str):
    """The first line of a topic's description."""

    has_overrides = False


def heading(topic: Topic, entries: Entries, moves: dict[tuple[str, int], Reassignment]) -> Heading:
    """Kafka's line on a topic: name, id, counts and the configurations set for it."""
    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.configs import is_default
    from ottla.cli.workers.topics import uuid_text
    from ottla.wire.message import ZERO_UUID

    by_name = {entry.name: entry for entry in entries}
    overrides = [
        f"{name}={'null' if by_name[name].value is None else by_name[name].value}"
        for name in string_map_order(by_name)
        if not is_default(by_name[name])
    ]
    first = topic.partitions[0]
    factor = replication_factor(first, moves.get((topic.name, first.number)))
    identity = "" if topic.topic_id == ZERO_UUID else f"\tTopicId: {uuid_text(topic.topic_id)}"
    line = Heading(
        f"Topic: {topic.name}{identity}\tPartitionCount: {len(topic.partitions)}"
        f"\tReplicationFactor: {factor}\tConfigs: {','.join(overrides)}"
    )
    line.has_overrides = bool(overrides)
    return line


def replication_factor(partition: Partition, move: Reassignment | None) -> int:
    """Replicas a partition has, those that a move under way is adding left out."""
    if move and set(partition.replicas) & {*move.adding, *move.removing}:
        return len(move.replicas) - len(move.adding)
    return len(partition.replicas)


def partition_line(topic: str, partition: Partition, move: Reassignment | None) -> str:
    """Kafka's line on a partition."""

    def ids(brokers: list[int] | None) -> str:
        return "N/A" if brokers is None else ",".join(map(str, brokers))

    columns = [
        f"\tTopic: {topic}",
        f"Partition: {partition.number}",
        f"Leader: {partition.leader if partition.leader >= 0 else 'none'}",
        f"Replicas: {ids(partition.replicas)}",
        f"Isr: {ids(partition.isr)}",
    ]
    if move:
        columns += [
            f"Adding Replicas: {ids(move.adding)}",
            f"Removing Replicas: {ids(move.removing)}",
        ]
    columns += [f"Elr: {ids(partition.elr)}", f"LastKnownElr: {ids(partition.last_known_elr)}"]
    return "\t".join(columns)


def _is_reported(
    cluster: Cluster,
    options: argparse.Namespace,
    partition: Partition,
    entries: Entries,
    move: Reassignment | None,
) -> bool:
    in_sync = len(partition.isr)
    wanted = next(int(e.value or 1) for e in entries if e.name == "min.insync.replicas")
    has_leader = partition.leader >= 0
    return (
        (options.under_replicated_partitions and replication_factor(partition, move) > in_sync)
        or (
            options.unavailable_partitions
            and (
                not has_leader
                or partition.leader not in {broker.node_id for broker in cluster.brokers()}
            )
        )
        or (options.under_min_isr_partitions and (not has_leader or in_sync < wanted))
        or (options.at_min_isr_partitions and in_sync == wanted)
    )


def main() -> int:
    """Entry point of kafka-topics."""
    return exit_status_of(lambda: run(sys.argv[1:]))
