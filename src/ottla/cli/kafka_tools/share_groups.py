"""`kafka-share-groups`: list and describe share groups, and move where they start.

As Kafka's tool does, it reports what the cluster refuses on stdout and still
ends with status 0; only a wrong command line, or no cluster, ends with 1.
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
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.share_groups import ShareGroup
    from ottla.client.cluster import Cluster
    from ottla.client.offsets import TopicPartition

ACTIONS: Final = ("list", "describe", "delete", "reset_offsets", "delete_offsets")
SCENARIOS: Final = (
    "to_offset",
    "to_earliest",
    "to_latest",
    "to_current",
    "to_datetime",
    "from_file",
)
STATES: Final = ("Stable", "Dead", "Empty")
TYPES: Final = ("Share",)


def build_parser() -> OptionParser:
    """The options of kafka-share-groups."""
    parser = OptionParser("kafka-share-groups", "List, describe and manage share groups.")
    add_connection_options(parser)
    flag, value, values = parser.flag, parser.value, parser.values
    flag("--list", "list the share groups")
    flag("--describe", "show groups: offsets, members or state")
    flag("--delete", "delete groups without members")
    flag("--reset-offsets", "move where a group starts; --execute does it")
    flag("--delete-offsets", "forget topics of a group")
    values("--group", "the group", metavar="GROUP")
    flag("--all-groups", "every group")
    values("--topic", "the topic, or TOPIC:0,1 for some of its partitions", metavar="TOPIC")
    flag("--all-topics", "every topic of the group")
    value("--timeout", "ms an answer may take (30000)", type_=int, default=30_000)
    flag("--offsets", "with --describe: where each partition starts; the default")
    flag("--members", "with --describe: the members")
    parser.optional_value("--state", "with --describe: the state; with --list: show it, or only it")
    flag("--verbose", "with --describe: more columns")
    flag("--dry-run", "show the new offsets only")
    flag("--execute", "set the new offsets")
    flag("--export", "print the new offsets as CSV")
    value("--to-offset", "new offset", type_=int)
    flag("--to-earliest", "to the first record")
    flag("--to-latest", "to the end of the log")
    flag("--to-current", "to where it starts already")
    value("--to-datetime", "to the first record since YYYY-MM-DDTHH:mm:SS.sss")
    value("--from-file", "to the offsets of a CSV file", metavar="FILE")
    return parser


def _check(options: argparse.Namespace) -> str:
    given = [action for action in ACTIONS if getattr(options, action)]
    if len(given) != 1:
        names = ", ".join("--" + action.replace("_", "-") for action in ACTIONS)
        raise CommandError(f"Command must include exactly one action: {names}.")
    action = given[0]
    option = f"[{action.replace('_', '-')}]"
    if action in ("describe", "delete") and not (options.group or options.all_groups):
        raise CommandError(f"Option {option} takes one of these options: [group], [all-groups]")
    if action == "reset_offsets" and not options.group:
        raise CommandError(f"Option {option} takes the option: [group]")
    if action == "delete_offsets" and not (options.group and options.topic):
        raise CommandError(f"Option {option} takes the following options: [group], [topic]")
    return action


def run(arguments: Sequence[str]) -> int:
    """Do the one thing asked for."""
    options, _ = build_parser().parse(arguments)
    action = _check(options)
    servers = bootstrap_servers(options.bootstrap_server)
    properties = client_properties(options.command_config)

    from ottla.cli.workers.failures import RefusedError, java_text
    from ottla.cli.workers.opening import open_cluster

    with open_cluster(servers, properties, timeout_ms=options.timeout) as cluster:
        try:
            {
                "list": _list,
                "describe": _describe,
                "delete": _delete,
                "reset_offsets": _reset_offsets,
                "delete_offsets": _delete_offsets,
            }[action](cluster, options)
        except RefusedError as error:
            text = java_text(error.code, error.message)
            print(f"\nError: Executing share group command failed due to {text}")
    return 0


def _ids(cluster: Cluster, options: argparse.Namespace) -> list[str]:
    from ottla.cli.workers.groups import list_groups

    if options.all_groups:
        return [group.group_id for group in list_groups(cluster, types=TYPES)]
    return list(dict.fromkeys(options.group))


def _list(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.kafka_tools.group_tables import print_states
    from ottla.cli.workers.groups import list_groups

    states = [word.strip().capitalize() for word in (options.state or "").split(",") if word]
    if any(state not in STATES for state in states):
        raise CommandError(
            f"Invalid state list '{options.state}'. Valid states are: {', '.join(STATES)}"
        )
    groups = list_groups(cluster, states=states, types=TYPES)
    print_states(groups, with_state=options.state is not None)


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.share_groups import describe_share_group

    groups = [describe_share_group(cluster, name) for name in sorted(_ids(cluster, options))]
    for group in groups:
        if options.members:
            _print_members(group, verbose=options.verbose)
        elif options.state is not None:
            _print_state(group, verbose=options.verbose)
        else:
            _print_offsets(cluster, group, verbose=options.verbose)


def _print_offsets(cluster: Cluster, group: ShareGroup, *, verbose: bool) -> None:
    from ottla.cli.kafka_tools.group_tables import MISSING
    from ottla.cli.tables import padded
    from ottla.cli.workers.share_groups import share_offsets

    offsets = share_offsets(cluster, group.group_id)
    if not offsets:
        print(f"\nShare group '{group.group_id}' has no offset information.")
        return
    widths = [
        max(15, len(group.group_id)),
        max([15, *(len(topic) for topic, _ in offsets)]),
        *((10, 13, 13, 0) if verbose else (10, 13, 0)),
    ]
    heading = ["GROUP", "TOPIC", "PARTITION", "START-OFFSET", "LAG"]
    if verbose:
        heading.insert(3, "LEADER-EPOCH")
    print("\n" + padded(heading, widths))
    for (topic, number), offset in sorted(offsets.items()):
        values: list[int | None] = [offset.start, offset.lag]
        if verbose:
            values.insert(0, offset.leader_epoch)
        texts = [MISSING if value is None else str(value) for value in values]
        print(padded([group.group_id, topic, str(number), *texts], widths))


def _is_alive(group: ShareGroup, rows: int) -> bool:
    if group.state == "Dead":
        print(f"\nError: Share group '{group.group_id}' does not exist.")
    elif group.state == "Empty":
        print(f"\nShare group '{group.group_id}' has no active members.", file=sys.stderr)
    return group.state != "Dead" and rows > 0


def _print_members(group: ShareGroup, *, verbose: bool) -> None:
    from ottla.cli.kafka_tools.group_tables import assignment_text
    from ottla.cli.tables import padded

    members = group.members
    if not _is_alive(group, len(members)):
        return
    widths = [
        max(15, len(group.group_id)),
        max(15, *(len(member.member_id) for member in members)),
        max(15, *(len(member.host) for member in members)),
        max(15, *(len(member.client_id) for member in members)),
        *((12, 13, 0) if verbose else (12, 0)),
    ]
    heading = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT"]
    if verbose:
        heading.insert(5, "MEMBER-EPOCH")
    print("\n" + padded(heading, widths))
    for member in members:
        text = assignment_text(member.assignment)
        cells = [group.group_id, member.member_id, member.host, member.client_id]
        cells += [str(len(member.assignment)), "" if text == "-" else text]
        if verbose:
            cells.insert(5, str(member.epoch))
        print(padded(cells, widths))


def _print_state(group: ShareGroup, *, verbose: bool) -> None:
    from ottla.cli.tables import padded

    _is_alive(group, 1)
    broker = group.coordinator
    coordinator = f"{broker.host}:{broker.port}  ({broker.node_id})"
    widths = [max(15, len(group.group_id)), max(25, len(coordinator)), 15]
    heading = ["GROUP", "COORDINATOR (ID)", "STATE"]
    cells = [group.group_id, coordinator, group.state]
    if verbose:
        heading += ["GROUP-EPOCH", "ASSIGNMENT-EPOCH"]
        cells += [str(group.group_epoch), str(group.assignment_epoch)]
        widths += [12, 17]
    print("\n" + padded([*heading, "#MEMBERS"], [*widths, 0]))
    print(padded([*cells, str(len(group.members))], [*widths, 0]))


def _delete(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.kafka_tools.group_tables import print_deletions
    from ottla.cli.workers.failures import java_text
    from ottla.cli.workers.groups import delete_groups, list_groups
    from ottla.wire.errors import ErrorCode

    known = {group.group_id: group for group in list_groups(cluster, types=TYPES)}
    failed: dict[str, str] = {}
    for name in _ids(cluster, options):
        if name not in known:
            failed[name] = (
                f"java.lang.IllegalArgumentException: Group '{name}' is not a share group."
            )
        elif known[name].state != "Empty":
            text = f"Share group '{name}' is not EMPTY."
            failed[name] = java_text(ErrorCode.NON_EMPTY_GROUP, text)
    wanted = [name for name in _ids(cluster, options) if name not in failed]
    codes = delete_groups(cluster, wanted)
    failed |= {name: java_text(code) for name, code in codes.items() if code}
    print_deletions("share", (name for name in codes if not codes[name]), failed)


def _delete_offsets(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.workers.failures import RefusedError, sentence
    from ottla.cli.workers.share_groups import delete_share_offsets

    topics = list(dict.fromkeys(options.topic))
    try:
        results = delete_share_offsets(cluster, options.group[-1], topics)
    except RefusedError as error:
        print(f"\nError: {error}")
        results = dict.fromkeys(topics, (error.code, error.message))
    width = max([15, *map(len, results)])
    print(f"\n{'TOPIC':<{width}} STATUS")
    for topic, (code, message) in sorted(results.items()):
        status = f"Error: {sentence(code, message)}" if code else "Successful"
        print(f"{topic:<{width}} {status}")


def _reset_offsets(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.kafka_tools.group_tables import print_new_offsets
    from ottla.cli.workers.failures import RefusedError
    from ottla.cli.workers.offset_resets import plan_as_csv
    from ottla.cli.workers.share_groups import alter_share_offsets, describe_share_group
    from ottla.wire.errors import ErrorCode

    name = options.group[-1]
    try:
        state = describe_share_group(cluster, name).state
    except RefusedError as error:
        if error.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        state = "Dead"
    if state not in ("Empty", "Dead"):
        raise CommandError(f"Share group '{name}' is not empty.")
    offsets = _new_offsets(cluster, options, name)
    if options.execute and not options.dry_run and offsets:
        alter_share_offsets(cluster, name, offsets)
    plan = {name: offsets} if offsets else {}
    if options.export:
        print(plan_as_csv(plan, with_group=False))
    else:
        print_new_offsets(plan)


def _new_offsets(
    cluster: Cluster, options: argparse.Namespace, name: str
) -> dict[TopicPartition, int]:
    from ottla.cli.workers.offset_resets import (
        OffsetResetter,
        check_partitions,
        partitions_named,
        read_plan,
    )
    from ottla.cli.workers.share_groups import share_offsets

    chosen = [one for one in SCENARIOS if getattr(options, one) not in (None, False)]
    if len(chosen) != 1:
        names = ", ".join(f"[{one.replace('_', '-')}]" for one in SCENARIOS)
        raise CommandError(
            f"Option '[reset-offsets]' requires one of the following scenarios: [{names}]"
        )
    current: dict[TopicPartition, int] = {}
    if not options.topic or options.to_current:
        known = share_offsets(cluster, name)
        current = {p: offset.start for p, offset in known.items() if offset.start is not None}
    partitions = partitions_named(cluster, options.topic) if options.topic else list(current)
    check_partitions(cluster, partitions)
    resetter = OffsetResetter(cluster)
    scenario = chosen[0]
    if scenario == "from_file":
        return resetter.within_log(read_plan(options.from_file, [name]).get(name, {}))
    if scenario == "to_offset":
        return resetter.to_offset(partitions, options.to_offset)
    if scenario == "to_current":
        return resetter.to_current(partitions, current)
    if scenario == "to_datetime":
        return resetter.to_datetime(partitions, options.to_datetime)
    ends: dict[TopicPartition, int] = getattr(resetter, scenario)(partitions)
    return ends


def main() -> int:
    """Entry point of kafka-share-groups."""
    return exit_status_of(lambda: run(sys.argv[1:]))
