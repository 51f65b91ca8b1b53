"""`kafka-consumer-groups`: list and describe groups, and move what they committed.

As Kafka's tool does, it reports what the cluster refuses on stdout and still
ends with status 0; only a wrong command line, or no cluster, ends with 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ottla.cli.connection_options import (
    add_connection_options,
    bootstrap_servers,
    client_properties,
)
from ottla.cli.errors import CommandError, exit_status_of
from ottla.cli.option_parser import OptionParser

if TYPE_CHECKING:
    from ottla.cli.workers.offset_resets import ResetPlan
    from ottla.client.cluster import Cluster
    from ottla.client.offsets import TopicPartition

ACTIONS: Final = (
    "list",
    "describe",
    "delete",
    "reset_offsets",
    "delete_offsets",
    "validate_regex",
)
SCENARIOS: Final = (
    "shift_by",
    "to_offset",
    "to_earliest",
    "to_current",
    "to_latest",
    "by_duration",
    "to_datetime",
    "from_file",
)
STATES: Final = (
    "CompletingRebalance",
    "Dead",
    "Stable",
    "Empty",
    "PreparingRebalance",
    "Reconciling",
    "Assigning",
)
TYPES: Final = ("Classic", "Consumer")


def build_parser() -> OptionParser:
    """The options of kafka-consumer-groups."""
    parser = OptionParser(
        "kafka-consumer-groups",
        "List and describe consumer groups, delete them, and move their committed offsets.",
    )
    add_connection_options(parser)
    flag, value, values = parser.flag, parser.value, parser.values
    flag("--list", "list the groups")
    flag("--describe", "show groups: their offsets and lag, members or state")
    flag("--delete", "delete groups without members")
    flag("--reset-offsets", "move committed offsets; --execute does it, otherwise only shown")
    flag("--delete-offsets", "forget the offsets committed for topics")
    value("--validate-regex", "check a subscription's regular expression", metavar="REGEX")
    values("--group", "the group", metavar="GROUP")
    flag("--all-groups", "every group")
    values("--topic", "the topic, or TOPIC:0,1 for some of its partitions", metavar="TOPIC")
    flag("--all-topics", "every topic the group committed for")
    value("--timeout", "ms an answer may take (30000)", type_=int, default=30_000)
    flag("--offsets", "with --describe: committed offsets and lag; this is the default")
    flag("--members", "with --describe: the members")
    parser.optional_value(
        "--state", "with --describe: the state; with --list: show it, or only these: stable,empty"
    )
    parser.optional_value("--type", "with --list: show the type, or only these: classic,consumer")
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
    value("--from-file", "to the offsets of a CSV file, as --export prints it", metavar="FILE")
    parser.retire("--new-consumer", "--new-consumer is not used any more", takes_value=False)
    return parser


def _brackets(names: Iterable[str]) -> str:
    return ", ".join(f"[{name.replace('_', '-')}]" for name in names)


def _check(options: argparse.Namespace) -> str:
    """The one action asked for. Errors: `CommandError` in Kafka's words."""
    given = [action for action in ACTIONS if getattr(options, action) not in (None, False)]
    if len(given) != 1:
        names = ", ".join("--" + action.replace("_", "-") for action in ACTIONS)
        raise CommandError(f"Command must include exactly one action: {names}")
    action = given[0]
    option = f"[{action.replace('_', '-')}]"
    if action in ("describe", "delete", "reset_offsets") and not (
        options.group or options.all_groups
    ):
        raise CommandError(f"Option {option} takes one of these options: [group], [all-groups]")
    if options.group and options.all_groups:
        raise CommandError('Option "[group]" can\'t be used with option "[all-groups]"')
    if action == "describe":
        views = [
            n for n in ("members", "offsets", "state") if getattr(options, n) not in (None, False)
        ]
        if len(views) > 1:
            raise CommandError(
                f"Option {option} takes at most one of these options: [members], [offsets], [state]"
            )
        if options.state:
            raise CommandError(f"Option {option} does not take a value for [state]")
    if action == "delete" and options.topic:
        raise CommandError(
            "The consumer does not support topic-specific offset deletion from a consumer group."
        )
    if action == "delete_offsets" and not (options.group and options.topic):
        raise CommandError(f"Option {option} takes the following options: [group], [topic]")
    if action == "reset_offsets":
        _check_reset(options)
    return action


def _scenarios(options: argparse.Namespace) -> list[str]:
    return [name for name in SCENARIOS if getattr(options, name) not in (None, False)]


