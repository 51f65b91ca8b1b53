"""Compaction: of the records of each key, only the last one stays.

What stays keeps its offset. Two passes over sealed segments, which never
change: the first maps keys to their last offsets, the second writes segments
without what is superseded. Tombstones stay for `delete_retention_ms` after
the round that first saw them last of their key (KIP-534); transaction markers
until their transaction's data is gone, and then as long again; data of aborted
transactions goes at once. A batch that is the last one of a producer stays
although it is empty, so that its sequence is known.

Work is done in bounded steps, on the loop or in a worker. A step touches files
nobody else knows; the log changes only when its owner takes the result, in
`PartitionLog.finish_compaction`. File names on the way, in order:
`.cleaned` while being written, `.swap` once complete and durable (the log file
last: it decides), then the final name. A start after a crash removes the
former and completes the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ottla.batch.control import TransactionMarker
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import BatchHeader, Record, rebuild_batch, records
from ottla.seams.filesystem import Buffer, FileSystem
from ottla.storage import safety
from ottla.storage.errors import CorruptLogError
from ottla.storage.offset_index import OffsetIndex
from ottla.storage.offset_map import DEFAULT_MAX_KEYS, OffsetMap
from ottla.storage.scan import StoredBatch, batches
from ottla.storage.segment import (
    CLEANED,
    DELETED,
    LOG,
    MAX_RELATIVE_OFFSET,
    OFFSETS,
    SWAP,
    TIMES,
    TRANSACTIONS,
    Segment,
    file_stem,
)
from ottla.storage.time_index import TimeIndex
from ottla.storage.transaction_index import AbortedTransaction
from ottla.storage.transaction_index import encode as encode_aborted

#: Beside a `.log.swap`: the base offsets of the segments it replaces, a line each.
REPLACES: Final = ".replaces"
SWAPPED_INDEXES: Final = (OFFSETS, TIMES, TRANSACTIONS)

_STEP_BYTES: Final = 65_536
_WRITE_BYTES: Final = 1_048_576


class SourceSegment(NamedTuple):
    """A sealed segment as it was when the round was planned."""

    base_offset: int
    end_offset: int
    path: str
    size: int


class LastOfProducer(NamedTuple):
    """A producer's last data offset (-1: only a marker is known), and its epoch."""

    offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """Everything a round needs to know; nothing of it changes."""

    directory: str
    segments: tuple[SourceSegment, ...]
    first_dirty_offset: int
    aborted: tuple[AbortedTransaction, ...]
    last_of_producers: dict[int, LastOfProducer]
    wall_ms: int
    delete_retention_ms: int
    segment_bytes: int
    index_interval_bytes: int
    max_keys: int = DEFAULT_MAX_KEYS


class CleanedSegment(NamedTuple):
    """A segment that stands ready under `.swap` names, in place of the `replaced` ones."""

    base_offset: int
    size: int
    replaced: tuple[int, ...]


