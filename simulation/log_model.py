"""What one partition's log promised, and whether what came back keeps it.

The model is a list of values in the order they were accepted. After a power
cut the log must be a beginning of that list: it ends nowhere before the last
acknowledged record (none lost, none visible that later vanishes), every record
is the one that was accepted at its offset (none invented, order kept), and it
starts no earlier than the start that was acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Violation(AssertionError):
    """A promise was broken."""


class SentBatch(NamedTuple):
    """A batch of an idempotent producer; `offset` is -1 until it was answered."""

    sequence: int
    values: tuple[bytes, ...]
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
    #: values[i] stands at offset first_offset + i.
    values: list[bytes] = field(default_factory=list)
    first_offset: int = 0
    #: Everything below it was acknowledged or visible.
    acknowledged_end: int = 0
    #: The start that was acknowledged to somebody, and the furthest one ever applied.
    acknowledged_start: int = 0
    applied_start: int = 0
    #: Starts that somebody waits for.
    asked_starts: set[int] = field(default_factory=set)
    #: Being appended when the power failed, if it did: nobody was told either way.
    in_flight: list[bytes] = field(default_factory=list)
    producers: list[ProducerModel] = field(default_factory=list)

    @property
    def end_offset(self) -> int:
        return self.first_offset + len(self.values)

    def offer(self, values: Sequence[bytes]) -> None:
        """These values are handed to the log; `accept` or `refuse` follows, or a power cut."""
        self.in_flight = list(values)

    def refuse(self) -> None:
        """The log has said that it did not take them."""
        self.in_flight = []

    def accept(self, offset: int, values: Sequence[bytes]) -> None:
        """The log has said that these values stand at `offset`."""
        self.in_flight = []
        if offset != self.end_offset:
            raise Violation(f"{self.name}: appended at {offset}, the log ends at {self.end_offset}")
        self.values += values

    def acknowledge(self, end_offset: int) -> None:
        """Everything below `end_offset` was answered or shown to somebody."""
        self.acknowledged_end = max(self.acknowledged_end, end_offset)
        if end_offset > self.end_offset:
            raise Violation(f"{self.name}: {end_offset} is beyond the end {self.end_offset}")

    def apply_start(self, offset: int, *, acknowledged: bool) -> None:
        self.applied_start = max(self.applied_start, offset)
        if acknowledged:
            self.acknowledged_start = max(self.acknowledged_start, offset)

    def shown_start(self, offset: int) -> None:
        """The log says that it starts here."""
        if not self.acknowledged_start <= offset <= self.applied_start:
            raise Violation(
                f"{self.name}: starts at {offset}, expected at most {self.applied_start}"
            )

    def expect(self, offset: int, found: Sequence[bytes]) -> None:
        """A reader was shown `found` from `offset` on."""
        start = offset - self.first_offset
        if start < 0 or list(found) != self.values[start : start + len(found)]:
            raise Violation(
                f"{self.name}: wrong records at {offset}: {self._differences(offset, found)}"
            )

    def recovered(self, start_offset: int, end_offset: int, found: Sequence[bytes]) -> None:
        """The log as it was opened again; what it holds now counts as shown."""
        self.values += self.in_flight
        self.in_flight = []
        if end_offset < self.acknowledged_end and start_offset < self.acknowledged_end:
            raise Violation(
                f"{self.name}: ends at {end_offset}, acknowledged up to {self.acknowledged_end}"
            )
        if (
            not self.acknowledged_start
            <= start_offset
            <= max(self.applied_start, self.first_offset)
        ):
            raise Violation(
                f"{self.name}: starts at {start_offset}, acknowledged start is "
                f"{self.acknowledged_start}, applied start is {self.applied_start}"
            )
        if end_offset > self.end_offset:
            raise Violation(f"{self.name}: ends at {end_offset}, written up to {self.end_offset}")
        if len(found) != end_offset - start_offset:
            raise Violation(
                f"{self.name}: {len(found)} records between {start_offset} and {end_offset}"
            )
        self.expect(start_offset, found)
        del self.values[end_offset - self.first_offset :]
        del self.values[: start_offset - self.first_offset]
        self.first_offset = start_offset
        self.applied_start = self.acknowledged_start = start_offset
        self.asked_starts.clear()
        self.acknowledged_end = end_offset

    def _differences(self, offset: int, found: Sequence[bytes]) -> str:
        for position, value in enumerate(found):
            index = offset + position - self.first_offset
            expected = self.values[index] if 0 <= index < len(self.values) else None
            if value != expected:
                wanted = None if expected is None else expected[:20]
                return f"at {offset + position} {value[:20]!r} instead of {wanted!r}"
        return "none"
