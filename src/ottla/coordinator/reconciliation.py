"""How a member of a KIP-848 group moves from its assignment to its target.

A member first gives up what is no longer meant for it, and stays in its epoch
until it has; then it moves to the epoch of the target and takes what nobody
else holds any more. So a partition never has two owners.

    STABLE                has its target
    UNREVOKED_PARTITIONS  was told to give partitions up and still reports them
    UNRELEASED_PARTITIONS waits for partitions that others have not given up
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ottla.coordinator.assignors import NOTHING, Partitions, Slot, slots_of


class MemberState(enum.IntEnum):
    """The states, with the numbers they have in records."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2
    UNKNOWN = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a member stands: its epoch, what it holds, what it must give up.

    `since` has the epoch in which each partition that it holds became its own.
    """

    member_epoch: int = 0
    previous_member_epoch: int = 0
    state: MemberState = MemberState.STABLE
    assigned: Partitions = field(default_factory=dict)
    pending_revocation: Partitions = field(default_factory=dict)
    since: Mapping[Slot, int] = field(default_factory=dict)

    def moved_to(
        self,
        epoch: int,
        state: MemberState,
        assigned: Partitions,
        pending_revocation: Partitions = NOTHING,
    ) -> Position:
        changed = epoch != self.member_epoch
        held = slots_of(assigned) | slots_of(pending_revocation)
        return Position(
            member_epoch=epoch,
            previous_member_epoch=self.member_epoch if changed else self.previous_member_epoch,
            state=state,
            assigned=assigned,
            pending_revocation=pending_revocation,
            since={slot: self.since.get(slot, epoch) for slot in sorted(held)},
        )


def reconcile(
    position: Position,
    target: Partitions,
    target_epoch: int,
    owned: Partitions | None,
    is_held: Callable[[bytes, int], bool],
) -> Position:
    """The next position; the same when nothing can move.

    `owned` is what the member reports to hold, None when it does not say;
    `is_held(topic_id, partition)` tells whether any member still holds it.
    """
    epoch = position.member_epoch
    if position.state is MemberState.STABLE and epoch == target_epoch:
        return position
    if position.state is MemberState.UNREVOKED_PARTITIONS:
        if _still_owns(owned, position.pending_revocation):
            return position
        epoch += 1
    kept: dict[bytes, frozenset[int]] = {}
    revoked: dict[bytes, frozenset[int]] = {}
    gained: dict[bytes, frozenset[int]] = {}
    is_waiting = False
    for topic_id in sorted(target.keys() | position.assigned.keys()):
        wanted = target.get(topic_id, frozenset())
        had = position.assigned.get(topic_id, frozenset())
        missing = wanted - had
        available = frozenset(p for p in missing if not is_held(topic_id, p))
        is_waiting = is_waiting or available != missing
        for partitions, into in (
            (had & wanted, kept),
            (had - wanted, revoked),
            (available, gained),
        ):
            if partitions:
                into[topic_id] = partitions
    if revoked and _still_owns(owned, revoked):
        return position.moved_to(epoch, MemberState.UNREVOKED_PARTITIONS, kept, revoked)
    assigned = {
        topic_id: kept.get(topic_id, frozenset()) | gained.get(topic_id, frozenset())
        for topic_id in sorted(kept.keys() | gained.keys())
    }
    state = MemberState.UNRELEASED_PARTITIONS if is_waiting else MemberState.STABLE
    return position.moved_to(target_epoch, state, assigned)


def _still_owns(owned: Partitions | None, partitions: Partitions) -> bool:
    """Whether a member may still hold any of the partitions."""
    if owned is None:
        return True
    return any(owned.get(topic_id, frozenset()) & found for topic_id, found in partitions.items())
