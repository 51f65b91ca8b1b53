"""`kafka-streams-groups`: Kafka Streams applications of the new protocol (KIP-1071).

Judged by Apache Kafka's tool of 4.3.1, whose words and columns are kept. A
cluster that serves no such groups, as the embedded broker, has none to list;
a note then says how Streams applications run there.
"""

from __future__ import annotations

import argparse
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
    from ottla.cli.workers.offset_resets import ResetPlan
    from ottla.cli.workers.streams_groups import Assigned, StreamsGroup
    from ottla.client.cluster import Cluster
    from ottla.client.offsets import TopicPartition

ACTIONS: Final = ("list", "describe", "delete", "reset_offsets", "delete_offsets")
SCENARIOS: Final = (
    "from_file",
    "to_datetime",
    "by_duration",
    "to_latest",
    "to_current",
    "to_earliest",
    "to_offset",
    "shift_by",
)
STATES: Final = ("Stable", "Dead", "Empty", "Assigning", "Reconciling", "NotReady")
TYPES: Final = ("Streams",)
NOT_SERVED: Final = (
    "this cluster serves no streams groups (KIP-1071). Kafka Streams applications run here with "
    "group.protocol=classic, and kafka-consumer-groups shows them; `ottla up --engine apache` "
    "serves both."
)


def build_parser() -> OptionParser:
    """The options of kafka-streams-groups."""
    parser = OptionParser("kafka-streams-groups", "List, describe and manage streams groups.")
    add_connection_options(parser)
    flag, value, values = parser.flag, parser.value, parser.values
    flag("--list", "list the streams groups")
    flag("--describe", "show groups: offsets and lag, members or state")
    flag("--delete", "delete groups without members")
    flag("--reset-offsets", "move committed offsets of an inactive group")
    flag("--delete-offsets", "forget the offsets committed for input topics")
    values("--group", "the group, which is the application.id", metavar="GROUP")
    flag("--all-groups", "every streams group")
    values("--input-topic", "the topic, or TOPIC:0,1 for some of its partitions", metavar="TOPIC")
    flag("--all-input-topics", "every topic that the application reads from outside")
    flag("--delete-all-internal-topics", "delete its repartition and changelog topics, too")
    values("--delete-internal-topic", "delete this internal topic, too", metavar="TOPIC")
    value("--timeout", "ms an answer may take (30000)", type_=int, default=30_000)
    flag("--offsets", "with --describe: offsets and lag; this is the default")
    flag("--members", "with --describe: the members and their tasks")
    parser.optional_value("--state", "with --describe: the state; with --list: show it, or only it")
    flag("--verbose", "with --describe: more columns")
    flag("--dry-run", "show the new offsets only")
    flag("--execute", "commit the new offsets")
    flag("--export", "print the new offsets as CSV")
    value("--to-offset", "new offset", type_=int)
    value("--shift-by", "move the offset by so many, backwards when negative", type_=int)
    flag("--to-earliest", "to the first record")
    flag("--to-latest", "to the end of the log")
    flag("--to-current", "to what is committed already")
    value("--to-datetime", "to the first record since YYYY-MM-DDTHH:mm:SS.sss")
    value("--by-duration", "to the first record of the last PnDTnHnMnS")
    value("--from-file", "to the offsets of a CSV file", metavar="FILE")
    return parser


def _check(options: argparse.Namespace) -> str:
    """The one action asked for. Errors: `CommandError` in Kafka's words."""
    given = [action for action in ACTIONS if getattr(options, action)]
    if len(given) != 1:
        raise CommandError(
            "Command must include exactly one action: --list, --describe, --delete,"
            " --reset-offsets, or --delete-offsets."
        )
    action = given[0]
    option = f"[{action.replace('_', '-')}]"
    if options.group and options.all_groups:
        raise CommandError('Option "[group]" can\'t be used with option "[all-groups]"')
    if action == "list" and options.group:
        raise CommandError('Option "[group]" can\'t be used with option "[list]"')
    if action in ("describe", "delete", "reset_offsets") and not (
        options.group or options.all_groups
    ):
        raise CommandError(f"Option {option} takes one of these options: [all-groups], [group]")
    views = [n for n in ("members", "offsets", "state") if getattr(options, n) not in (None, False)]
    if action == "describe" and len(views) > 1:
        raise CommandError(
            f"Option {option} takes at most one of these options: [members], [offsets], [state]"
        )
    if action == "delete_offsets" and not (
        options.group and (options.input_topic or options.all_input_topics)
    ):
        raise CommandError(
            f"Option {option} takes the [group] and one of these options: "
            "[all-input-topics], [input-topic]"
        )
    if action == "reset_offsets":
        _check_reset(options)
    return action


