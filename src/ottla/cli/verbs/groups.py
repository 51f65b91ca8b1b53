"""`ottla groups`: list and describe groups, move their offsets, delete them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ottla.cli.errors import CommandError
from ottla.cli.output import confirmed, print_head, print_rows
from ottla.cli.verbs.connection import Actions, opened_cluster
from ottla.cli.watching import Rates, shown

if TYPE_CHECKING:
    from ottla.cli.workers.groups import Group
    from ottla.client.cluster import Cluster

DESCRIPTION = """\
Work with consumer groups.

  ottla groups                             list them
  ottla groups lag --watch                 how far behind, live, until Ctrl-C
  ottla groups describe billing            offsets and lag of each partition
  ottla groups members billing             who reads what
  ottla groups seek billing --to earliest  also latest, an offset, +5, -5, or a time
  ottla groups delete billing
"""

#: Types of groups that commit offsets; before KIP-848 brokers tell no type.
COMMITTING = ("classic", "consumer", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    action = Actions(parser, "list", is_watchable=True).add
    action("list", "List the groups.", prints_rows=True, is_watchable=True)
    lag = action(
        "lag", "One row for each group: how far behind.", prints_rows=True, is_watchable=True
    )
    lag.add_argument("names", nargs="*", metavar="GROUP", help="only these")
    describe = action(
        "describe", "Show offsets and lag of groups.", prints_rows=True, is_watchable=True
    )
    describe.add_argument("names", nargs="+", metavar="GROUP")
    members = action("members", "Show the members of a group.", prints_rows=True, is_watchable=True)
    members.add_argument("name", metavar="GROUP")
    seek = action("seek", "Move the committed offsets of a group without members.")
    seek.add_argument("name", metavar="GROUP")
    seek.add_argument(
        "--to",
        required=True,
        metavar="WHERE",
        help="earliest, latest, an offset, +N or -N from what is committed, a date and time, "
        "or so long ago: 2h, 30m",
    )
    seek.add_argument(
        "-t",
        "--topic",
        action="append",
        default=[],
        metavar="TOPIC[:N,N]",
        help="only these (default: all that is committed)",
    )
    seek.add_argument("-n", "--dry-run", action="store_true", help="show only")
    seek.add_argument("-y", "--yes", action="store_true", help="do not ask")
    delete = action("delete", "Delete groups without members.")
    delete.add_argument("names", nargs="+", metavar="GROUP")
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Do what the action says; listing is the default."""
    with opened_cluster(args) as cluster:
        if args.action == "seek":
            return _seek(cluster, args)
        if args.action == "delete":
            return _delete(cluster, args)
        rates = Rates()
        show = {"list": _list, "lag": _lag, "describe": _describe, "members": _members}
        return shown(lambda: show[args.action](cluster, args, rates), args.watch)


def _list(cluster: Cluster, args: argparse.Namespace, rates: Rates) -> None:
    del rates
    from ottla.cli.workers.groups import list_groups

    rows = [
        {
            "group": group.group_id,
            "type": group.type.lower() or None,
            "protocol": group.protocol_type or None,
            "state": group.state or None,
        }
        for group in sorted(list_groups(cluster), key=lambda group: group.group_id)
    ]
    columns = ("group", "type", "protocol", "state")
    print_rows(rows, columns, args.output, empty="There are no groups.")


def _describe(cluster: Cluster, args: argparse.Namespace, rates: Rates) -> None:
    from ottla.cli.workers.groups import describe_group

    columns = ["topic", "partition", "committed", "end", "lag", "member", "host"]
    if args.watch is not None:
        columns.insert(5, "per_second")
    for name in dict.fromkeys(args.names):
        group = describe_group(cluster, name)
        rows = _progress(cluster, group)
        for row in rows:
            where = (name, row["topic"], row["partition"])
            row["per_second"] = rates.of(where, row["committed"] or 0)
        if args.output != "table":
            print_rows(rows, ("group", *columns), args.output)
            continue
        lag = sum(row["lag"] or 0 for row in rows)
        head = f" {group.type.lower()}, {group.state}, {len(group.members)} members"
        unread = sum(row["committed"] is None for row in rows)
        noun = "partition" if unread == 1 else "partitions"
        without = f" and {unread} {noun} without a commit" if unread else ""
        print_head(f"{name}:", f"{head}, lag {lag}{without}")
        print_rows(rows, columns, "table", empty="Nothing is committed, and nobody reads.")


def _lag(cluster: Cluster, args: argparse.Namespace, rates: Rates) -> None:
    """One row for each group; in a live view with the records that it commits in a second."""
    from ottla.cli.workers.groups import describe_group, list_groups

    names = args.names or sorted(
        group.group_id for group in list_groups(cluster) if group.type.lower() in COMMITTING
    )
    rows = []
    for name in dict.fromkeys(names):
        group = describe_group(cluster, name)
        partitions = _progress(cluster, group)
        rows.append(
            {
                "group": name,
                "state": group.state,
                "members": len(group.members),
                "partitions": len(partitions),
                "lag": sum(row["lag"] or 0 for row in partitions),
                "per_second": rates.of(name, sum(row["committed"] or 0 for row in partitions)),
            }
        )
    columns = ["group", "state", "members", "partitions", "lag"]
    if args.watch is not None:
        columns.append("per_second")
    print_rows(rows, columns, args.output, empty="There are no groups of consumers.")


