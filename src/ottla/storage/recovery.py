"""Opening the files of one log, after a clean stop or after a crash.

Everything below the recovery point was made durable together with its indexes
and a producer snapshot, and is not read again. What lies behind it is scanned
batch by batch with its CRC; at the first bad batch the log ends, and the rest
is cut off. What is kept may never have left the page cache, so it is made
durable before anybody may be served from it. After a clean stop the recovery
point is the log's end, and nothing is left to scan.

Never cut: anything below the recovery point. Damage there is a problem to
report; reading it raises.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import HEADER_BYTES, BatchHeader, read_header
from ottla.seams.filesystem import Buffer
from ottla.storage import leader_epochs, producer_snapshot, safety
from ottla.storage.checkpoints import TEMPORARY, read_file
from ottla.storage.cleaner import REPLACES, decode_replaced, swap_in
from ottla.storage.errors import CorruptLogError
from ottla.storage.leader_epochs import LeaderEpochs
from ottla.storage.offset_index import OffsetIndex
from ottla.storage.open_files import OpenFiles
from ottla.storage.producer_state import ProducerStates
from ottla.storage.scan import CHUNK_BYTES, StoredBatch, batches
from ottla.storage.segment import (
    CLEANED,
    DELETED,
    LOG,
    OFFSETS,
    SNAPSHOT,
    SWAP,
    TIMES,
    TRANSACTIONS,
    Segment,
    file_stem,
)
from ottla.storage.time_index import TimeIndex
from ottla.storage.transaction_index import ENTRY_BYTES as TRANSACTION_ENTRY
from ottla.storage.transaction_index import AbortedTransaction

_BASE_OFFSET: Final = struct.Struct(">q")
EMPTY_EPOCHS: Final = LeaderEpochs().encode()
_STRAYS: Final = (CLEANED, DELETED, TEMPORARY)


class LogFiles(NamedTuple):
    """Where a log lies, and what is known about it before its files are read."""

    directory: str
    #: Everything below is durable, indexes and a producer snapshot included.
    recovery_point: int
    log_start_offset: int
    index_interval_bytes: int
    #: The last stop was clean: every name and byte here is durable.
    is_clean: bool = False
    #: A sync failed before: what lies behind the recovery point must be written again.
    is_cache_doubtful: bool = False


@dataclass(slots=True)
class LoadedLog:
    """A log as its files say it is; the last segment is active."""

    log_end_offset: int
    segments: list[Segment] = field(default_factory=list)
    producers: ProducerStates = field(default_factory=ProducerStates)
    epochs: LeaderEpochs = field(default_factory=LeaderEpochs)
    #: Offsets of the producer snapshots that are there.
    snapshots: list[int] = field(default_factory=list)
    #: Bytes behind the recovery point that were read, and bytes that were cut off.
    scanned_bytes: int = 0
    cut_bytes: int = 0
    #: Files that were written and are not durable.
    written_files: list[str] = field(default_factory=list)
    #: The directory holds names that are not durable.
    has_new_names: bool = False
    #: The leader epochs are not those of the file.
    has_new_epochs: bool = False
    #: A sentence for each thing that was not as it should be.
    problems: list[str] = field(default_factory=list)


def load(files: OpenFiles, where: LogFiles, wall_ms: int) -> LoadedLog:
    """Open a log, creating its first segment if there is none. Raises `OSError`."""
    return _Loader(files, where, wall_ms).load()


class _Loader:
    """The steps of `load`, in the order of this file."""

    def __init__(self, files: OpenFiles, where: LogFiles, wall_ms: int) -> None:
        self._files = files
        self._filesystem = files.filesystem
        self._where = where
        self._directory = where.directory
        self._recovery_point = where.recovery_point
        self._wall_ms = wall_ms
        self._names: set[str] = set()
        self._stored_epochs = b""
        self._damaged: Segment | None = None
        self._log = LoadedLog(max(where.recovery_point, where.log_start_offset))
        # A process that died may have left names that never became durable.
        self._log.has_new_names = not where.is_clean

    def load(self) -> LoadedLog:
        log = self._log
        self._complete_swaps()
        self._list_files()
        self._remove_strays()
        if log.segments and log.segments[0].base_offset > log.log_end_offset:
            # The names of earlier segments were lost: what follows them was never durable.
            self._remove_from(log.segments[0])
        if not log.segments:
            log.segments.append(new_segment(self._files, self._directory, log.log_end_offset))
            log.has_new_names = True
            return log
        self._load_epochs()
        at = self._segment_of_recovery_point()
        for segment in log.segments[:at]:
            self._rebuild_lost_indexes(segment)
        if not self._where.is_clean:
            self._cut_moved_tail(at)
        start = self._open_at_recovery_point(log.segments[at])
        if self._where.is_cache_doubtful:
            at, start = self._write_tail_again(at, start)
        self._load_producers(at, start)
        self._scan_tail(at, start)
        self._finish(at, start)
        return log

    # What is there

    def _complete_swaps(self) -> None:
        """Compacted segments that were ready take their places; others leave no trace."""
        names = [n for n in self._filesystem.list_directory(self._directory) if n.endswith(SWAP)]
        if names:
            # Only when the last swap is durable may the list of what it replaces go.
            safety.sync_swapped_names(self._filesystem, self._directory)
        ready = {name.partition(".")[0] for name in names if name.endswith(LOG + SWAP)}
        for name in names:
            path = f"{self._directory}/{name}"
            if name.partition(".")[0] not in ready:
                self._filesystem.remove(path)
            elif name.endswith(LOG + SWAP):
                replaces = path.removesuffix(LOG + SWAP) + REPLACES + SWAP
                replaced = decode_replaced(self._content(replaces))
                swap_in(self._filesystem, self._directory, int(name.partition(".")[0]), replaced)

    def _list_files(self) -> None:
        """Find segments and snapshots; remove what an interrupted operation left."""
        names = self._filesystem.list_directory(self._directory)
        self._names = set(names)
        for name in names:
            path = f"{self._directory}/{name}"
            stem, _, suffix = name.partition(".")
            if name.endswith(_STRAYS):
                self._filesystem.remove(path)
            elif stem.isdigit() and suffix == LOG[1:]:
                size = self._filesystem.file_size(path)
                self._log.segments.append(Segment(self._directory, int(stem), size))
            elif stem.isdigit() and suffix == SNAPSHOT[1:]:
                self._log.snapshots.append(int(stem))

    def _remove_strays(self) -> None:
        """A power cut may have brought back some of the segments that retention had removed."""
        segments = self._log.segments
        limit = min(self._where.log_start_offset, self._recovery_point)
        while len(segments) > 1 and segments[1].base_offset <= limit:
            remove_files(self._files, segments.pop(0))
        # A roll that failed half-way may have left a segment that the log went on without.
        while len(segments) > 1 and not segments[-1].size:
            if segments[-1].base_offset >= self._recovery_point:
                break
            remove_files(self._files, segments.pop())

    def _load_epochs(self) -> None:
        path = f"{self._directory}/{leader_epochs.FILE_NAME}"
        data = read_file(self._filesystem, path)
        if data is None:
            return
        try:
            self._log.epochs = leader_epochs.decode(data)
        except ValueError as error:
            self._log.problems.append(f"{path}: {error}")
        # What follows is learnt again from the batches.
        self._log.epochs.cut_end(self._recovery_point)
        self._stored_epochs = data

    def _segment_of_recovery_point(self) -> int:
        segments = self._log.segments
        at = len(segments) - 1
        while at and segments[at].base_offset > self._recovery_point:
            at -= 1
        return at

    def _rebuild_lost_indexes(self, segment: Segment) -> None:
        """A sealed segment's indexes are there, whatever became of their files."""
        needed = [f"{segment.base_offset:020d}{suffix}" for suffix in (OFFSETS, TIMES)]
        lost = [name for name in needed if name not in self._names]
        if not lost:
            return
        self._log.problems.append(f"{self._directory}/{lost[0]} was lost, and is built again")
        size, segment.size = segment.size, 0
        self._grow_from(segment, OffsetIndex(segment.base_offset), TimeIndex(segment.base_offset))
        try:
            for batch in self._batches(segment, 0, size):
                header = batch.header
                segment.grow(
                    header.size_in_bytes,
                    header.last_offset,
                    header.max_timestamp,
                    self._where.index_interval_bytes,
                )
        except CorruptLogError as error:
            self._log.problems.append(str(error))
        segment.size = size
        self._seal(segment)
        self._log.has_new_names = True

    def _cut_moved_tail(self, at: int) -> None:
        """Where an interrupted `_split_off` has moved the tail into a segment of its own, the
        segment before still holds it, too: there it goes."""
        segments = self._log.segments
        if not at or segments[at].base_offset != self._recovery_point:
            return
        before = segments[at - 1]
        index = OffsetIndex.decode(before.base_offset, self._content(before.stem + OFFSETS))
        index.cut(self._recovery_point, before.size)
        end = self._position_of_recovery_point(before, index)
        if 0 < end < before.size:
            self._cut_durably(before, end)

    def _write_tail_again(self, at: int, start: int) -> tuple[int, int]:
        """What lies behind the recovery point stands in new files, durably; where it starts.

        The kernel may hold pages that a failed sync has marked as written: syncing the old
        files would say nothing about them.
        """
        segments = self._log.segments
        segment = segments[at]
        if 0 < start < segment.size:
            self._split_off(segment, start)
            self._seal(segment)
            at, start = at + 1, 0
            base = segments[at].base_offset
            self._grow_from(segments[at], OffsetIndex(base), TimeIndex(base))
        elif not start:
            self._copy(segment, 0, segment)
        for following in segments[at + 1 :]:
            self._copy(following, 0, following)
        return at, start

    def _split_off(self, segment: Segment, start: int) -> None:
        """What `segment` holds from the recovery point, at position `start`, on stands in a
        segment of its own behind it, durably."""
        tail = Segment(self._directory, self._recovery_point, segment.size - start)
        self._copy(segment, start, tail)
        self._cut_durably(segment, start)
        segments = self._log.segments
        segments.insert(segments.index(segment) + 1, tail)

    def _cut_durably(self, segment: Segment, size: int) -> None:
        file = self._files.get(segment.path)
        file.truncate(size)
        safety.make_kept_tail_durable(file)
        segment.size = size

    def _copy(self, source: Segment, start: int, target: Segment) -> None:
        """`target`'s file durably holds what `source`'s holds from `start` on."""
        temporary = target.path + TEMPORARY
        read = self._files.get(source.path).read_at
        file = self._filesystem.open(temporary, create=True)
        try:
            file.truncate(0)
            for position in range(start, source.size, CHUNK_BYTES):
                chunk = read(min(CHUNK_BYTES, source.size - position), position)
                file.write_at([chunk], position - start)
            safety.sync_replacement(file)
        finally:
            file.close()
        self._files.forget(target.path)
        self._filesystem.rename(temporary, target.path)
        safety.sync_replaced_name(self._filesystem, self._directory)

    # The segment that holds the recovery point

    def _open_at_recovery_point(self, segment: Segment) -> int:
        """The position where the scan starts; the segment's indexes hold all before it."""
        base = segment.base_offset
        index = OffsetIndex.decode(base, self._content(segment.stem + OFFSETS))
        times = TimeIndex.decode(base, self._content(segment.stem + TIMES))
        index.cut(self._recovery_point, segment.size)
        times.cut(self._recovery_point)
        start = self._position_of_recovery_point(segment, index)
        if not start:
            index, times = OffsetIndex(base), TimeIndex(base)
        self._grow_from(segment, index, times, start)
        return start

    def _position_of_recovery_point(self, segment: Segment, index: OffsetIndex) -> int:
        """0 when the segment must be scanned from its beginning."""
        if self._recovery_point <= segment.base_offset:
            return 0
        floor = index.floor_by_offset(self._recovery_point)
        end_offset = segment.base_offset
        try:
            read = self._files.get(segment.path).read_at
            check = safety.is_intact_at_recovery
            for batch in batches(segment.path, read, floor, segment.size, check):
                if batch.header.base_offset >= self._recovery_point:
                    return batch.position
                end_offset = batch.header.next_offset
        except CorruptLogError as error:
            if end_offset == self._recovery_point:
                return error.position  # The scan starts there, and will say so.
            self._log.problems.append(str(error))
            return 0
        if end_offset != self._recovery_point:
            self._log.problems.append(
                f"{segment.path} ends at offset {end_offset}, and should reach "
                f"{self._recovery_point}"
            )
            return segment.size if end_offset < self._recovery_point else 0
        return segment.size

    def _grow_from(
        self, segment: Segment, index: OffsetIndex, times: TimeIndex, at: int = 0
    ) -> None:
        """The segment is taken to end at position `at`; its index files hold just these
        entries, its transaction index nothing behind the recovery point."""
        for suffix, content in ((OFFSETS, index.encode()), (TIMES, times.encode())):
            file = self._files.open_or_create(segment.stem + suffix)
            if file.size() > len(content):
                file.truncate(len(content))
                self._log.written_files.append(segment.stem + suffix)
        aborted = segment.aborted(self._files)
        kept = [entry for entry in aborted if entry.last_offset < self._recovery_point]
        path = segment.stem + TRANSACTIONS
        if self._filesystem.exists(path):
            file = self._files.get(path)
            if file.size() > len(kept) * TRANSACTION_ENTRY:
                file.truncate(len(kept) * TRANSACTION_ENTRY)
                self._log.written_files.append(path)
        segment.activate(index, times, kept)
        segment.bytes_since_index_entry = at - index.last_position()
        if at:
            try:
                first = read_header(self._files.get(segment.path).read_at(HEADER_BYTES, 0))
                segment.first_timestamp_ms = first.max_timestamp
            except CorruptBatchError:
                pass  # Reported by whoever reads that batch.

    def _seal(self, segment: Segment) -> None:
        segment.seal(self._files)
        self._log.written_files += segment.index_paths()

    # Producers

    def _load_producers(self, at: int, start: int) -> None:
        """Producer states as of the recovery point."""
        log = self._log
        for offset in [o for o in log.snapshots if o > self._recovery_point]:
            self._filesystem.remove(file_stem(self._directory, offset) + SNAPSHOT)
            log.snapshots.remove(offset)
        for offset in sorted(log.snapshots, reverse=True):
            path = file_stem(self._directory, offset) + SNAPSHOT
            try:
                log.producers.restore(producer_snapshot.decode(self._content(path)))
            except producer_snapshot.BadSnapshotError as error:
                log.problems.append(f"{path}: {error}")
                continue
            break
        else:
            offset = 0
        log.producers.touch_all(self._wall_ms)
        if offset < self._recovery_point:
            self._replay_producers(offset, at, start)

    def _replay_producers(self, offset: int, at: int, start: int) -> None:
        """Learn from the batches between the snapshot at `offset` and the recovery point."""
        segments = self._log.segments
        for i in range(at + 1):
            segment = segments[i]
            if i < at and segments[i + 1].base_offset <= offset:
                continue
            end = start if i == at else segment.size
            try:
                for batch in self._batches(segment, 0, end):
                    if batch.header.base_offset >= offset and batch.header.has_producer_id:
                        self._apply(batch)
            except CorruptLogError as error:
                self._log.problems.append(str(error))

    # Behind the recovery point

    def _scan_tail(self, at: int, start: int) -> None:
        log = self._log
        segments = log.segments
        segment = segments[at]
        end_offset = self._scan(segment, start)
        while at + 1 < len(segments):
            following = segments[at + 1]
            if following.base_offset != max(end_offset, self._recovery_point):
                self._remove_from(following)
                break
            self._seal(segment)
            at, segment = at + 1, following
            base = segment.base_offset
            self._grow_from(segment, OffsetIndex(base), TimeIndex(base))
            end_offset = self._scan(segment, 0)
        log.log_end_offset = max(log.log_end_offset, end_offset)
        if self._damaged is segment:
            self._roll_behind_damage(segment)

    def _check_continues(self, path: str, batch: StoredBatch, end_offset: int) -> None:
        """Base offset and leader epoch are outside the CRC, but can be nothing else than what
        follows; compaction, which leaves gaps, stays below the recovery point."""
        header = batch.header
        is_next = header.base_offset == max(end_offset, self._recovery_point)
        is_below = end_offset <= header.base_offset < self._recovery_point
        if not (is_next or is_below):
            raise CorruptLogError(
                path, batch.position, f"offset {header.base_offset} does not follow {end_offset}"
            )
        if is_next and header.partition_leader_epoch < self._log.epochs.latest:
            raise CorruptLogError(
                path,
                batch.position,
                f"leader epoch {header.partition_leader_epoch} follows {self._log.epochs.latest}",
            )

    def _keep_damaged(self, segment: Segment, size: int) -> None:
        """A segment that was whole once keeps every byte; what lies behind the recovery point
        goes on in a segment of its own, if it can be found."""
        position = self._find_recovery_point(segment, segment.size, size)
        segment.size = size
        if position is None:
            self._damaged = segment
        else:
            self._split_off(segment, position)

    def _find_recovery_point(self, segment: Segment, start: int, end: int) -> int | None:
        """The position of a sound batch that starts at the recovery point, wherever it is."""
        wanted = _BASE_OFFSET.pack(self._recovery_point)
        read = self._files.get(segment.path).read_at
        while start < end:
            chunk = read(min(CHUNK_BYTES, end - start), start)
            at = chunk.find(wanted)
            while at >= 0:
                if self._is_sound_batch(segment, start + at, end):
                    return start + at
                at = chunk.find(wanted, at + 1)
            start += max(1, len(chunk) - len(wanted) + 1)
        return None

    def _is_sound_batch(self, segment: Segment, position: int, end: int) -> bool:
        read = self._files.get(segment.path).read_at
        check = safety.is_intact_at_recovery
        try:
            return next(batches(segment.path, read, position, end, check), None) is not None
        except CorruptLogError:
            return False

    def _roll_behind_damage(self, damaged: Segment) -> None:
        """Later batches must be found without walking over the damaged ones."""
        end_offset = self._log.log_end_offset
        if damaged.size and damaged.base_offset < end_offset:
            self._seal(damaged)
            self._log.segments.append(new_segment(self._files, self._directory, end_offset))
            self._log.has_new_names = True

    def _scan(self, segment: Segment, start: int) -> int:
        """Grow the segment from `start` on by its sound batches; the offset where they end."""
        log = self._log
        end = segment.size
        segment.size = start
        end_offset = self._recovery_point if start else segment.base_offset
        path = segment.path
        read = self._files.get(path).read_at
        try:
            for batch in batches(path, read, start, end, safety.is_intact_at_recovery):
                header = batch.header
                self._check_continues(path, batch, end_offset)
                end_offset = header.next_offset
                log.epochs.assign(header.partition_leader_epoch, header.base_offset)
                if header.has_producer_id and header.base_offset >= self._recovery_point:
                    aborted = self._apply(batch)
                    if aborted is not None:
                        segment.add_aborted(aborted, self._files)
                segment.grow(
                    header.size_in_bytes,
                    header.last_offset,
                    header.max_timestamp,
                    self._where.index_interval_bytes,
                )
        except CorruptLogError as error:
            if end_offset < self._recovery_point:
                log.problems.append(str(error))
                self._keep_damaged(segment, end)
                return self._recovery_point
            log.problems.append(f"{error}; the log ends there")
            log.cut_bytes += end - segment.size
            safety.cut_bad_tail(self._files.get(path), segment.size)
        log.scanned_bytes += segment.size - start
        segment.note_verified(start, segment.size)
        return end_offset

    def _remove_from(self, first: Segment) -> None:
        """Nothing behind the end of the log stays."""
        segments = self._log.segments
        at = segments.index(first)
        for segment in segments[at:]:
            self._log.cut_bytes += segment.size
            remove_files(self._files, segment)
        self._log.problems.append(f"{first.path} and what follows lies behind the end of the log")
        del segments[at:]

    def _finish(self, at: int, start: int) -> None:
        log = self._log
        log.epochs.cut_end(log.log_end_offset)
        log.epochs.cut_start(self._where.log_start_offset)
        log.has_new_epochs = log.epochs.encode() != (self._stored_epochs or EMPTY_EPOCHS)
        if log.scanned_bytes or log.cut_bytes:
            for segment in log.segments[at:]:
                safety.make_kept_tail_durable(self._files.get(segment.path))
            if not start or len(log.segments) > at + 1:
                # A recovery point inside the last segment says that its name is durable.
                safety.sync_new_names(self._filesystem, self._directory)

    def _apply(self, batch: StoredBatch) -> AbortedTransaction | None:
        header = batch.header
        marker = None
        if header.is_control:
            try:
                marker = batch.marker()
            except CorruptBatchError as error:
                self._log.problems.append(f"Control batch at {header.base_offset}: {error}")
        return self._log.producers.apply(header, header.last_offset, marker, self._wall_ms)

    def _batches(self, segment: Segment, start: int, end: int) -> Iterator[StoredBatch]:
        """Batches that were durable before, by their headers alone."""
        read = self._files.get(segment.path).read_at
        return batches(segment.path, read, start, end, _is_taken_as_it_is)

    def _content(self, path: str) -> bytes:
        return read_file(self._filesystem, path) or b""


def _is_taken_as_it_is(buffer: Buffer, position: int, header: BatchHeader) -> bool:
    return True


def new_segment(files: OpenFiles, directory: str, base_offset: int) -> Segment:
    """An empty active segment with its files, whose names are not durable yet."""
    segment = Segment(directory, base_offset)
    segment.create_files(files)
    segment.activate(OffsetIndex(base_offset), TimeIndex(base_offset), [])
    return segment


def remove_files(files: OpenFiles, segment: Segment) -> None:
    """None of the segment's files is there any more."""
    for path in segment.file_paths():
        files.forget(path)
        if files.filesystem.exists(path):
            files.filesystem.remove(path)