def _check_reset(options: argparse.Namespace) -> None:
    if options.dry_run == options.execute:
        raise CommandError("Option [reset-offsets] takes the option: [execute] or [dry-run]")
    for name in ("delete_all_internal_topics", "delete_internal_topic"):
        if getattr(options, name) and not options.execute:
            raise CommandError(
                f"Option [{name.replace('_', '-')}] takes [execute] when [reset-offsets] is used."
            )
    if not (options.all_input_topics or options.input_topic or options.from_file):
        raise CommandError("One of the reset scopes should be defined: --all-topics, --topic.")
    if len([one for one in SCENARIOS if getattr(options, one) not in (None, False)]) != 1:
        names = ", ".join(f"[{one.replace('_', '-')}]" for one in SCENARIOS)
        raise CommandError(
            f"Option '[reset-offsets]' requires one of the following scenarios: [{names}]"
        )


def run(arguments: Sequence[str]) -> int:
    """Do the one thing asked for; 1 when the cluster refuses the whole of it."""
    options, _ = build_parser().parse(arguments)
    action = _check(options)
    servers = bootstrap_servers(options.bootstrap_server)
    properties = client_properties(options.command_config)

    from ottla.cli.workers.failures import RefusedError, java_text
    from ottla.cli.workers.opening import open_cluster
    from ottla.cli.workers.streams_groups import serves_streams_groups
    from ottla.wire.errors import ErrorCode

    with open_cluster(servers, properties, timeout_ms=options.timeout) as cluster:
        if not serves_streams_groups(cluster):
            note(NOT_SERVED)
        try:
            {
                "list": _list,
                "describe": _describe,
                "delete": _delete,
                "reset_offsets": _reset_offsets,
                "delete_offsets": _delete_offsets,
            }[action](cluster, options)
        except RefusedError as error:
            if error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                text = str(error)
            else:
                text = java_text(error.code, error.message)
                if action == "reset_offsets":
                    text = f"java.util.concurrent.ExecutionException: {text}"
            _print_error(f"Executing streams group command failed due to {text}")
            return 1
    return 0


def _print_error(text: str) -> None:
    print(f"\nError: {text}")


def _ids(cluster: Cluster, options: argparse.Namespace) -> list[str]:
    from ottla.cli.java_order import string_map_order
    from ottla.cli.workers.groups import list_groups

    if options.all_groups:
        return string_map_order(group.group_id for group in list_groups(cluster, types=TYPES))
    return list(dict.fromkeys(options.group))