def _check_reset(options: argparse.Namespace) -> None:
    if options.dry_run and options.execute:
        raise CommandError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
    if not options.dry_run and not options.execute:
        print(
            "WARN: No action will be performed as the --execute option is missing. "
            "Add --dry-run when that is what you want; Kafka 5.0 will insist on one of them.",
            file=sys.stderr,
        )
    chosen = _scenarios(options)
    if len(chosen) > 1:
        raise CommandError(
            f'Option "{_brackets(chosen[:1])}" can\'t be used with option '
            f'"{_brackets(chosen[1:2])}"'
        )


def run(arguments: Sequence[str]) -> int:
    """Do the one thing asked for."""
    options, _ = build_parser().parse(arguments)
    action = _check(options)
    if action == "validate_regex":
        return _validate_regex(options.validate_regex)
    servers = bootstrap_servers(options.bootstrap_server)
    properties = client_properties(options.command_config)

    from ottla.cli.workers.failures import RefusedError, java_text
    from ottla.cli.workers.opening import open_cluster
    from ottla.client.errors import ResponseError

    with open_cluster(servers, properties, timeout_ms=options.timeout) as cluster:
        try:
            {
                "list": _list,
                "describe": _describe,
                "delete": _delete,
                "reset_offsets": _reset_offsets,
                "delete_offsets": _delete_offsets,
            }[action](cluster, options)
        except (RefusedError, ResponseError) as error:
            text = java_text(error.code, error.message)
            _print_error(f"Executing consumer group command failed due to {text}")
    return 0


def _print_error(text: str) -> None:
    print(f"\nError: {text}")


def _validate_regex(regex: str) -> int:
    try:
        re.compile(regex)
    except re.error as error:
        print(f"The regular expression `{regex}` is invalid: {error.msg}.")
    else:
        print(f"The regular expression `{regex}` is valid.")
    return 0


def _chosen(text: str | None, known: Sequence[str], kind: str) -> list[str]:
    """The known names in a comma-separated list; all spellings of case are taken."""
    by_name = {name.lower(): name for name in known}
    words = [word.strip().lower().replace("_", "") for word in (text or "").split(",") if word]
    if any(word not in by_name for word in words):
        raise CommandError(f"Invalid {kind} list '{text}'. Valid {kind}s are: {', '.join(known)}")
    return [by_name[word] for word in words]


