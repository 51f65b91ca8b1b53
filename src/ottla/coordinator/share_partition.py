"""The records of one partition as one share group sees them (KIP-932).

    start_offset <= offsets < end_offset     each in one of four states
    offsets >= end_offset                    not fetched by anybody yet

    AVAILABLE     may be acquired
    ACQUIRED      locked by a member, until it acknowledges or the lock expires
    ACKNOWLEDGED  done
    ARCHIVED      rejected, or delivered too often, or not a record at all

Kept as runs of offsets with the same state. What is done at the front moves
`start_offset`. The locks live here and are lost with the process: whoever held
them does not, and the records are available again.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from ottla.wire.errors import ErrorCode


class RecordState(enum.IntEnum):
    """The states, with the numbers they have in records."""

    AVAILABLE = 0
    ACQUIRED = 1
    ACKNOWLEDGED = 2
    ARCHIVED = 4


class AcknowledgeType(enum.IntEnum):
    """What a member says of a record it had acquired; a gap is no record."""

    GAP = 0
    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    RENEW = 4


#: States in which nothing more happens to a record.
DONE: Final = frozenset({RecordState.ACKNOWLEDGED, RecordState.ARCHIVED})


class Acquired(NamedTuple):
    """Offsets, both inclusive, that a member now holds."""

    first_offset: int
    last_offset: int
    delivery_count: int


class AcknowledgeBatch(NamedTuple):
    """Offsets, both inclusive, with one type for all of them or one for each."""

    first_offset: int
    last_offset: int
    types: tuple[int, ...]


@dataclass(slots=True)
class Run:
    """Offsets in the same state, `first` and `last` inclusive."""

    first: int
    last: int
    state: RecordState
    delivery_count: int = 0
    member_id: str = ""
    lock_deadline_ms: int = 0

    def is_like(self, other: Run) -> bool:
        return (
            self.state is other.state
            and self.delivery_count == other.delivery_count
            and self.member_id == other.member_id
            and self.lock_deadline_ms == other.lock_deadline_ms
        )


@dataclass(slots=True)
class Runs:
    """Runs in order of their offsets, disjoint."""

    items: list[Run] = field(default_factory=list)

    def split(self, offset: int) -> int:
        """Make `offset` begin a run, if it is within one; returns where it goes."""
        items = self.items
        i = bisect_right(items, offset, key=lambda run: run.first)
        if i and items[i - 1].first == offset:
            return i - 1
        if i and items[i - 1].last >= offset:
            run = items[i - 1]
            items.insert(i, replace(run, first=offset))
            run.last = offset - 1
        return i

    def within(self, first: int, last: int) -> list[Run]:
        """The runs that make up what is known of a range, split at its ends."""
        i = self.split(first)
        j = self.split(last + 1)
        return self.items[i:j]

    def put(self, run: Run) -> None:
        """Replace what was known of the run's range."""
        i = self.split(run.first)
        j = self.split(run.last + 1)
        self.items[i:j] = [run]

    def drop_before(self, offset: int) -> None:
        del self.items[: self.split(offset)]

    def merge(self) -> None:
        """Join neighbours that are alike."""
        merged: list[Run] = []
        for run in self.items:
            if merged and merged[-1].last + 1 == run.first and merged[-1].is_like(run):
                merged[-1].last = run.last
            else:
                merged.append(run)
        self.items = merged