def _list(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.kafka_tools.group_tables import print_states
    from ottla.cli.workers.groups import list_groups

    by_word = {state.lower(): state for state in STATES}
    words = [word.strip().lower() for word in (options.state or "").split(",") if word]
    if any(word not in by_word for word in words):
        raise CommandError(
            f"Invalid state list '{options.state}'. Valid states are: {', '.join(STATES)}"
        )
    states = [by_word[word] for word in words]
    groups = list_groups(cluster, states=states, types=TYPES)
    print_states(groups, with_state=options.state is not None)


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.streams_groups import describe_streams_group

    for group in [describe_streams_group(cluster, name) for name in _ids(cluster, options)]:
        if options.members:
            _print_members(group, verbose=options.verbose)
        elif options.state is not None:
            _print_state(group, verbose=options.verbose)
        else:
            _print_offsets(cluster, group, verbose=options.verbose)


def _is_alive(group: StreamsGroup, rows: int) -> bool:
    if group.state == "Dead":
        _print_error(f"Streams group '{group.group_id}' does not exist.")
    elif group.state == "Empty" and rows:
        _print_error(f"Streams group '{group.group_id}' has no active members.")
    return group.state != "Dead" and rows > 0


def _print_offsets(cluster: Cluster, group: StreamsGroup, *, verbose: bool) -> None:
    from ottla.cli.java_order import partition_map_order
    from ottla.cli.kafka_tools.group_tables import MISSING
    from ottla.cli.tables import padded
    from ottla.cli.workers.streams_groups import streams_offsets

    offsets = streams_offsets(cluster, group)
    if not _is_alive(group, len(offsets)):
        return
    widths = [max(15, len(group.group_id)), max(15, *(len(topic) for topic, _ in offsets)), 10]
    heading = ["GROUP", "TOPIC", "PARTITION"]
    if verbose:
        heading += ["CURRENT-OFFSET", "LEADER-EPOCH", "LOG-END-OFFSET"]
        widths += [15, 15, 15]
    widths.append(15 if verbose else 0)
    print(padded([*heading, "OFFSET-LAG"], widths))
    for topic, number in partition_map_order(offsets):
        offset = offsets[topic, number]
        values: list[int | None] = [offset.lag]
        if verbose:
            values = [offset.current, offset.leader_epoch, offset.end, offset.lag]
        texts = [MISSING if value is None else str(value) for value in values]
        print(padded([group.group_id, topic, str(number), *texts], widths))


def _tasks_text(assigned: Assigned, prefix: str = "") -> str:
    text = ""
    for kind in ("active", "standby", "warmup"):
        tasks = getattr(assigned, kind)
        if tasks:
            shown = "".join(f"{name}:[{','.join(map(str, ns))}]; " for name, ns in tasks)
            text += f"{prefix}{kind.upper()}: {shown}"
    return text


def _print_members(group: StreamsGroup, *, verbose: bool) -> None:
    from ottla.cli.tables import padded

    members = group.members
    if not _is_alive(group, len(members)):
        return
    widths = {
        "GROUP": max(15, len(group.group_id)),
        "TARGET-ASSIGNMENT-EPOCH": 25,
        "TOPOLOGY-EPOCH": 14,
        "MEMBER": max(15, *(len(member.member_id) for member in members)),
        "MEMBER-PROTOCOL": 15,
        "MEMBER-EPOCH": 15,
        "PROCESS": max(15, *(len(member.process_id) for member in members)),
        "CLIENT-ID": max(15, *(len(member.client_id) for member in members)),
        "ASSIGNMENTS": 0,
    }
    if not verbose:
        for name in ("TARGET-ASSIGNMENT-EPOCH", "TOPOLOGY-EPOCH", "MEMBER-PROTOCOL"):
            del widths[name]
        del widths["MEMBER-EPOCH"]
    print(padded(widths, [*widths.values()]))
    for member in members:
        cells = {
            "GROUP": group.group_id,
            "TARGET-ASSIGNMENT-EPOCH": str(group.assignment_epoch),
            "TOPOLOGY-EPOCH": str(member.topology_epoch),
            "MEMBER": member.member_id,
            "MEMBER-PROTOCOL": "classic" if member.is_classic else "streams",
            "MEMBER-EPOCH": str(member.member_epoch),
            "PROCESS": member.process_id,
            "CLIENT-ID": member.client_id,
            "ASSIGNMENTS": _tasks_text(member.assigned)
            + (_tasks_text(member.target, "TARGET-") if verbose else ""),
        }
        print(padded((cells[name] for name in widths), [*widths.values()]))


def _print_state(group: StreamsGroup, *, verbose: bool) -> None:
    from ottla.cli.tables import padded

    if not _is_alive(group, 1):
        return
    broker = group.coordinator
    coordinator = f"{broker.host}:{broker.port} ({broker.node_id})"
    heading = ["GROUP", "COORDINATOR (ID)", "STATE"]
    cells = [group.group_id, coordinator, group.state]
    widths = [max(15, len(group.group_id)), max(25, len(coordinator)), 25]
    if verbose:
        heading += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]
        cells += [str(group.group_epoch), str(group.assignment_epoch)]
        widths += [15, 25]
    print(padded([*heading, "#MEMBERS"], [*widths, 0]))
    print(padded([*cells, str(len(group.members))], [*widths, 0]))


