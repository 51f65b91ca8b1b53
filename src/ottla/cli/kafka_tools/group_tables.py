"""The tables of kafka-consumer-groups, column by column as scripts know them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ottla.cli.java_order import partition_map_order, string_map_order
from ottla.cli.tables import padded
from ottla.cli.workers.groups import CommittedOffset, Group, GroupListing, Member
from ottla.client.offsets import TopicPartition

MISSING: Final = "-"
REBALANCING: Final = frozenset(
    {"PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"}
)


class OffsetRow(NamedTuple):
    """One partition of a group: what is committed, and who reads it."""

    group: str
    topic: str
    partition: str
    leader_epoch: str
    current_offset: str
    log_end_offset: str
    lag: str
    consumer_id: str
    host: str
    client_id: str


def offset_rows(
    group: Group,
    committed: Mapping[TopicPartition, CommittedOffset],
    ends: Mapping[TopicPartition, int],
) -> list[OffsetRow]:
    """Members with the most partitions first, then what nobody reads."""
    rows: list[OffsetRow] = []
    assigned: set[TopicPartition] = set()
    for member in sorted(group.members, key=lambda member: -len(member.assignment)):
        assigned.update(member.assignment)
        for partition in sorted(member.assignment):
            rows.append(_row(group, partition, committed, ends, member))
    for partition in sorted(set(committed) - assigned):
        rows.append(_row(group, partition, committed, ends, None))
    return rows


def _row(
    group: Group,
    partition: TopicPartition,
    committed: Mapping[TopicPartition, CommittedOffset],
    ends: Mapping[TopicPartition, int],
    member: Member | None,
) -> OffsetRow:
    commit, end = committed.get(partition), ends.get(partition)
    epoch = None if commit is None else commit.leader_epoch
    lag = None if commit is None or end is None else end - commit.offset
    return OffsetRow(
        group.group_id,
        partition[0],
        str(partition[1]),
        _or_missing(epoch),
        MISSING if commit is None else str(commit.offset),
        _or_missing(end),
        _or_missing(lag),
        *((member.member_id, member.host, member.client_id) if member else (MISSING,) * 3),
    )


def _or_missing(value: object) -> str:
    return MISSING if value is None else str(value)


def print_offsets(group: Group, rows: list[OffsetRow], *, verbose: bool) -> None:
    """The table of `--describe --offsets`."""
    if not has_rows_to_print(group, len(rows)):
        return
    widths = {
        "group": max(15, *(len(row.group) for row in rows)),
        "topic": max(15, *(len(row.topic) for row in rows)),
        "partition": 10,
        "leader_epoch": 15,
        "current_offset": 15,
        "log_end_offset": 15,
        "lag": 15,
        "consumer_id": max(15, *(len(row.consumer_id) for row in rows)),
        "host": max(15, *(len(row.host) for row in rows)),
        "client_id": 0,
    }
    if not verbose:
        del widths["leader_epoch"]
    print("\n" + padded((name.upper().replace("_", "-") for name in widths), [*widths.values()]))
    for row in rows:
        print(padded((getattr(row, name) for name in widths), [*widths.values()]))


def has_rows_to_print(group: Group, rows: int) -> bool:
    """Say what is special about the group's state; whether a table follows."""
    if group.state == "Dead":
        print(f"\nError: Consumer group '{group.group_id}' does not exist.")
    elif group.state == "Empty":
        print(f"\nConsumer group '{group.group_id}' has no active members.", file=sys.stderr)
    elif group.state in REBALANCING:
        print(f"\nWarning: Consumer group '{group.group_id}' is rebalancing.", file=sys.stderr)
    return group.state != "Dead" and rows > 0


def assignment_text(partitions: Iterable[TopicPartition]) -> str:
    """`topic:0,1;other:2`, or a dash for none."""
    by_topic: dict[str, list[int]] = {}
    for topic, number in partitions:
        by_topic.setdefault(topic, []).append(number)
    texts = [f"{topic}:{','.join(map(str, sorted(ns)))}" for topic, ns in by_topic.items()]
    return ";".join(sorted(texts)) or MISSING