def _progress(cluster: Cluster, group: Group) -> list[dict[str, Any]]:
    """How far the group is in every partition of the topics it has to do with."""
    from ottla.cli.workers.groups import committed_offsets
    from ottla.client.offsets import end_offsets, partition_leaders

    committed = committed_offsets(cluster, group.group_id)
    owners = {p: member for member in group.members for p in member.assignment}
    touched = {*committed, *owners}
    partitions = sorted(touched | {*partition_leaders(cluster, {topic for topic, _ in touched})})
    ends = end_offsets(cluster, partitions)
    rows: list[dict[str, Any]] = []
    for partition in partitions:
        offset = committed[partition].offset if partition in committed else None
        end, owner = ends.get(partition), owners.get(partition)
        rows.append(
            {
                "group": group.group_id,
                "topic": partition[0],
                "partition": partition[1],
                "committed": offset,
                "end": end,
                "lag": None if offset is None or end is None else end - offset,
                "member": owner.client_id if owner else None,
                "host": owner.host.lstrip("/") if owner else None,
            }
        )
    return rows


def _members(cluster: Cluster, args: argparse.Namespace, rates: Rates) -> None:
    del rates
    from ottla.cli.workers.groups import describe_group

    rows = []
    for member in describe_group(cluster, args.name).members:
        topics: dict[str, list[int]] = {}
        for topic, number in sorted(member.assignment):
            topics.setdefault(topic, []).append(number)
        rows.append(
            {
                "client": member.client_id,
                "host": member.host.lstrip("/"),
                "instance": member.instance_id,
                "partitions": len(member.assignment),
                "assignment": " ".join(
                    f"{topic}:{','.join(map(str, numbers))}" for topic, numbers in topics.items()
                ),
                "member": member.member_id,
            }
        )
    columns = ("client", "host", "instance", "partitions", "assignment", "member")
    print_rows(rows, columns, args.output, empty="The group has no members.")


def _seek(cluster: Cluster, args: argparse.Namespace) -> int:
    from ottla.cli.workers.groups import commit_offsets, committed_offsets
    from ottla.cli.workers.offset_resets import check_partitions, partitions_named

    committed = {p: c.offset for p, c in committed_offsets(cluster, args.name).items()}
    partitions = partitions_named(cluster, args.topic) if args.topic else sorted(committed)
    if not partitions:
        raise CommandError(
            f"Group {args.name} has committed nothing; name topics with --topic to begin."
        )
    check_partitions(cluster, partitions)
    offsets = new_offsets(cluster, partitions, committed, args.to)
    rows = [
        {
            "topic": topic,
            "partition": number,
            "committed": committed.get((topic, number)),
            "new": offset,
        }
        for (topic, number), offset in sorted(offsets.items())
    ]
    print_rows(rows, ("topic", "partition", "committed", "new"), "table")
    if args.dry_run:
        return 0
    if not confirmed(f"Commit these for {args.name}?", yes=args.yes):
        print("Nothing committed. (--yes does it without asking.)")
        return 1
    commit_offsets(cluster, args.name, offsets)
    print("Committed.")
    return 0


def new_offsets(
    cluster: Cluster,
    partitions: list[tuple[str, int]],
    committed: dict[tuple[str, int], int],
    where: str,
) -> dict[tuple[str, int], int]:
    """What `--to` means for each partition. Errors: `CommandError`."""
    from ottla.cli.workers.offset_resets import OffsetResetter

    resetter = OffsetResetter(cluster)
    if where in ("earliest", "latest"):
        ends: dict[tuple[str, int], int] = getattr(resetter, f"to_{where}")(partitions)
        return ends
    if where[:1] in "+-" and where[1:].isdigit():
        return resetter.shifted(partitions, committed, int(where))
    if where.isdigit():
        return resetter.to_offset(partitions, int(where))
    if where[-1:] in "smhdw" and where[:1].isdigit():
        return resetter.by_duration(partitions, where)
    return resetter.to_datetime(partitions, where)


def _delete(cluster: Cluster, args: argparse.Namespace) -> int:
    from ottla.cli.workers.failures import sentence
    from ottla.cli.workers.groups import delete_groups

    names = list(dict.fromkeys(args.names))
    if not confirmed(f"Delete {', '.join(names)} with what is committed?", yes=args.yes):
        print("Nothing deleted. (--yes does it without asking.)")
        return 1
    status = 0
    for name, code in delete_groups(cluster, names).items():
        print(f"{name}: {sentence(code)}" if code else f"Deleted {name}.")
        status = status or int(bool(code))
    return status
