"""Server-side assignors of KIP-848: who gets which partitions.

Each takes the members with the topics they want and the partitions they had,
and the partition counts; it gives every partition that somebody wants to
exactly one member. The result depends on the input alone.

    range    per topic, contiguous ranges in the order of the members, so that
             equally partitioned topics are co-partitioned
    uniform  spreads all partitions evenly and moves as few as it can
    simple   share groups (KIP-932): every member gets partitions; one is shared
             when there are more members than partitions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

#: Partitions by topic id. Never changed once made.
Partitions: TypeAlias = Mapping[bytes, frozenset[int]]
Slot: TypeAlias = tuple[bytes, int]

NOTHING: Final[Partitions] = {}


@dataclass(frozen=True, slots=True)
class AssignmentMember:
    """What an assignor is told of a member; topics that do not exist are left out."""

    member_id: str
    instance_id: str | None
    topics: frozenset[bytes]
    owned: Partitions


Assignor: TypeAlias = Callable[[list[AssignmentMember], Mapping[bytes, int]], dict[str, Partitions]]


def to_partitions(slots: Iterable[Slot]) -> Partitions:
    """Group (topic id, partition) pairs by topic."""
    by_topic: dict[bytes, set[int]] = {}
    for topic_id, partition in slots:
        by_topic.setdefault(topic_id, set()).add(partition)
    return {topic_id: frozenset(found) for topic_id, found in by_topic.items()}


def slots_of(partitions: Partitions) -> set[Slot]:
    return {(topic_id, p) for topic_id, found in partitions.items() for p in found}


def assign_range(
    members: list[AssignmentMember], partition_counts: Mapping[bytes, int]
) -> dict[str, Partitions]:
    """Static members come first, by instance id, so that restarts change nothing."""
    ordered = sorted(
        members, key=lambda m: (m.instance_id is None, m.instance_id or "", m.member_id)
    )
    result: dict[str, dict[bytes, frozenset[int]]] = {m.member_id: {} for m in ordered}
    for topic_id, count in partition_counts.items():
        takers = [member for member in ordered if topic_id in member.topics]
        if not takers:
            continue
        quota, extra = divmod(count, len(takers))
        start = 0
        for i, member in enumerate(takers):
            end = start + quota + (i < extra)
            if start < end:
                result[member.member_id][topic_id] = frozenset(range(start, end))
            start = end
    return dict(result)


def assign_uniform(
    members: list[AssignmentMember], partition_counts: Mapping[bytes, int]
) -> dict[str, Partitions]:
    """Keep what fits the quota, fill up the others, then level the rest."""
    ordered = sorted(members, key=lambda m: m.member_id)
    wanted = {topic_id for member in ordered for topic_id in member.topics}
    free = {
        (topic_id, p)
        for topic_id, count in partition_counts.items()
        if topic_id in wanted
        for p in range(count)
    }
    mine: dict[str, set[Slot]] = {m.member_id: set() for m in ordered}
    if not ordered or not free:
        return dict.fromkeys(mine, NOTHING)
    same_topics = all(member.topics == ordered[0].topics for member in ordered)
    quota, extra = divmod(len(free), len(ordered))
    for member in ordered:
        kept = sorted(s for s in slots_of(member.owned) if s in free and s[0] in member.topics)
        if same_topics:
            # One more than the quota for as many members as there is remainder.
            limit = quota + (1 if extra > 0 and len(kept) > quota else 0)
            extra -= limit > quota
            kept = kept[:limit]
        mine[member.member_id].update(kept)
        free.difference_update(kept)
    topics_of = {member.member_id: member.topics for member in ordered}
    takers = {t: [m.member_id for m in ordered if t in m.topics] for t in wanted}
    # Topics that few want first: those who want more can take what is left.
    for slot in sorted(free, key=lambda s: (len(takers[s[0]]), s)):
        least = min(takers[slot[0]], key=lambda m: (len(mine[m]), m))
        mine[least].add(slot)
    _level(mine, topics_of)
    return {member_id: to_partitions(slots) for member_id, slots in mine.items()}


def _level(mine: dict[str, set[Slot]], topics_of: dict[str, frozenset[bytes]]) -> None:
    """Move partitions one by one from those with more to those with two fewer."""
    moved = True
    while moved:
        moved = False
        for giver in sorted(mine, key=lambda m: (-len(mine[m]), m)):
            for taker in sorted(mine, key=lambda m: (len(mine[m]), m)):
                if len(mine[giver]) - len(mine[taker]) < 2:
                    break
                movable = [s for s in mine[giver] if s[0] in topics_of[taker]]
                if movable:
                    slot = max(movable)
                    mine[giver].remove(slot)
                    mine[taker].add(slot)
                    moved = True
                    break


def assign_simple(
    members: list[AssignmentMember], partition_counts: Mapping[bytes, int]
) -> dict[str, Partitions]:
    """Spread partitions round robin; members beyond them share, evenly (KIP-932)."""
    ordered = sorted(members, key=lambda m: m.member_id)
    mine: dict[str, set[Slot]] = {m.member_id: set() for m in ordered}
    for topic_id in sorted(partition_counts):
        takers = [m.member_id for m in ordered if topic_id in m.topics]
        count = partition_counts[topic_id]
        for i in range(max(len(takers), count) if takers and count else 0):
            mine[takers[i % len(takers)]].add((topic_id, i % count))
    return {member_id: to_partitions(slots) for member_id, slots in mine.items()}


#: The assignors of consumer groups, the default one first.
CONSUMER_ASSIGNORS: Final[dict[str, Assignor]] = {
    "uniform": assign_uniform,
    "range": assign_range,
}