def _list(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.java_order import string_map_order
    from ottla.cli.kafka_tools.group_tables import print_listings
    from ottla.cli.workers.groups import list_consumer_groups

    listings = list_consumer_groups(
        cluster,
        states=_chosen(options.state, STATES, "state"),
        types=_chosen(options.type, TYPES, "type"),
    )
    by_id = {listing.group_id: listing for listing in listings}
    ordered = [by_id[group_id] for group_id in string_map_order(by_id)]
    if options.state is None and options.type is None:
        for listing in ordered:
            print(listing.group_id)
        return
    print_listings(
        ordered, with_type=options.type is not None, with_state=options.state is not None
    )


def _group_ids(cluster: Cluster, options: argparse.Namespace) -> list[str]:
    from ottla.cli.workers.groups import list_consumer_groups

    if options.all_groups:
        return [listing.group_id for listing in list_consumer_groups(cluster)]
    return list(dict.fromkeys(options.group))


def _describe(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.kafka_tools.group_tables import (
        offset_rows,
        print_members,
        print_offsets,
        print_state,
    )
    from ottla.cli.workers.groups import committed_offsets, describe_group
    from ottla.client.offsets import end_offsets

    groups = [
        describe_group(cluster, group_id) for group_id in sorted(_group_ids(cluster, options))
    ]
    if options.members:
        for group in groups:
            print_members(group, verbose=options.verbose)
        return
    if options.state is not None:
        for group in groups:
            print_state(group, verbose=options.verbose)
        return
    for group in groups:
        committed = committed_offsets(cluster, group.group_id)
        assigned = [partition for member in group.members for partition in member.assignment]
        ends = end_offsets(cluster, {*committed, *assigned})
        print_offsets(group, offset_rows(group, committed, ends), verbose=options.verbose)


def _delete(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.kafka_tools.group_tables import print_deletions
    from ottla.cli.workers.failures import java_text
    from ottla.cli.workers.groups import delete_groups

    codes = delete_groups(cluster, _group_ids(cluster, options))
    failed = {name: java_text(code) for name, code in codes.items() if code}
    print_deletions("consumer", (name for name in codes if not codes[name]), failed)


def _delete_offsets(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.tables import padded
    from ottla.cli.workers.failures import java_text, sentence
    from ottla.cli.workers.groups import delete_offsets
    from ottla.cli.workers.offset_resets import partitions_named

    group = options.group[-1]
    partitions = partitions_named(cluster, options.topic)
    group_code, codes = delete_offsets(cluster, group, partitions)
    failed = {partition: code for partition, code in codes.items() if code}
    if group_code:
        _print_error(sentence(group_code))
        failed = dict.fromkeys(partitions, group_code)
    elif failed:
        _print_error("Encountered some partition-level error, see the follow-up details.")
    else:
        print(f"Request succeeded for deleting offsets from group {group}.")
    widths = [max([15, *(len(topic) for topic, _ in partitions)]), 10, 15]
    print("\n" + padded(["TOPIC", "PARTITION", "STATUS"], widths))
    for topic, number in sorted(partitions, key=lambda p: f"{p[0]}{p[1]}"):
        code = failed.get((topic, number), 0)
        status = f"Error: {java_text(code)}" if code else "Successful"
        print(padded([topic, str(number), status], widths))


def _reset_offsets(cluster: Cluster, options: argparse.Namespace) -> None:
    from ottla.cli.java_order import string_map_order
    from ottla.cli.kafka_tools.group_tables import print_new_offsets
    from ottla.cli.workers.failures import RefusedError
    from ottla.cli.workers.groups import commit_offsets, describe_group
    from ottla.cli.workers.offset_resets import plan_as_csv
    from ottla.wire.errors import ErrorCode

    plan: ResetPlan = {}
    for group_id in string_map_order(_group_ids(cluster, options)):
        try:
            state = describe_group(cluster, group_id).state
        except RefusedError as error:
            if error.code != ErrorCode.GROUP_ID_NOT_FOUND:
                raise
            state = "Dead"
        if state not in ("Empty", "Dead"):
            _print_error(
                f"Assignments can only be reset if the group '{group_id}' is inactive, "
                f"but the current state is {state}."
            )
            plan[group_id] = {}
            continue
        try:
            plan[group_id] = _new_offsets(cluster, options, group_id)
            if options.execute and plan[group_id]:
                commit_offsets(cluster, group_id, plan[group_id])
        except (_ExecutionError, RefusedError) as error:
            _print_error(f"Executing consumer group command failed due to {error}")
            return
    if options.export:
        print(plan_as_csv(plan, with_group=len(options.group) != 1))
    else:
        print_new_offsets(plan)


class _ExecutionError(Exception):
    """What Kafka's tool reports on stdout without failing."""


def _new_offsets(
    cluster: Cluster, options: argparse.Namespace, group_id: str
) -> dict[TopicPartition, int]:
    """The offsets that the chosen scenario gives to one group."""
    from ottla.cli.workers.groups import committed_offsets
    from ottla.cli.workers.offset_resets import (
        OffsetResetter,
        check_partitions,
        partitions_named,
        read_plan,
    )

    committed = {p: c.offset for p, c in committed_offsets(cluster, group_id).items()}
    if options.all_topics:
        partitions = list(committed)
    elif options.topic:
        partitions = partitions_named(cluster, options.topic)
    elif options.from_file:
        partitions = []
    else:
        raise CommandError("One of the reset scopes should be defined: --all-topics, --topic.")
    try:
        check_partitions(cluster, partitions)
    except CommandError as error:
        raise _ExecutionError(str(error)) from None
    resetter = OffsetResetter(cluster)
    chosen = _scenarios(options)
    if not chosen:
        raise CommandError(
            "Option '[reset-offsets]' requires one of the following scenarios: "
            f"[{_brackets(SCENARIOS)}]"
        )
    scenario = chosen[0]
    value = getattr(options, scenario)
    if scenario == "from_file":
        planned = read_plan(value, options.group)
        if group_id not in planned:
            _print_error(f"No reset plan for group {group_id} found.")
        return resetter.within_log(planned.get(group_id, {}))
    if scenario == "shift_by":
        return resetter.shifted(partitions, committed, value)
    if scenario == "to_current":
        return resetter.to_current(partitions, committed)
    if scenario in ("to_earliest", "to_latest"):
        ends: dict[TopicPartition, int] = getattr(resetter, scenario)(partitions)
        return ends
    moved: dict[TopicPartition, int] = getattr(resetter, scenario)(partitions, value)
    return moved


def main() -> int:
    """Entry point of kafka-consumer-groups."""
    return exit_status_of(lambda: run(sys.argv[1:]))