class SharePartition:
    """The live side of a share partition. Methods change it at once; what they
    return of runs is what has to be written down."""

    def __init__(self, start_offset: int, known: Iterable[Run] = ()) -> None:
        self.start_offset = start_offset
        self._runs = Runs()
        for run in known:
            # What the log does not tell of was held when the process ended.
            self._extend_to(run.first, RecordState.AVAILABLE)
            self._runs.items.append(replace(run))

    @property
    def end_offset(self) -> int:
        """One past the last offset that was ever handed out."""
        items = self._runs.items
        return items[-1].last + 1 if items else self.start_offset

    @property
    def runs(self) -> list[Run]:
        """The states of all offsets between start and end; read only."""
        return self._runs.items

    def next_fetch_offset(self, max_in_flight: int) -> int | None:
        """Where the next acquirable record is; None when nothing may be acquired."""
        for run in self._runs.items:
            if run.state is RecordState.AVAILABLE:
                return run.first
        if self.end_offset - self.start_offset >= max_in_flight:
            return None
        return self.end_offset

    def _extend_to(self, offset: int, state: RecordState) -> None:
        end = self.end_offset
        if offset > end:
            self._runs.items.append(Run(end, offset - 1, state))

    def _archive_gap(self, first: int, last: int) -> None:
        """Offsets that a read has skipped hold no records."""
        first = max(first, self.start_offset)
        if first > last or first > self.end_offset:
            return
        for run in self._runs.within(first, last):
            if run.state is RecordState.AVAILABLE:
                run.state = RecordState.ARCHIVED
        self._extend_to(last + 1, RecordState.ARCHIVED)

    def acquire(
        self,
        member_id: str,
        read_offset: int,
        read_end_offset: int,
        batches: Iterable[tuple[int, int]],
        max_records: int,
        max_in_flight: int,
        lock_deadline_ms: int,
        *,
        is_strict: bool,
    ) -> list[Acquired]:
        """Lock what is available of record batches (first and last offset, ascending).

        They are what a read from `read_offset` to `read_end_offset` (exclusive)
        found; other offsets of that range hold no records for this group. Batches
        are taken whole even if that exceeds `max_records`, unless `is_strict`
        (KIP-1206).
        """
        taken = 0
        acquired: list[Run] = []
        has_seen_all = True
        for first, last in batches:
            if taken >= max_records:
                has_seen_all = False
                break
            self._archive_gap(read_offset, first - 1)
            read_offset = last + 1
            first = max(first, self.start_offset)
            left = max_records - taken if is_strict else last - first + 1
            if first > last:
                continue
            known_last = min(last, self.end_offset - 1)
            if first <= known_last:
                for run in self._runs.within(first, known_last):
                    if run.state is not RecordState.AVAILABLE or left <= 0:
                        continue
                    if run.last - run.first + 1 > left:
                        self._runs.split(run.first + left)
                    self._lock(run, member_id, lock_deadline_ms)
                    run.delivery_count += 1
                    acquired.append(run)
                    taken += run.last - run.first + 1
                    left -= run.last - run.first + 1
            begin = max(first, self.end_offset)
            room = max_in_flight - (self.end_offset - self.start_offset)
            if begin > last or left <= 0:
                continue
            if room <= 0:
                has_seen_all = False
                break
            end = min(last, begin + left - 1) if is_strict else last
            run = Run(begin, end, RecordState.ACQUIRED, 1)
            self._lock(run, member_id, lock_deadline_ms)
            self._runs.items.append(run)
            acquired.append(run)
            taken += end - begin + 1
        if has_seen_all:
            self._archive_gap(read_offset, read_end_offset - 1)
        result: list[Acquired] = []
        for run in acquired:
            before = result[-1] if result else None
            if before is not None and (
                (before.last_offset + 1, before.delivery_count) == (run.first, run.delivery_count)
            ):
                result[-1] = before._replace(last_offset=run.last)
            else:
                result.append(Acquired(run.first, run.last, run.delivery_count))
        self._advance()
        self._runs.merge()
        return result

    def _lock(self, run: Run, member_id: str, deadline_ms: int) -> None:
        run.state = RecordState.ACQUIRED
        run.member_id = member_id
        run.lock_deadline_ms = deadline_ms

    # --- acknowledging

    def acknowledge(
        self,
        member_id: str,
        batches: list[AcknowledgeBatch],
        delivery_limit: int,
        lock_deadline_ms: int,
    ) -> tuple[ErrorCode, list[Run]]:
        """Apply a member's acknowledgements, all of them or none."""
        for batch in batches:
            error = self._check(member_id, batch)
            if error is not ErrorCode.NONE:
                return error, []
        changed: list[Run] = []
        for batch in batches:
            for first, last, type_ in _pieces(batch):
                first = max(first, self.start_offset)
                if first > last:
                    continue
                for run in self._runs.within(first, last):
                    if type_ is AcknowledgeType.RENEW:
                        run.lock_deadline_ms = lock_deadline_ms
                    else:
                        self._settle(run, type_, delivery_limit)
                        changed.append(run)
        return ErrorCode.NONE, self._changed(changed)

    def _check(self, member_id: str, batch: AcknowledgeBatch) -> ErrorCode:
        count = batch.last_offset - batch.first_offset + 1
        if count <= 0 or len(batch.types) not in (1, count):
            return ErrorCode.INVALID_REQUEST
        if any(type_ not in _KNOWN_TYPES for type_ in batch.types):
            return ErrorCode.INVALID_REQUEST
        if batch.last_offset >= self.end_offset:
            return ErrorCode.INVALID_REQUEST
        first = max(batch.first_offset, self.start_offset)
        if first > batch.last_offset:
            return ErrorCode.NONE  # All of it is done already.
        for run in self._runs.within(first, batch.last_offset):
            if run.state is not RecordState.ACQUIRED or run.member_id != member_id:
                return ErrorCode.INVALID_RECORD_STATE
        return ErrorCode.NONE

    def _settle(self, run: Run, type_: AcknowledgeType, delivery_limit: int) -> None:
        if type_ is AcknowledgeType.ACCEPT:
            run.state = RecordState.ACKNOWLEDGED
        elif type_ is AcknowledgeType.RELEASE and run.delivery_count < delivery_limit:
            run.state = RecordState.AVAILABLE
        else:
            run.state = RecordState.ARCHIVED
        run.member_id = ""
        run.lock_deadline_ms = 0

    def release(self, member_id: str, delivery_limit: int) -> list[Run]:
        """Give back everything that a member holds."""
        held = [run for run in self._runs.items if run.member_id == member_id]
        for run in held:
            self._settle(run, AcknowledgeType.RELEASE, delivery_limit)
        return self._changed(held)

    def expire_locks(self, mono_ms: int, delivery_limit: int) -> list[Run]:
        """Give back what was held for too long."""
        held = [
            run
            for run in self._runs.items
            if run.state is RecordState.ACQUIRED and run.lock_deadline_ms <= mono_ms
        ]
        for run in held:
            self._settle(run, AcknowledgeType.RELEASE, delivery_limit)
        return self._changed(held)

    def next_lock_deadline_ms(self) -> int | None:
        return min(
            (r.lock_deadline_ms for r in self._runs.items if r.state is RecordState.ACQUIRED),
            default=None,
        )

    def skip_to(self, log_start_offset: int) -> bool:
        """Records before this are gone; True if that changed anything."""
        if log_start_offset <= self.start_offset:
            return False
        self._runs.drop_before(log_start_offset)
        self.start_offset = log_start_offset
        self._advance()
        return True

    def _changed(self, runs: list[Run]) -> list[Run]:
        """Copies of what changed; then move the start and join what is alike."""
        copies = [replace(run) for run in runs]
        self._advance()
        self._runs.merge()
        return copies

    def _advance(self) -> None:
        items = self._runs.items
        done = 0
        while done < len(items) and items[done].state in DONE:
            self.start_offset = items[done].last + 1
            done += 1
        del items[:done]

    def delivery_complete_count(self) -> int:
        """Offsets after the start of which nothing more is to be delivered."""
        return sum(run.last - run.first + 1 for run in self._runs.items if run.state in DONE)


_KNOWN_TYPES: Final = frozenset(type_.value for type_ in AcknowledgeType)


def _pieces(batch: AcknowledgeBatch) -> Iterable[tuple[int, int, AcknowledgeType]]:
    """The batch in ranges of one type each."""
    if len(batch.types) == 1:
        yield batch.first_offset, batch.last_offset, AcknowledgeType(batch.types[0])
        return
    begin = 0
    for i in range(1, len(batch.types) + 1):
        if i == len(batch.types) or batch.types[i] != batch.types[begin]:
            first = batch.first_offset + begin
            last = batch.first_offset + i - 1
            yield first, last, AcknowledgeType(batch.types[begin])
            begin = i