class Compaction:
    """One round over one log. Call `step` until it says that it is done, then have the log
    take the result; or `run` it in a worker."""

    def __init__(self, filesystem: FileSystem, plan: CompactionPlan) -> None:
        self.plan = plan
        self._filesystem = filesystem
        self._map = OffsetMap(plan.max_keys)
        self._transactions = _Transactions(plan.aborted)
        self._work = self._all_steps()
        #: What to swap in, and the offset below which the log is clean then.
        self.cleaned: list[CleanedSegment] = []
        self.clean_end_offset = plan.first_dirty_offset
        self.bytes_before = 0
        self.bytes_after = 0

    def step(self) -> bool:
        """Do a bounded part of the work. Whether all is done. Raises `OSError` and
        `CorruptLogError`; the round is over then, and the log as it was."""
        return next(self._work, True)

    def run(self) -> None:
        """Do all of it. Raises as `step`."""
        while not self.step():
            pass

    def _all_steps(self) -> Iterator[bool]:
        yield from self._map_keys()
        self.clean_end_offset = self._map.end_offset
        sources = [s for s in self.plan.segments if s.base_offset < self.clean_end_offset]
        for group in group_segments(sources, self.plan.segment_bytes):
            yield from self._clean_group(group)
        yield True

    def _map_keys(self) -> Iterator[bool]:
        """First pass: the last offset of each key in the dirty part."""
        plan = self.plan
        self._map.end_offset = plan.first_dirty_offset
        transactions = _Transactions(plan.aborted)
        budget = _STEP_BYTES
        for source in plan.segments:
            if source.end_offset <= plan.first_dirty_offset:
                continue
            for batch in self._batches(source):
                header = batch.header
                is_data = not header.is_control and not transactions.is_aborted(header)
                if is_data and header.last_offset >= plan.first_dirty_offset:
                    if not self._map.has_room(header.record_count):
                        return
                    for record in _unpacked(source, batch):
                        if record.key is not None and record.offset >= plan.first_dirty_offset:
                            self._map.put(record.key, record.offset)
                self._map.end_offset = max(self._map.end_offset, header.next_offset)
                budget -= header.size_in_bytes
                if budget <= 0:
                    budget = _STEP_BYTES
                    yield False
            self._map.end_offset = max(self._map.end_offset, source.end_offset)

    def _clean_group(self, group: list[SourceSegment]) -> Iterator[bool]:
        """Second pass: one segment out of several."""
        plan = self.plan
        output = _Output(self._filesystem, plan, group[0].base_offset)
        before = sum(source.size for source in group)
        try:
            budget = _STEP_BYTES
            for source in group:
                for batch in self._batches(source):
                    self._clean_batch(source, batch, output)
                    budget -= batch.header.size_in_bytes
                    if budget <= 0:
                        budget = _STEP_BYTES
                        yield False
            self.bytes_before += before
            self.bytes_after += output.segment.size
            if len(group) == 1 and not output.has_changes:
                self._transactions.take_kept()
                output.discard()
                return
            replaced = tuple(source.base_offset for source in group)
            output.finish(self._transactions.take_kept(), replaced)
        except (OSError, CorruptLogError):
            output.discard()
            raise
        self.cleaned.append(CleanedSegment(replaced[0], output.segment.size, replaced))

    def _clean_batch(self, source: SourceSegment, batch: StoredBatch, output: _Output) -> None:
        """Write what stays of the batch."""
        header = batch.header
        transactions = self._transactions
        is_whole = header.next_offset > self.clean_end_offset
        if header.is_control:
            is_needless = transactions.is_needless_marker(header, _marker(source, batch))
            is_gone = is_needless and _has_passed(header, self.plan.wall_ms)
            needs_horizon = is_needless and header.delete_horizon_ms is None
            all_records = kept = _unpacked(source, batch)
            if is_gone:
                kept = []
        else:
            is_gone = transactions.is_aborted(header, note=True)
            all_records = [] if is_gone else _unpacked(source, batch)
            kept = [r for r in all_records if self._stays(header, r)]
            has_tombstones = any(record.value is None for record in kept)
            needs_horizon = has_tombstones and header.delete_horizon_ms is None
        if is_whole:
            # A batch the map does not speak of to its end waits for the next round.
            output.copy(batch)
        elif kept and len(kept) == len(all_records) and not needs_horizon:
            output.copy(batch)
        elif kept or self._is_last_of_producer(header):
            horizon = self.plan.wall_ms + self.plan.delete_retention_ms
            output.write(
                header,
                rebuild_batch(header, kept, delete_horizon_ms=horizon if needs_horizon else None),
            )
        else:
            output.has_changes = True

    def _stays(self, header: BatchHeader, record: Record) -> bool:
        if record.key is None or self._map.is_superseded(record.key, record.offset):
            return False
        return record.value is not None or not _has_passed(header, self.plan.wall_ms)

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        if not header.has_producer_id:
            return False
        last = self.plan.last_of_producers.get(header.producer_id)
        if last is None:
            return False
        if last.offset >= 0:
            return last.offset == header.last_offset
        return header.is_control and last.epoch == header.producer_epoch

    def _batches(self, source: SourceSegment) -> Iterator[StoredBatch]:
        file = self._filesystem.open(source.path, read_only=True)
        try:
            check = safety.is_intact_when_read
            yield from batches(source.path, file.read_at, 0, source.size, check)
        finally:
            file.close()


