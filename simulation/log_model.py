"""What one partition's log promised, and whether what came back keeps it.

The model is the list of records in the order they were accepted. After a power
cut the log must be a beginning of that list: it ends nowhere before the last
acknowledged record (none lost, none visible that later vanishes), every record
is the one that was accepted at its offset (none invented, order kept), and it
starts no earlier than the start that was acknowledged. In a compacted log a
record may be missing only where a later one of the same key is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Violation(AssertionError):
    """A promise was broken."""


class Entry(NamedTuple):
    """A record as the model knows it; values are unique, except that None is a tombstone."""

    key: bytes | None
    value: bytes | None


class SentBatch(NamedTuple):
    """A batch of an idempotent producer; `offset` is -1 until it was answered."""

    sequence: int
    entries: tuple[Entry, ...]
    offset: int = -1


@dataclass(slots=True)
class ProducerModel:
    """An idempotent producer of one partition: it sends again, in order, what was not answered."""

    producer_id: int
    next_sequence: int = 0
    unanswered: list[SentBatch] = field(default_factory=list)
    #: The last one that was acknowledged; sent again it must be known.
    answered: SentBatch | None = None


@dataclass(slots=True)
class LogModel:
    """One partition, from creation to deletion, through any number of power cuts."""

    name: str
    is_compacted: bool = False
    #: entries[i] stands at offset first_offset + i, unless it was compacted away.
    entries: list[Entry] = field(default_factory=list)
    first_offset: int = 0
    #: Everything below it was acknowledged or visible.
    acknowledged_end: int = 0
    #: The start that was acknowledged to somebody, and the furthest one ever applied.
    acknowledged_start: int = 0
    applied_start: int = 0
    #: Starts that somebody waits for.
    asked_starts: set[int] = field(default_factory=set)
    #: Being appended when the power failed, if it did: nobody was told either way.
    in_flight: list[Entry] = field(default_factory=list)
    producers: list[ProducerModel] = field(default_factory=list)

    @property
    def end_offset(self) -> int:
        return self.first_offset + len(self.entries)

    def entry_at(self, offset: int) -> Entry | None:
        index = offset - self.first_offset
        return self.entries[index] if 0 <= index < len(self.entries) else None

    # What the log is told and says

    def offer(self, entries: Sequence[Entry]) -> None:
        """These are handed to the log; `accept` or `refuse` follows, or a power cut."""
        self.in_flight = list(entries)

    def refuse(self) -> None:
        """The log has said that it did not take them."""
        self.in_flight = []

    def accept(self, offset: int, entries: Sequence[Entry]) -> None:
        """The log has said that these stand at `offset`."""
        self.in_flight = []
        if offset != self.end_offset:
            raise Violation(f"{self.name}: appended at {offset}, the log ends at {self.end_offset}")
        self.entries += entries

    def acknowledge(self, end_offset: int) -> None:
        """Everything below `end_offset` was answered or shown to somebody."""
        if end_offset > self.end_offset:
            raise Violation(f"{self.name}: {end_offset} is beyond the end {self.end_offset}")
        self.acknowledged_end = max(self.acknowledged_end, end_offset)

    def apply_start(self, offset: int, *, acknowledged: bool) -> None:
        """The log was asked to start at `offset`, or has said that it durably does."""
        self.applied_start = max(self.applied_start, offset)
        if acknowledged:
            self.acknowledged_start = max(self.acknowledged_start, offset)

    def shown_start(self, offset: int) -> None:
        """The log says that it starts here."""
        if not self.acknowledged_start <= offset <= self.applied_start:
            raise Violation(
                f"{self.name}: starts at {offset}, acknowledged was {self.acknowledged_start}, "
                f"applied {self.applied_start}"
            )

    # What the log shows

    def expect(self, start: int, end: int, found: Sequence[tuple[int, Entry]]) -> None:
        """A reader was shown `found`, and nothing else, between the offsets."""
        for offset, entry in found:
            wanted = self.entry_at(offset)
            if entry != wanted or not start <= offset < end:
                raise Violation(f"{self.name}: at {offset} {_short(entry)}, not {_short(wanted)}")
        offsets = [offset for offset, _ in found]
        if offsets != sorted(set(offsets)):
            raise Violation(f"{self.name}: offsets {offsets}")
        missing = set(range(start, end)) - set(offsets)
        if missing and not self.is_compacted:
            raise Violation(f"{self.name}: {sorted(missing)} missing between {start} and {end}")

    def _expect_last_values(self, start: int, end: int, found: Sequence[tuple[int, Entry]]) -> None:
        present = {offset for offset, _ in found}
        last: dict[bytes | None, int] = {}
        for offset in range(start, end):
            entry = self.entry_at(offset)
            assert entry is not None
            last[entry.key] = offset
        for key, offset in last.items():
            if offset not in present:
                raise Violation(f"{self.name}: the last record of key {key!r}, {offset}, is gone")

    def recovered(self, start: int, end: int, found: Sequence[tuple[int, Entry]]) -> None:
        """The log as it was opened again; what it holds now counts as shown."""
        self.entries += self.in_flight
        self.in_flight = []
        if end < self.acknowledged_end:
            raise Violation(
                f"{self.name}: ends at {end}, acknowledged up to {self.acknowledged_end}"
            )
        if end > self.end_offset:
            raise Violation(f"{self.name}: ends at {end}, written up to {self.end_offset}")
        self.applied_start = max(self.applied_start, self.first_offset)
        self.shown_start(start)
        self.expect(start, end, found)
        if self.is_compacted:
            self._expect_last_values(start, end, found)
        del self.entries[end - self.first_offset :]
        del self.entries[: start - self.first_offset]
        self.first_offset = start
        self.applied_start = self.acknowledged_start = start
        self.asked_starts.clear()
        self.acknowledged_end = end


def _short(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    return f"{entry.key!r}={entry.value if entry.value is None else entry.value[:20]!r}"
