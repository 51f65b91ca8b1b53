"""What clients were told and shown by the broker, over all of its lives.

An acknowledged record, and one that was fetched, stays where it is for ever.
No record is invented, idempotent producers' records are there once, and each
producer's records stand in its order. Committed offsets and acknowledged
topics never go back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulation.log_model import Violation

#: Topic and partition.
Place = tuple[str, int]


@dataclass(slots=True)
class Transaction:
    """Values that become visible together or never."""

    places: dict[bytes, Place] = field(default_factory=dict)
    #: "open", "committing" (asked, not answered), "committed" or "aborted".
    outcome: str = "open"
    #: What readers of committed records were shown.
    shown: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class History:
    """Shared by all clients of one world."""

    #: Offset to value of everything acknowledged or shown.
    promised: dict[Place, dict[int, bytes]] = field(default_factory=dict)
    #: Every value anybody ever tried to write, and its place.
    attempted: dict[bytes, Place] = field(default_factory=dict)
    #: Values that may stand in the log only once, and where they do.
    idempotent: dict[bytes, int | None] = field(default_factory=dict)
    transactions: dict[bytes, Transaction] = field(default_factory=dict)
    #: What a share group was told to be done with.
    finished: set[tuple[Place, int]] = field(default_factory=set)
    #: By group, offsets committed within transactions; each is larger than those before.
    transactional_offsets: dict[str, dict[int, Transaction]] = field(default_factory=dict)
    #: By group: the largest offset acknowledged, and the largest anybody tried to commit.
    committed_offsets: dict[tuple[str, Place], int] = field(default_factory=dict)
    attempted_offsets: dict[tuple[str, Place], int] = field(default_factory=dict)

    def end_of(self, place: Place) -> int:
        """Everybody must see at least this much."""
        return max(self.promised.get(place, {}), default=-1) + 1

    def attempt(self, place: Place, values: Sequence[bytes], *, idempotent: bool) -> None:
        for value in values:
            self.attempted[value] = place
            if idempotent:
                self.idempotent.setdefault(value, None)

    def acknowledge(self, place: Place, base_offset: int, values: Sequence[bytes]) -> None:
        for i, value in enumerate(values):
            self.show(place, base_offset + i, value)

    def show(self, place: Place, offset: int, value: bytes) -> None:
        """Somebody was told that `value` stands at `offset`."""
        where = f"{place[0]}-{place[1]} at {offset}"
        if self.attempted.get(value) != place:
            raise Violation(f"{where}: nobody wrote {value!r} there")
        before = self.promised.setdefault(place, {}).setdefault(offset, value)
        if before != value:
            raise Violation(f"{where}: {value!r} stands where {before!r} was")
        if value in self.idempotent:
            first = self.idempotent[value]
            if first is not None and first != offset:
                raise Violation(f"{where}: {value!r} stands at {first}, too")
            self.idempotent[value] = offset

    def fetched(
        self,
        place: Place,
        offset: int,
        high_watermark: int,
        promised_end: int,
        records: Sequence[tuple[int, bytes | None]],
    ) -> None:
        """A fetch from `offset`; `promised_end` is what was promised when it was asked for.
        Control records have no value."""
        where = f"{place[0]}-{place[1]}"
        if high_watermark < promised_end:
            raise Violation(
                f"{where}: the high watermark is {high_watermark}, promised was {promised_end}"
            )
        expected = offset
        for at, value in records:
            if at != expected:
                raise Violation(f"{where}: fetched {at} where {expected} was next")
            if value is not None:
                self.show(place, at, value)
            expected += 1

    def show_committed(self, value: bytes) -> None:
        """A reader of committed records was shown this."""
        transaction = self.transactions.get(value)
        if transaction is None:
            return
        if transaction.outcome in ("open", "aborted"):
            raise Violation(f"{value!r} of a transaction that is {transaction.outcome} was shown")
        transaction.shown.add(value)

    def check_transactions(self) -> None:
        """After everything committed was read: all of a transaction was there, or nothing."""
        for transaction in self.transactions.values():
            missing = set(transaction.places) - transaction.shown
            if missing and (transaction.shown or transaction.outcome == "committed"):
                raise Violation(f"of a {transaction.outcome} transaction {missing} is missing")

    def attempt_commit(self, group: str, place: Place, offset: int) -> None:
        key = (group, place)
        self.attempted_offsets[key] = max(offset, self.attempted_offsets.get(key, -1))

    def acknowledge_commit(self, group: str, place: Place, offset: int) -> None:
        key = (group, place)
        self.committed_offsets[key] = max(offset, self.committed_offsets.get(key, -1))

    def committed(self, group: str, place: Place, offset: int, promised: int) -> None:
        """An OffsetFetch said `offset`; `promised` is what was acknowledged when it was asked."""
        latest = self.attempted_offsets.get((group, place), -1)
        if not promised <= offset <= latest:
            raise Violation(
                f"{group} on {place[0]}-{place[1]}: committed offset {offset}, acknowledged "
                f"{promised}, attempted up to {latest}"
            )

    def last_committed_within(self, group: str) -> int:
        """The last offset whose transaction is known to be committed; -1 before any."""
        offsets = self.transactional_offsets.get(group, {})
        return max((o for o, t in offsets.items() if t.outcome == "committed"), default=-1)

    def committed_within(self, group: str, offset: int, promised: int) -> None:
        """An OffsetFetch said `offset`; `promised` is what was committed when it was asked."""
        if offset < promised:
            raise Violation(f"transactional offset {offset}, committed was {promised}")
        transaction = self.transactional_offsets.get(group, {}).get(offset)
        if offset >= 0 and (transaction is None or transaction.outcome in ("open", "aborted")):
            raise Violation(f"transactional offset {offset} of {transaction} was shown")

    def share(self, place: Place, offset: int, value: bytes) -> None:
        """A share group was given this record."""
        if (place, offset) in self.finished:
            raise Violation(f"{place[0]}-{place[1]} at {offset}: finished, and shared again")
        self.show(place, offset, value)

    def finish_shared(self, done: Sequence[tuple[Place, int]]) -> None:
        """A share group was told that it is done with these."""
        self.finished.update(done)

    def check_orders(self) -> None:
        """Each idempotent producer's values stand in the order it sent them."""
        for place, by_offset in self.promised.items():
            last: dict[bytes, int] = {}
            for offset in sorted(by_offset):
                value = by_offset[offset]
                if value not in self.idempotent:
                    continue
                producer, number, _ = value.split(b":", 2)
                if int(number) <= last.get(producer, -1):
                    raise Violation(f"{place[0]}-{place[1]} at {offset}: {value!r} comes too late")
                last[producer] = int(number)
