"""Is every record of a data directory readable, and does every index lead to it?

Reads only. A directory that a broker is writing to may show an unfinished last
batch, which is no damage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ottla.batch.errors import CorruptBatchError
from ottla.inspect.data_files import (
    BadSnapshotError,
    LoggedBatch,
    Segment,
    index_entries,
    producer_states,
    time_index_entries,
)

_PARTITION: Final = re.compile(r"(.+)-(\d+)")
_SEGMENT: Final = re.compile(r"\d{20}\.log")


@dataclass(frozen=True)
class Problem:
    """What is wrong, in which file, and where in it."""

    path: Path
    position: int | None
    sentence: str

    def __str__(self) -> str:
        place = "" if self.position is None else f" at byte {self.position}"
        return f"{self.path}{place}: {self.sentence}"


@dataclass
class Findings:
    """What was looked at, and what is wrong with it."""

    partitions: int = 0
    segments: int = 0
    batches: int = 0
    records: int = 0
    size: int = 0
    problems: list[Problem] = field(default_factory=list)


def partition_directories(directory: Path) -> list[Path]:
    """The directories of partitions, deleted ones left out, sorted by name."""
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_dir() and _PARTITION.fullmatch(path.name) and not path.name.endswith("-delete")
    )


def verify(directory: Path, findings: Findings, *, is_deep: bool) -> Iterator[Path]:
    """Look at every partition below a directory; yields each before it is looked at.

    `is_deep` opens every batch as well, compressed ones included.
    Errors: `OSError` when the directory cannot be read.
    """
    for partition in partition_directories(directory):
        yield partition
        findings.partitions += 1
        next_offset = 0
        for path in sorted(partition.iterdir()):
            if _SEGMENT.fullmatch(path.name):
                next_offset = _verify_segment(path, next_offset, findings, is_deep=is_deep)
            elif path.suffix == ".snapshot" and not path.name.endswith(".checkpoint"):
                try:
                    producer_states(path)
                except BadSnapshotError as error:
                    findings.problems.append(Problem(path, None, f"not a snapshot: {error}."))


def _verify_segment(path: Path, next_offset: int, findings: Findings, *, is_deep: bool) -> int:
    """The offset that the next segment may begin with."""
    segment = Segment(path)
    base = int(path.stem)
    if base < next_offset:
        findings.problems.append(
            Problem(path, None, f"it begins at {base}, inside the segment before it.")
        )
    next_offset = base
    ends: dict[int, int] = {}
    for batch in segment:
        findings.batches += 1
        first, last, count = _offsets(batch)
        findings.records += count
        ends[batch.position] = last
        for sentence in _batch_problems(batch, first, next_offset, is_deep=is_deep):
            findings.problems.append(Problem(path, batch.position, sentence))
        next_offset = max(next_offset, last + 1)
    findings.segments += 1
    findings.size += segment.size
    left = segment.size - segment.valid_bytes
    if left:
        findings.problems.append(
            Problem(path, segment.valid_bytes, f"{left} bytes follow that are no whole batch.")
        )
    _verify_indexes(path, ends, findings)
    return next_offset


def _offsets(batch: LoggedBatch) -> tuple[int, int, int]:
    """First and last offset of a batch, and how many records it claims."""
    if batch.header is not None:
        header = batch.header
        return header.base_offset, header.last_offset, header.record_count
    assert batch.legacy is not None
    return batch.legacy.offset, batch.legacy.offset, 1


def _batch_problems(
    batch: LoggedBatch, first: int, next_offset: int, *, is_deep: bool
) -> Iterator[str]:
    if not batch.is_valid:
        yield f"the checksum of the batch with offset {first} is wrong."
        return
    if batch.header is not None and first < next_offset:
        yield f"offset {first} comes again; {next_offset} was due."
    if not is_deep:
        return
    try:
        found = sum(1 for _ in batch.records())
    except CorruptBatchError as error:
        yield f"the batch with offset {first} cannot be opened: {error}."
        return
    if batch.header is not None and found != batch.header.record_count:
        yield f"{batch.header.record_count} records are claimed, and {found} are there."


def _verify_indexes(path: Path, ends: dict[int, int], findings: Findings) -> None:
    index = path.with_suffix(".index")
    if index.exists():
        for offset, position in index_entries(index):
            is_preallocated = position == 0 and offset == int(path.stem)
            if ends and not is_preallocated and ends.get(position) != offset:
                findings.problems.append(
                    Problem(index, None, f"offset {offset} is not at byte {position} of the log.")
                )
    times = path.with_suffix(".timeindex")
    if times.exists():
        previous = -1
        for timestamp, offset in time_index_entries(times):
            if timestamp < previous:
                findings.problems.append(
                    Problem(times, None, f"the time of offset {offset} is before the last one.")
                )
            previous = timestamp