def group_segments(
    sources: list[SourceSegment], segment_bytes: int
) -> Iterator[list[SourceSegment]]:
    """Neighbours that fit into one segment together, so that what shrank comes together."""
    group: list[SourceSegment] = []
    size = 0
    for source in sources:
        is_too_much = group and (
            size + source.size > segment_bytes
            or source.end_offset - group[0].base_offset > MAX_RELATIVE_OFFSET
        )
        if is_too_much:
            yield group
            group, size = [], 0
        group.append(source)
        size += source.size
    if group:
        yield group


def encode_replaced(bases: tuple[int, ...]) -> bytes:
    return "".join(f"{base}\n" for base in bases).encode()


def decode_replaced(data: bytes) -> list[int]:
    """Raises `ValueError` when `data` is not what `encode_replaced` made."""
    return [int(line) for line in data.decode("ascii").splitlines()]


def swap_in(
    filesystem: FileSystem, directory: str, cleaned: int, replaced: Sequence[int]
) -> list[str]:
    """The cleaned segment stands in place of those it replaces; the names of the files that
    were renamed away. Can be repeated after a crash at any point."""
    renamed = []
    for base in replaced:
        stem = file_stem(directory, base)
        suffixes = (LOG,) if base == cleaned else (LOG, *SWAPPED_INDEXES)
        for path in [stem + suffix for suffix in suffixes]:
            if filesystem.exists(path):
                filesystem.rename(path, path + DELETED)
                renamed.append(path + DELETED)
    stem = file_stem(directory, cleaned)
    for suffix in SWAPPED_INDEXES:
        if filesystem.exists(stem + suffix + SWAP):
            filesystem.rename(stem + suffix + SWAP, stem + suffix)
    # From here on the old segments are gone, indexes and all, or the new one is not there yet.
    safety.sync_swapped_names(filesystem, directory)
    # The list of what is replaced stays until a start knows that this name is durable.
    filesystem.rename(stem + LOG + SWAP, stem + LOG)
    return renamed


def _has_passed(header: BatchHeader, wall_ms: int) -> bool:
    horizon = header.delete_horizon_ms
    return horizon is not None and horizon <= wall_ms


def _unpacked(source: SourceSegment, batch: StoredBatch) -> list[Record]:
    try:
        return list(records(batch.buffer, batch.at))
    except CorruptBatchError as error:
        raise CorruptLogError(source.path, batch.position, error.message) from error


def _marker(source: SourceSegment, batch: StoredBatch) -> TransactionMarker | None:
    try:
        return batch.marker()
    except CorruptBatchError as error:
        raise CorruptLogError(source.path, batch.position, error.message) from error


class _Transactions:
    """Walks over batches in offset order and knows whose transaction each belongs to."""

    def __init__(self, aborted: tuple[AbortedTransaction, ...]) -> None:
        self._pending = sorted(aborted, key=lambda entry: entry.first_offset, reverse=True)
        self._open_aborted: dict[int, AbortedTransaction] = {}
        self._with_aborted_data: set[int] = set()
        self._with_committed_data: set[int] = set()
        self._kept: list[AbortedTransaction] = []

    def take_kept(self) -> list[AbortedTransaction]:
        """The aborted transactions met since the last call that had data until this round."""
        kept, self._kept = self._kept, []
        return kept

    def is_aborted(self, header: BatchHeader, *, note: bool = False) -> bool:
        """Whether a data batch belongs to an aborted transaction. `note` remembers that its
        transaction still has data."""
        if not header.is_transactional:
            return False
        self._advance(header.last_offset)
        aborted = self._open_aborted.get(header.producer_id)
        is_aborted = aborted is not None and header.base_offset <= aborted.last_offset
        if note:
            seen = self._with_aborted_data if is_aborted else self._with_committed_data
            seen.add(header.producer_id)
        return is_aborted

    def is_needless_marker(self, header: BatchHeader, marker: TransactionMarker | None) -> bool:
        """Whether a marker ends a transaction that has no data left."""
        if marker is None:
            return False
        self._advance(header.last_offset)
        producer_id = header.producer_id
        if marker.is_commit:
            had_data = producer_id in self._with_committed_data
            self._with_committed_data.discard(producer_id)
            return not had_data
        aborted = self._open_aborted.pop(producer_id, None)
        had_data = producer_id in self._with_aborted_data
        self._with_aborted_data.discard(producer_id)
        if aborted is not None and had_data:
            self._kept.append(aborted)
        return not had_data

    def _advance(self, offset: int) -> None:
        while self._pending and self._pending[-1].first_offset <= offset:
            entry = self._pending.pop()
            self._open_aborted[entry.producer_id] = entry


