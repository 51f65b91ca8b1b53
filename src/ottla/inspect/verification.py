"""Is every record of a data directory readable, and does every index lead to it?

Reads only. A directory that a broker is writing to may show an unfinished last
batch, which is no damage.
"""

from __future__ import annotations

import enum
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
from ottla.storage import (
    directory_checkpoint,
    leader_epochs,
    metadata_journal,
    transaction_index,
)

_PARTITION: Final = re.compile(r"(.+)-(\d+)")
_SEGMENT: Final = re.compile(r"\d{20}\.log")


class Remedy(enum.Enum):
    """What a repair can do, without losing anything."""

    #: Nothing: the bytes are not what was written, and nobody else has them.
    NONE = "none"
    #: The file goes out of the way, and the next start builds it again.
    SET_ASIDE = "set aside"
    #: What follows the last whole batch goes into a file of its own.
    CUT = "cut"


@dataclass(frozen=True)
class Problem:
    """What is wrong, in which file, and where in it."""

    path: Path
    position: int | None
    sentence: str
    remedy: Remedy = Remedy.NONE

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
    _verify_directory(directory, findings)
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
                    findings.problems.append(
                        Problem(path, None, f"not a snapshot: {error}.", Remedy.SET_ASIDE)
                    )
            elif path.name == leader_epochs.FILE_NAME:
                try:
                    leader_epochs.decode(path.read_bytes())
                except ValueError as error:
                    findings.problems.append(
                        Problem(path, None, f"no leader epochs: {error}.", Remedy.SET_ASIDE)
                    )


def _verify_directory(directory: Path, findings: Findings) -> None:
    """The files of the whole directory that only Ottla has."""
    checkpoint = directory / directory_checkpoint.FILE_NAME
    if checkpoint.exists():
        try:
            directory_checkpoint.decode(checkpoint.read_bytes())
        except ValueError as error:
            findings.problems.append(Problem(checkpoint, None, f"{error}."))
    journal = directory / metadata_journal.FILE_NAME
    if journal.exists():
        data = journal.read_bytes()
        sound = metadata_journal.sound_bytes(data)
        if sound < len(data):
            sentence = f"{len(data) - sound} bytes are no whole change of the metadata."
            findings.problems.append(Problem(journal, sound, sentence))


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
        is_last = not any(int(other.stem) > base for other in path.parent.glob("*.log"))
        sentence = f"{left} bytes follow that are no whole batch (from offset {next_offset} on)."
        remedy = Remedy.CUT if is_last else Remedy.NONE
        findings.problems.append(Problem(path, segment.valid_bytes, sentence, remedy))
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
        yield f"the checksum of the batch with offset {_range(batch)} is wrong."
        return
    if batch.header is not None and first < next_offset:
        yield f"offset {first} comes again; {next_offset} was due."
    if not is_deep:
        return
    try:
        found = sum(1 for _ in batch.records())
    except CorruptBatchError as error:
        yield f"the batch with offset {_range(batch)} cannot be opened: {error}."
        return
    if batch.header is not None and found != batch.header.record_count:
        yield f"{batch.header.record_count} records are claimed, and {found} are there."


def _range(batch: LoggedBatch) -> str:
    """Its offsets, as far as its header can be believed."""
    first, last, _ = _offsets(batch)
    return f"{first} to {last}" if first < last < first + 2**31 else str(first)


def _verify_indexes(path: Path, ends: dict[int, int], findings: Findings) -> None:
    index = path.with_suffix(".index")
    if index.exists():
        for offset, position in index_entries(index):
            is_preallocated = position == 0 and offset == int(path.stem)
            if ends and not is_preallocated and ends.get(position) != offset:
                findings.problems.append(
                    Problem(
                        index,
                        None,
                        f"offset {offset} is not at byte {position} of the log.",
                        Remedy.SET_ASIDE,
                    )
                )
    times = path.with_suffix(".timeindex")
    if times.exists():
        previous = -1
        for timestamp, offset in time_index_entries(times):
            if timestamp < previous:
                findings.problems.append(
                    Problem(
                        times,
                        None,
                        f"the time of offset {offset} is before the last one.",
                        Remedy.SET_ASIDE,
                    )
                )
            previous = timestamp
    aborted = path.with_suffix(".txnindex")
    if aborted.exists():
        data = aborted.read_bytes()
        sound = transaction_index.ENTRY_BYTES * len(transaction_index.decode(data, int(path.stem)))
        if sound < len(data):
            sentence = f"{len(data) - sound} bytes are no aborted transactions."
            findings.problems.append(Problem(aborted, sound, sentence))