def _delete(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.java_order import string_map_order
    from ottla.cli.kafka_tools.group_tables import print_deletions
    from ottla.cli.workers.failures import java_text
    from ottla.cli.workers.groups import delete_groups, list_groups
    from ottla.cli.workers.streams_groups import describe_streams_group
    from ottla.wire.errors import ErrorCode

    known = {group.group_id: group for group in list_groups(cluster, types=TYPES)}
    failed: dict[str, str] = {}
    for name in _ids(cluster, options):
        if name not in known:
            failed[name] = (
                f"java.lang.IllegalArgumentException: Group '{name}' does not exist or is not a "
                "streams group."
            )
        elif known[name].state != "Empty":
            text = f"Streams group '{name}' is not EMPTY."
            failed[name] = java_text(ErrorCode.NON_EMPTY_GROUP, text)
    wanted = [name for name in _ids(cluster, options) if name not in failed]
    internal = {}
    if options.delete_all_internal_topics:
        internal = {n: describe_streams_group(cluster, n).internal_topics for n in wanted}
    codes = delete_groups(cluster, wanted)
    failed |= {name: java_text(code) for name, code in codes.items() if code}
    names = string_map_order(g for g in codes if not codes[g])
    refused = {
        name: text for name in names if (text := _delete_topics(cluster, internal.get(name, [])))
    }
    print_deletions("streams", names, failed, stop=".")
    if refused:
        print("Deletion of some associated internal topics failed:")
    for name, text in refused.items():
        print(
            f"* Internal topics of the streams group '{name}' could not be deleted due to: {text}"
        )


def _delete_topics(cluster: Cluster, topics: Sequence[str]) -> str:
    """Why the last of the topics that could not be deleted could not; "" when all are gone."""
    from ottla.cli.workers.failures import RefusedError, java_text
    from ottla.cli.workers.topics import delete_topics

    reason = ""
    for topic in topics:
        try:
            delete_topics(cluster, [topic])
        except RefusedError as error:
            print(f"Failed to delete internal topic: {topic}")
            reason = java_text(error.code, error.message)
    return reason


def _chosen_partitions(
    cluster: Cluster, options: argparse.Namespace, name: str
) -> tuple[list[TopicPartition], list[str]]:
    """What the scope of the command names, and topics in it that are not there.

    All input topics are those from outside with committed offsets.
    """
    from ottla.cli.workers.groups import committed_offsets
    from ottla.cli.workers.offset_resets import partitions_named
    from ottla.cli.workers.streams_groups import describe_streams_group
    from ottla.client.offsets import partition_leaders

    if options.all_input_topics:
        sources = describe_streams_group(cluster, name).source_topics
        return [(t, n) for t, n in committed_offsets(cluster, name) if t in sources], []
    by_name = {argument.partition(":")[0]: argument for argument in options.input_topic}
    known = {topic for topic, _ in partition_leaders(cluster, by_name)}
    there = [argument for topic, argument in by_name.items() if topic in known]
    return partitions_named(cluster, there), [topic for topic in by_name if topic not in known]


def _delete_offsets(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.tables import padded
    from ottla.cli.workers.failures import java_text, sentence
    from ottla.cli.workers.groups import delete_offsets
    from ottla.wire.errors import ErrorCode

    group = options.group[-1]
    partitions, unknown = _chosen_partitions(cluster, options, group)
    group_code, codes = delete_offsets(cluster, group, partitions)
    failed = {partition: code for partition, code in codes.items() if code}
    if group_code:
        _print_error(sentence(group_code))
        failed = dict.fromkeys(partitions, group_code)
    elif failed:
        _print_error("Encountered some partition-level error, see the follow-up details.")
    else:
        print(f"Request succeeded for deleting offsets from group {group}.")
    names = [*(topic for topic, _ in partitions), *unknown]
    widths = [max([15, *map(len, names)]), 10, 15]
    print("\n" + padded(["TOPIC", "PARTITION", "STATUS"], widths))
    missing = java_text(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    rows = {(name, "-"): f"Error: {missing}" for name in unknown}
    for topic, number in partitions:
        code = failed.get((topic, number), 0)
        rows[topic, str(number)] = f"Error: {java_text(code)}" if code else "Successful"
    for (topic, number_text), status in sorted(rows.items()):
        print(padded([topic, number_text, status], widths))


def _reset_offsets(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.java_order import partition_map_order
    from ottla.cli.tables import padded
    from ottla.cli.workers.groups import commit_offsets
    from ottla.cli.workers.offset_resets import plan_as_csv
    from ottla.cli.workers.streams_groups import describe_streams_group

    plan: ResetPlan = {}
    for name in _ids(cluster, options):
        group = describe_streams_group(cluster, name)
        if group.state not in ("Empty", "Dead"):
            _print_error(
                f"Assignments can only be reset if the group '{name}' is inactive, "
                f"but the current state is {group.state}."
            )
            continue
        plan[name] = _new_offsets(cluster, options, name)
        if options.execute:
            if plan[name]:
                commit_offsets(cluster, name, plan[name])
            _delete_internal(cluster, options, group)
    if options.export:
        print(plan_as_csv(plan, with_group=len(options.group) != 1))
        return
    widths = (30, 30, 10, 15)
    print("\n" + padded(["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"], widths))
    for name, offsets in plan.items():
        for topic, number in partition_map_order(offsets):
            print(padded([name, topic, str(number), str(offsets[topic, number])], widths))


def _delete_internal(cluster: Cluster, options: argparse.Namespace, group: StreamsGroup) -> None:
    topics: list[str] = options.delete_internal_topic
    if options.delete_all_internal_topics:
        topics = group.internal_topics
    if any(topic not in group.internal_topics for topic in topics):
        _print_error(
            f"Deleting internal topics for group '{group.group_id}' failed because the topics do "
            "not exist."
        )
        return
    _delete_topics(cluster, topics)


def _new_offsets(
    cluster: Cluster, options: argparse.Namespace, name: str
) -> dict[TopicPartition, int]:
    """The offsets that the chosen scenario gives to one group."""
    from ottla.cli.workers.failures import raise_for
    from ottla.cli.workers.groups import committed_offsets
    from ottla.cli.workers.offset_resets import OffsetResetter, read_plan
    from ottla.client.offsets import partition_leaders
    from ottla.wire.errors import ErrorCode

    resetter = OffsetResetter(cluster)
    if options.from_file:
        return resetter.within_log(read_plan(options.from_file, [name]).get(name, {}))
    partitions, unknown = _chosen_partitions(cluster, options, name)
    leaders = partition_leaders(cluster, (topic for topic, _ in partitions))
    if unknown or any(partition not in leaders for partition in partitions):
        raise_for(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    committed = {p: c.offset for p, c in committed_offsets(cluster, name).items()}
    if options.shift_by is not None:
        return resetter.shifted(partitions, committed, options.shift_by)
    if options.to_current:
        return resetter.to_current(partitions, committed)
    if options.to_earliest:
        return resetter.to_earliest(partitions)
    if options.to_latest:
        return resetter.to_latest(partitions)
    if options.to_offset is not None:
        return resetter.to_offset(partitions, options.to_offset)
    if options.to_datetime is not None:
        return resetter.to_datetime(partitions, options.to_datetime)
    return resetter.by_duration(partitions, options.by_duration)


def main() -> int:
    """Entry point of kafka-streams-groups."""
    return exit_status_of(lambda: run(sys.argv[1:]))