class _Output:
    """The segment being written, under `.cleaned` names."""

    def __init__(self, filesystem: FileSystem, plan: CompactionPlan, base_offset: int) -> None:
        self._filesystem = filesystem
        self._plan = plan
        self._stem = file_stem(plan.directory, base_offset)
        self.segment = Segment(plan.directory, base_offset)
        self.segment.activate(OffsetIndex(base_offset), TimeIndex(base_offset), [])
        self.has_changes = False
        self._buffers: list[Buffer] = []
        self._buffered = 0
        self._written = 0
        self._file = filesystem.open(self._stem + LOG + CLEANED, create=True)
        self._file.truncate(0)

    def copy(self, batch: StoredBatch) -> None:
        end = batch.at + batch.header.size_in_bytes
        self._add(batch.header, memoryview(batch.buffer)[batch.at : end])

    def write(self, header: BatchHeader, batch: bytearray) -> None:
        self.has_changes = True
        self._add(header, batch)

    def _add(self, header: BatchHeader, batch: Buffer) -> None:
        maximum = int.from_bytes(batch[35:43], "big", signed=True)
        self.segment.grow(len(batch), header.last_offset, maximum, self._plan.index_interval_bytes)
        self._buffers.append(batch)
        self._buffered += len(batch)
        if self._buffered >= _WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._buffers:
            self._file.write_at(self._buffers, self._written)
        self._written += self._buffered
        self._buffers, self._buffered = [], 0

    def finish(self, aborted: list[AbortedTransaction], replaced: tuple[int, ...]) -> None:
        """The segment durably stands under its `.swap` names, and what it replaces beside it."""
        self._flush()
        safety.sync_replacement(self._file)
        self._file.close()
        segment = self.segment
        assert segment.index is not None
        assert segment.times is not None
        segment.times.append_if_later(*segment.largest_so_far)
        indexes = {
            OFFSETS: segment.index.encode(),
            TIMES: segment.times.encode(),
            # Even when empty: it takes the place of one that may be there.
            TRANSACTIONS: encode_aborted(aborted),
            REPLACES: encode_replaced(replaced),
        }
        for suffix, content in indexes.items():
            self._write_file(self._stem + suffix, content)
        safety.sync_replaced_name(self._filesystem, self._plan.directory)
        self._filesystem.rename(self._stem + LOG + CLEANED, self._stem + LOG + SWAP)
        safety.sync_replaced_name(self._filesystem, self._plan.directory)

    def _write_file(self, path: str, content: bytes) -> None:
        file = self._filesystem.open(path + CLEANED, create=True)
        try:
            file.truncate(0)
            file.write_at([content], 0)
            safety.sync_replacement(file)
        finally:
            file.close()
        self._filesystem.rename(path + CLEANED, path + SWAP)

    def discard(self) -> None:
        """Nothing of it stays."""
        self._file.close()
        for suffix in (*SWAPPED_INDEXES, REPLACES, LOG):
            for state in (SWAP, CLEANED):
                path = self._stem + suffix + state
                if self._filesystem.exists(path):
                    self._filesystem.remove(path)
