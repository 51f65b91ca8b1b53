"""How far a move has come, kept in a file so that a crash costs nothing.

For each partition: the next offset to read, the end of the target's log as
far as it is known, the mapping of offsets and the running checksum. After a
crash the target may hold more than the file says: exactly that many records
are skipped, because nobody else writes to the target's topics.

Shape: JSON, `{"version": 1, "source": id, "target": id, "partitions": {...}}`,
replaced atomically.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ottla.moving.errors import MoveError


@dataclass(slots=True)
class PartitionState:
    """One partition; `runs` are [source offset, target offset] where both go on in step."""

    next_offset: int
    target_end: int
    records: int = 0
    bytes: int = 0
    checksum: int = 0
    runs: list[list[int]] = field(default_factory=list)

    def note(self, source_offset: int, target_offset: int) -> None:
        """The record at `source_offset` went to `target_offset`."""
        if self.runs:
            source, target = self.runs[-1]
            if source_offset - source == target_offset - target:
                return
        self.runs.append([source_offset, target_offset])

    def translate(self, offset: int) -> int:
        """Where a group that would read `offset` next in the source reads next in the target."""
        index = bisect_right(self.runs, offset, key=lambda run: run[0]) - 1
        if index < 0:
            return self.runs[0][1] if self.runs else self.target_end
        source, target = self.runs[index]
        limit = self.runs[index + 1][1] if index + 1 < len(self.runs) else self.target_end
        return min(target + offset - source, limit)


class MoveState:
    """The states of all partitions of one move, by "topic-partition"."""

    def __init__(self, path: Path, source: str, target: str) -> None:
        self.path = path
        self.source = source
        self.target = target
        self.partitions: dict[str, PartitionState] = {}

    @classmethod
    def load(cls, path: Path, source: str, target: str) -> MoveState:
        """The state in the file, or a fresh one.

        Errors: `MoveError` when the file belongs to another move, or is unreadable.
        """
        state = cls(path, source, target)
        if not path.exists():
            return state
        try:
            found = json.loads(path.read_text())
            ids = (found["source"], found["target"])
            partitions = {
                name: PartitionState(**fields) for name, fields in found["partitions"].items()
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MoveError(
                f"{path} cannot be read ({error}); name another file with --state, or remove it to"
                " start anew with empty target topics"
            ) from None
        if ids != (source, target):
            raise MoveError(
                f"{path} is about a move between other clusters; name another file with --state"
            )
        state.partitions = partitions
        return state

    def save(self) -> None:
        text = json.dumps(
            {
                "version": 1,
                "source": self.source,
                "target": self.target,
                "partitions": {name: asdict(p) for name, p in self.partitions.items()},
            }
        )
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self.path)