def print_members(group: Group, *, verbose: bool) -> None:
    """The table of `--describe --members`; only its heading for a group without members."""
    members = group.members
    counted = members if has_rows_to_print(group, len(members)) else []
    assignments = [assignment_text(member.assignment) for member in counted]
    targets = [assignment_text(member.target or []) for member in counted]
    with_instance = any(member.instance_id for member in counted)
    kinds = {member.upgraded for member in counted}
    heading = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]
    widths = [
        max(15, len(group.group_id) if counted else 0),
        max([15, *(len(member.member_id) for member in counted)]),
        max([15, *(len(member.host) for member in counted)]),
        max([15, *(len(member.client_id) for member in counted)]),
        15,
    ]
    if with_instance:
        heading.insert(2, "GROUP-INSTANCE-ID")
        widths.insert(2, max([17, *(len(member.instance_id or "") for member in counted)]))
    if verbose:
        heading += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"]
        widths += [15, max([20, *map(len, assignments)]), 15, max([20, *map(len, targets)])]
        if {True, False} <= kinds:
            heading.append("UPGRADED")
            widths.append(0)
    print("\n" + _filled(heading, widths, verbose=verbose))
    for member in members:
        cells = [group.group_id, member.member_id, member.host, member.client_id]
        cells.append(str(len(member.assignment)))
        if with_instance:
            cells.insert(2, member.instance_id or "")
        if verbose:
            cells += [_or_missing(member.epoch), assignment_text(member.assignment)]
            cells += [_or_missing(group.assignment_epoch), assignment_text(member.target or [])]
            if {True, False} <= kinds:
                cells.append(_or_missing(member.upgraded).lower())
        print(_filled(cells, widths, verbose=verbose))


def _filled(cells: list[str], widths: list[int], *, verbose: bool) -> str:
    """Cells in their widths; Kafka leaves a blank after the last of the short table."""
    return padded(cells, widths) + ("" if verbose else " ")


def print_state(group: Group, *, verbose: bool) -> None:
    """The table of `--describe --state`."""
    if not has_rows_to_print(group, 1):
        return
    broker = group.coordinator
    coordinator = f"{broker.host}:{broker.port}  ({broker.node_id})"
    heading = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]
    cells = [group.group_id, coordinator, group.assignor or MISSING, group.state]
    widths = [max(15, len(group.group_id)), max(25, len(coordinator)), 20, 20]
    if verbose:
        heading += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]
        cells += [_or_missing(group.group_epoch), _or_missing(group.assignment_epoch)]
        widths += [15, 25]
    print("\n" + padded([*heading, "#MEMBERS"], [*widths, 0]))
    print(padded([*cells, str(len(group.members))], [*widths, 0]))


def print_listings(listings: list[GroupListing], *, with_type: bool, with_state: bool) -> None:
    """The table of `--list` with `--type` or `--state`."""
    heading = ["GROUP"]
    widths = [max([15, *(len(listing.group_id) for listing in listings)]) + 10]
    if with_type:
        heading.append("TYPE")
        widths.append(20)
    if with_state:
        heading.append("STATE")
        widths.append(20)
    print(padded(heading, widths))
    for listing in listings:
        cells = [listing.group_id]
        if with_type:
            cells.append(listing.type or "Unknown")
        if with_state:
            cells.append(listing.state or "Unknown")
        print(padded(cells, widths))


def print_states(groups: Iterable[GroupListing], *, with_state: bool) -> None:
    """`--list` of the tools that know one type of group only: names, or a table with states."""
    by_id = {group.group_id: group for group in groups}
    ordered = string_map_order(by_id)
    if not with_state:
        for name in ordered:
            print(name)
        return
    width = max([15, *map(len, ordered)])
    print(f"{'GROUP':<{width}} STATE")
    for name in ordered:
        print(f"{name:<{width}} {by_id[name].state}")


def print_deletions(
    kind: str, deleted: Iterable[str], failed: Mapping[str, str], *, stop: str = ""
) -> None:
    """What came of `--delete`; `failed` is group → why, `stop` ends the list of those that went."""
    done = ", ".join(f"'{name}'" for name in string_map_order(deleted))
    if not failed:
        print(f"Deletion of requested {kind} groups ({done}) was successful.")
        return
    print(f"\nError: Deletion of some {kind} groups failed:")
    for name in string_map_order(failed):
        print(f"* Group '{name}' could not be deleted due to: {failed[name]}")
    if done:
        print(f"\nThese {kind} groups were deleted successfully: {done}{stop}")


def print_new_offsets(plan: Mapping[str, Mapping[TopicPartition, int]]) -> None:
    """The table of `--reset-offsets`; `plan` is group → partition → new offset."""
    topics = [topic for offsets in plan.values() for topic, _ in offsets]
    widths = [max([15, *map(len, plan)]), max([15, *map(len, topics)]), 10, 0]
    if plan:
        print("\n" + padded(["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"], widths), end="")
    for group, offsets in plan.items():
        for topic, number in partition_map_order(offsets):
            cells = [group, topic, str(number), str(offsets[topic, number])]
            print("\n" + padded(cells, widths), end="")
    print()
