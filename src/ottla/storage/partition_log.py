"""One partition's log: appended to at its end, read from anywhere, cut at its start.

Owned by one event loop. An append is written when it returns, and durable
when a flush ticket cut later has run and `flushed_end_offset` covers it. Files
are opened when first needed: a log that nobody uses costs one small object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ottla.batch.control import TransactionMarker
from ottla.batch.record_batch import LOG_OVERHEAD, NO_TIMESTAMP, BatchHeader, assign
from ottla.seams.filesystem import Buffer
from ottla.storage import producer_snapshot, recovery, safety
from ottla.storage.cleaner import Compaction
from ottla.storage.compaction_plan import Cleanable, find_cleanable, plan_round
from ottla.storage.directory_checkpoint import LogCheckpoint
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import AppendError, LogOfflineError, NoRoomError, OffsetOutOfRangeError
from ottla.storage.flush import FlushTicket, run_now
from ottla.storage.kept_snapshots import KeptSnapshots
from ottla.storage.leader_epochs import FILE_NAME as EPOCHS_FILE
from ottla.storage.leader_epochs import LeaderEpochs
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead, ReadInfo
from ottla.storage.log_segments import LogSegments
from ottla.storage.offset_map import DEFAULT_MAX_KEYS
from ottla.storage.open_files import OpenFiles
from ottla.storage.partition_directory import (
    make_partition_directory,
    take_back_partition_directory,
)
from ottla.storage.producer_state import ProducerStates
from ottla.storage.retention import DeleteJob, expired_segments
from ottla.storage.segment import (
    DELETED,
    Segment,
)
from ottla.storage.timestamp_search import FoundRecord, TimestampSearch
from ottla.storage.transaction_index import AbortedTransaction
from ottla.storage.unflushed import Unflushed
from ottla.storage.validator import Checked, Origin, check


class AppendInfo(NamedTuple):
    """Where an append went. `log_append_time_ms` is -1 unless the topic stamps its records."""

    first_offset: int
    last_offset: int
    max_timestamp_ms: int
    log_append_time_ms: int
    log_start_offset: int
    is_duplicate: bool
    size: int


class PartitionLog:
    """The log of one partition."""

    __slots__ = (
        "_durable_recovery_point",
        "_epochs",
        "_files",
        "_has_dirty_epochs",
        "_is_deleted",
        "_is_open",
        "_producers",
        "_segments",
        "_snapshots",
        "_started_ms",
        "_state",
        "_unflushed",
        "_wants_checkpoint",
        "config",
        "directory",
        "durable_log_start_offset",
        "first_dirty_offset",
        "flushed_end_offset",
        "is_missing",
        "log_end_offset",
        "log_start_offset",
        "partition",
        "problems",
        "recovery_point",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        files: OpenFiles,
        state: DirectoryState,
        directory: str,
        topic: str,
        partition: int,
        config: LogConfig,
        *,
        wall_ms: int,
        recovery_point: int = 0,
        log_start_offset: int = 0,
    ) -> None:
        """A log whose files end at `recovery_point`, unless `open` finds more. `wall_ms` is
        when the process started to use it."""
        self._files = files
        self._state = state
        self.directory = directory
        self.topic = topic
        self.partition = partition
        #: Of the topic whose partition this is; None when its directory does not say.
        self.topic_id: bytes | None = None
        self.config = config
        self.recovery_point = self._durable_recovery_point = recovery_point
        #: Compaction has seen everything below; only of use to compacted topics.
        self.first_dirty_offset = 0
        self.log_start_offset = log_start_offset
        #: What survives a power cut; DeleteRecords waits for it.
        self.durable_log_start_offset = log_start_offset
        self.log_end_offset = max(recovery_point, log_start_offset)
        #: Everything below is durable.
        self.flushed_end_offset = self.log_end_offset
        self.problems: list[str] = []
        self._started_ms = wall_ms
        self._wants_checkpoint = False
        self._is_open = False
        self._is_deleted = False
        #: Nothing was ever written: there is no directory yet.
        self.is_missing = False
        self._segments = LogSegments(files, ())
        self._producers = ProducerStates()
        self._epochs = LeaderEpochs()
        self._has_dirty_epochs = False
        self._snapshots = KeptSnapshots(directory, ())
        self._unflushed = Unflushed(files)

    # Opening and closing

    def open(self, *, is_clean: bool = False, files: OpenFiles | None = None) -> recovery.LoadedLog:
        """Open the files and recover what lies behind the recovery point; done by itself when a
        log is first used. With `files` of its own it may run beside other logs' recovery. Raises
        `LogOfflineError`."""
        assert not self._is_open
        where = recovery.LogFiles(
            self.directory,
            self.recovery_point,
            self.log_start_offset,
            self.config.index_interval_bytes,
            is_clean=is_clean,
            is_cache_doubtful=self._state.is_cache_doubtful,
        )
        try:
            loaded = recovery.load(files or self._files, where, self._started_ms)
        except OSError as error:
            raise LogOfflineError(f"Cannot open {self.directory}: {error}") from error
        self._segments = LogSegments(self._files, loaded.segments)
        self._producers = loaded.producers
        self._epochs = loaded.epochs
        self._snapshots = KeptSnapshots(self.directory, loaded.snapshots)
        self.problems += loaded.problems
        self.log_start_offset = max(self.log_start_offset, self._segments.base_offset)
        self.log_end_offset = loaded.log_end_offset
        self.flushed_end_offset = loaded.log_end_offset
        self._has_dirty_epochs = loaded.has_new_epochs
        self._unflushed.note_written(*loaded.written_files)
        if loaded.has_new_names:
            self._unflushed.note_new_names(self.directory, self.directory.rpartition("/")[0])
        self._is_open = True
        return loaded

    def resume(self, known: LogCheckpoint) -> None:
        """What the directory's checkpoint says. After a clean stop the log ends at its
        recovery point, and need not be opened before somebody uses it."""
        assert not self._is_open
        self.recovery_point = self._durable_recovery_point = known.recovery_point
        self.log_start_offset = self.durable_log_start_offset = known.log_start_offset
        self.first_dirty_offset = known.first_dirty_offset
        self.log_end_offset = max(known.recovery_point, known.log_start_offset)
        self.flushed_end_offset = self.log_end_offset

    def create_when_written(self, topic_id: bytes) -> None:
        """A new, empty log, which gets directory and files with its first batch: they are slow
        to make (milliseconds, beside others' syncs), and a topic may have thousands."""
        self.topic_id = topic_id
        self.is_missing = True

    def begin_checkpoint(self) -> FlushTicket | None:
        """A ticket for everything, indexes and producers included, whatever one that is out
        may still cover: when it has run, the recovery point is the log's end."""
        if not self._is_open or self._state.reason is not None:
            return None
        self._unflushed.recall()
        self.request_checkpoint()
        return self.begin_flush()

    def checkpoint(self) -> None:
        """Run such a ticket at once. Raises `OSError`, and the directory is offline then."""
        ticket = self.begin_checkpoint()
        if ticket is not None:
            run_now(ticket)

    def abandon(self) -> None:
        """Let go of all files: the log is being deleted."""
        self._files.forget_below(self.directory)
        self._unflushed.abandon()
        self._is_deleted = True

    def note_written(self, path: str) -> None:
        """Have the next ticket make a file in the log's directory durable, too."""
        self._unflushed.note_written(path)

    def _ensure_open(self) -> None:
        """It can be read. A log that is missing yet is read without files."""
        if self._state.reason is not None:
            raise self._state.offline_error()
        if self._is_deleted:
            raise LogOfflineError(f"{self.directory} was deleted")
        if not self._is_open and not self.is_missing:
            for problem in self.open(is_clean=True).problems:
                self._state.tell(problem)

    def _ensure_writable(self) -> None:
        self._ensure_open()
        if self.is_missing:
            assert self.topic_id is not None
            try:
                path = make_partition_directory(self._files, self.directory, self.topic_id)
                self.open()
            except (OSError, LogOfflineError) as error:
                if not isinstance(error, FileExistsError):
                    take_back_partition_directory(self._files, self.directory, self._state)
                raise LogOfflineError(f"Cannot create {self.directory}: {error}") from error
            self.is_missing = False
            self.note_written(path)

    # Appending

    def append(
        self,
        data: bytearray | memoryview,
        *,
        leader_epoch: int,
        wall_ms: int,
        origin: Origin = Origin.CLIENT,
        must_start_at_zero: bool = False,
    ) -> AppendInfo:
        """The batches in `data` stand at the end of the log, numbered and written, not yet
        durable; base offset and leader epoch are set in `data` itself.

        A repeat of a producer's earlier batch appends nothing and answers with its offsets.
        `must_start_at_zero` refuses an unknown producer in mid-sequence (KIP-890). Raises
        `AppendError`, having changed nothing.
        """
        checked = check(data, self.config, origin, wall_ms)
        try:
            self._ensure_writable()
        except LogOfflineError as error:
            raise AppendError(error.code, error.message) from error
        for _, header, marker in checked.batches:
            if header.producer_id < 0:
                continue
            repeated = self._producers.check(
                header,
                marker,
                is_client=origin is not Origin.COORDINATOR,
                must_start_at_zero=must_start_at_zero,
            )
            if repeated is not None:
                return AppendInfo(
                    repeated.first_offset,
                    repeated.last_offset,
                    repeated.timestamp_ms,
                    repeated.timestamp_ms,
                    self.log_start_offset,
                    is_duplicate=True,
                    size=0,
                )
        return self._append_checked(checked, leader_epoch, wall_ms)

    def _append_checked(self, checked: Checked, leader_epoch: int, wall_ms: int) -> AppendInfo:
        data, batches = checked
        stamp = wall_ms if self.config.is_log_append_time else None
        first_offset = next_offset = self.log_end_offset
        for position, header, _ in batches:
            assign(data, position, next_offset, leader_epoch, stamp)
            next_offset += header.last_offset_delta + 1
        first_ms = batches[0][1].max_timestamp if stamp is None else stamp
        segment = self._active(len(data), next_offset, first_ms, wall_ms)
        self._write(segment, data)
        if leader_epoch > self._epochs.latest and self._epochs.assign(leader_epoch, first_offset):
            self._has_dirty_epochs = True
        start = segment.size
        last_offset = first_offset - 1
        max_timestamp = NO_TIMESTAMP
        for _, header, marker in batches:
            if stamp is not None:
                header = header._replace(max_timestamp=stamp)
            last_offset += header.last_offset_delta + 1
            if header.producer_id >= 0:
                self._note_producer(segment, header, last_offset, marker, wall_ms)
            segment.grow(
                header.batch_length + LOG_OVERHEAD,
                last_offset,
                header.max_timestamp,
                self.config.index_interval_bytes,
            )
            max_timestamp = max(max_timestamp, header.max_timestamp)
        segment.note_verified(start, segment.size)
        self._segments.size += len(data)
        self.log_end_offset = next_offset
        self._unflushed.note_written(segment.path)
        return AppendInfo(
            first_offset,
            last_offset,
            max_timestamp,
            NO_TIMESTAMP if stamp is None else stamp,
            self.log_start_offset,
            is_duplicate=False,
            size=len(data),
        )

    def _note_producer(
        self,
        segment: Segment,
        header: BatchHeader,
        last_offset: int,
        marker: TransactionMarker | None,
        wall_ms: int,
    ) -> None:
        producers = self._producers
        if (
            header.is_transactional
            and not header.is_control
            and not producers.has_open_transaction(header.producer_id)
        ):
            # Readers of committed records will stop here.
            first_offset = last_offset - header.last_offset_delta
            self._segments.mark(first_offset, segment.base_offset, segment.size)
        aborted = producers.apply(header, last_offset, marker, wall_ms)
        if aborted is not None:
            segment.add_aborted(aborted, self._files)

    def _write(self, segment: Segment, data: Buffer) -> None:
        file = None
        try:
            file = self._files.get(segment.path)
            file.write_at([data], segment.size)
        except OSError as error:
            try:
                if file is not None:
                    file.truncate(segment.size)
                # A power cut must not bring back what the truncation took away.
                self._unflushed.note_written(segment.path)
            except OSError as second:
                self._state.fail(f"writing {segment.path}", second)
            raise self._state.refused(f"write {segment.path}", error) from error

    def _active(self, size: int, next_offset: int, first_ms: int, wall_ms: int) -> Segment:
        """The segment that takes the next append, rolled first where it is time."""
        segment = self._segments.active
        if segment.created_ms < 0:
            segment.created_ms = wall_ms
        if not segment.must_roll(self.config, size, next_offset, first_ms, wall_ms):
            return segment
        try:
            return self._roll()
        except OSError as error:
            raise self._state.refused(f"roll {segment.path}", error) from error

    def roll(self) -> None:
        """Seal the active segment, unless it is empty, and go on in a new one."""
        if self.size and self._segments.active.size:
            self._roll()

    def _roll(self) -> Segment:
        sealed = self._segments.active
        try:
            segment = recovery.new_segment(self._files, self.directory, self.log_end_offset)
            sealed.seal(self._files)
        except OSError:
            self._remove_stray(Segment(self.directory, self.log_end_offset))
            raise
        # The next ticket makes the sealed segment durable, and the new one's names.
        self._unflushed.note_written(*sealed.index_paths())
        self._unflushed.note_new_names(self.directory)
        self._add_snapshot()
        self._segments.add(segment)
        return segment

    def _remove_stray(self, segment: Segment) -> None:
        """The log goes on without this segment; a restart must not find it."""
        try:
            recovery.remove_files(self._files, segment)
        except OSError as error:
            self._state.fail(f"removing {segment.path}", error)
        self._unflushed.note_new_names(self.directory)

    def _add_snapshot(self) -> None:
        """Have the producers' state as of the log's end written by the next ticket."""
        path = self._snapshots.add(self.log_end_offset)
        self._unflushed.replace(path, producer_snapshot.encode(self._producers))

    # Durability

    @property
    def recovery_lag(self) -> int:
        """How many offsets a start after a crash would have to scan."""
        return self.log_end_offset - self.recovery_point if self._is_open else 0

    def request_checkpoint(self) -> None:
        """Have the next ticket cover indexes and producers, too, and with it move the
        recovery point to the log's end."""
        self._wants_checkpoint = self._is_open and self.recovery_point < self.log_end_offset

    def begin_flush(self) -> FlushTicket | None:
        """A ticket for everything appended so far; None when all of it is durable, or while
        another ticket of this log is out."""
        if self._unflushed.is_ticket_out or self._state.reason is not None:
            return None
        if self._wants_checkpoint:
            self._prepare_checkpoint()
        if self._has_dirty_epochs:
            self._unflushed.replace(f"{self.directory}/{EPOCHS_FILE}", self._epochs.encode())
            self._has_dirty_epochs = False
        active = self._segments.active if self._is_open else None
        ticket = self._unflushed.cut(
            self,
            self.log_end_offset,
            active.base_offset if active else -1,
            active.size if active else 0,
            is_checkpoint=self._wants_checkpoint,
        )
        self._wants_checkpoint = False
        return ticket

    def _prepare_checkpoint(self) -> None:
        active = self._segments.active
        had_transactions = active.written[2] > 0
        try:
            written = active.write_indexes(self._files)
        except OSError:
            # A full disk: the recovery point waits, the data does not.
            self._wants_checkpoint = False
            return
        self._unflushed.note_written(*written)
        if active.written[2] and not had_transactions:
            self._unflushed.note_new_names(self.directory)
        self._add_snapshot()

    def finish_flush(self, ticket: FlushTicket, error: OSError | None) -> None:
        """The ticket has run: what it covers is durable, or the directory goes offline."""
        still_counts = self._unflushed.take_back(ticket)
        left_out = error.paths if isinstance(error, NoRoomError) else ()
        if left_out:
            self._write_later(left_out)
            error = None
        if error is None and still_counts:
            error = self._segments.missing_file(self.directory, ticket.missing)
        if error is not None:
            self._state.fail(f"flushing {self.directory}", error)
            if not safety.may_trust_after_failed_sync():
                return
        if not still_counts:
            return  # The log was stopped or deleted meanwhile.
        if ticket.end_offset > self.flushed_end_offset:
            self.flushed_end_offset = ticket.end_offset
            self._segments.mark_steady(ticket.end_offset, ticket.segment, ticket.size)
            self._producers.forget_covered(ticket.end_offset)
        if ticket.is_checkpoint and not left_out:
            self.recovery_point = ticket.end_offset

    def _write_later(self, paths: Sequence[str]) -> None:
        """A full disk left these out: what they would say is not on it, and the recovery
        point stays behind it."""
        self._state.told_full()
        self._has_dirty_epochs |= f"{self.directory}/{EPOCHS_FILE}" in paths
        self._snapshots.forget(paths)

    def checkpoint_entry(self, topic_id: bytes) -> LogCheckpoint:
        """What the directory's checkpoint may say about this log."""
        return LogCheckpoint(
            topic_id, self.recovery_point, self.log_start_offset, self.first_dirty_offset
        )

    def checkpoint_written(self, entry: LogCheckpoint) -> None:
        """The directory's checkpoint durably holds `entry`: older snapshots may go."""
        self._durable_recovery_point = entry.recovery_point
        self.durable_log_start_offset = entry.log_start_offset
        self._snapshots.remove_old(self._files.filesystem, entry.recovery_point)

    # Reading

    def read(
        self, offset: int, max_bytes: int, end_offset: int, minimum_one: bool = True
    ) -> ReadInfo | ColdRead:
        """Whole batches from the one that holds `offset`, below `end_offset` (exclusive), of
        at most `max_bytes` together; with `minimum_one` the first even if it is larger. A
        `ColdRead` when the page cache does not have them. Raises `OffsetOutOfRangeError`,
        `CorruptLogError` and `LogOfflineError`."""
        self._ensure_open()
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRangeError(
                f"Offset {offset} of {self.topic}-{self.partition} is not between "
                f"{self.log_start_offset} and {self.log_end_offset}"
            )
        end_offset = min(end_offset, self.log_end_offset)
        return self._segments.read(offset, max_bytes, end_offset, self.log_end_offset, minimum_one)

    def search_timestamp(self, timestamp_ms: int) -> TimestampSearch:
        """A search for the first record at or after `timestamp_ms`: run it here when the log
        is small or warm, in a worker otherwise."""
        self._ensure_open()
        ranges = self._segments.ranges_by_timestamp(timestamp_ms)
        return TimestampSearch(self._files.filesystem, ranges, timestamp_ms, self.log_start_offset)

    def search_max_timestamp(self) -> TimestampSearch:
        """A search for the first record that has the log's maximum timestamp (KIP-734)."""
        self._ensure_open()
        maximum, ranges = self._segments.range_of_max_timestamp()
        return TimestampSearch(
            self._files.filesystem, ranges, maximum, self.log_start_offset, is_exact=True
        )

    def offset_for_timestamp(self, timestamp_ms: int) -> FoundRecord | None:
        """The first record at or after `timestamp_ms`, None when there is none. Waits for the
        disk. Raises `CorruptLogError` and `LogOfflineError`."""
        try:
            return self.search_timestamp(timestamp_ms).run()
        except OSError as error:
            raise LogOfflineError(f"Cannot search {self.directory}: {error}") from error

    def aborted_transactions(self, start_offset: int, end_offset: int) -> list[AbortedTransaction]:
        """Those with records or marker between the offsets (end exclusive), by first offset."""
        self._ensure_open()
        return self._segments.aborted_transactions(start_offset, end_offset)

    # What the log knows

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        self._ensure_open()
        return self._segments.size

    @property
    def active_base_offset(self) -> int:
        """Where the segment begins that is being written."""
        self._ensure_open()
        return self._segments.active.base_offset

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Oldest first; the last one is active."""
        self._ensure_open()
        return tuple(self._segments)

    @property
    def producers(self) -> ProducerStates:
        """For asking, not for changing."""
        self._ensure_open()
        return self._producers

    @property
    def leader_epoch(self) -> int:
        """The latest leader epoch that wrote here; -1 when none did."""
        self._ensure_open()
        return self._epochs.latest

    def leader_epoch_at(self, offset: int) -> int:
        """The epoch that wrote `offset`; -1 when unknown."""
        self._ensure_open()
        return self._epochs.epoch_at(offset)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not above `epoch`, and the offset where it ends (KIP-320)."""
        self._ensure_open()
        return self._epochs.end_offset(epoch, self.log_end_offset)

    def last_stable_offset(self, high_watermark: int) -> int:
        """The end of what read_committed may see, given what everybody may see."""
        self._ensure_open()
        unstable = self._producers.first_unstable_offset(high_watermark)
        return high_watermark if unstable is None else min(unstable, high_watermark)

    # Losing the oldest

    def advance_log_start_offset(self, offset: int) -> bool:
        """Nothing below `offset` may be read any more. Whether that is new. It becomes durable
        with the directory's log start checkpoint. Raises `OffsetOutOfRangeError`."""
        self._ensure_open()
        if offset > self.log_end_offset:
            raise OffsetOutOfRangeError(f"{offset} is behind the log's end {self.log_end_offset}")
        if offset <= self.log_start_offset:
            return False
        self.log_start_offset = offset
        self._state.has_moved_log_starts = True
        if self._epochs.cut_start(offset):
            self._has_dirty_epochs = True
        return True

    def apply_retention(self, wall_ms: int, high_watermark: int | None = None) -> DeleteJob | None:
        """The log starts behind the segments that are too old or too much; a job that removes
        files, or None. Raises `OSError`.

        Files go only when the start that makes them superfluous is durable, and a recovery
        point behind them: a power cut that brings some of them back cannot leave a hole. So
        they go with a later call.
        """
        if not self._is_open and self.log_end_offset == self.log_start_offset:
            return None  # Nobody has used this log since the start, and nothing is in it.
        self._ensure_open()
        self._producers.remove_expired(wall_ms, self.config.producer_id_expiration_ms)
        segments = self._segments.all
        count = expired_segments(
            segments,
            self.config,
            log_start_offset=self.log_start_offset,
            log_end_offset=self.log_end_offset,
            high_watermark=self.flushed_end_offset if high_watermark is None else high_watermark,
            wall_ms=wall_ms,
            largest_timestamp=lambda segment: segment.largest(self._files).timestamp_ms,
        )
        if count == len(segments):
            self._roll()
        if count:
            self.advance_log_start_offset(segments[count].base_offset)
        gone = 0
        while gone + 1 < len(segments) and safety.may_remove_below(
            segments[gone + 1].base_offset,
            self.durable_log_start_offset,
            self._durable_recovery_point,
        ):
            gone += 1
        return self._rename_away(self._segments.drop_first(gone)) if gone else None

    # Compaction

    def cleanable(self, wall_ms: int) -> Cleanable:
        """What compaction may touch."""
        self._ensure_open()
        unstable = self._producers.first_unstable_offset(self.flushed_end_offset)
        return find_cleanable(
            self._segments.all,
            self._files,
            self.config,
            first_dirty_offset=self.first_dirty_offset,
            stable_end_offset=self.log_end_offset if unstable is None else unstable,
            durable_recovery_point=self._durable_recovery_point,
            wall_ms=wall_ms,
        )

    def begin_compaction(
        self, wall_ms: int, *, max_keys: int = DEFAULT_MAX_KEYS
    ) -> Compaction | None:
        """A round of compaction, or None when none is due."""
        cleanable = self.cleanable(wall_ms)
        if not cleanable.is_due(self.config, wall_ms):
            return None
        first, last = cleanable.segments[0], cleanable.segments[-1]
        plan = plan_round(
            self.directory,
            cleanable,
            self.config,
            self.first_dirty_offset,
            self.aborted_transactions(first.base_offset, last.end_offset),
            self._producers,
            wall_ms,
            max_keys,
        )
        return Compaction(self._files.filesystem, plan)

    def finish_compaction(self, compaction: Compaction) -> DeleteJob | None:
        """What was cleaned takes its place; a job that removes the files it replaces. Raises
        `LogOfflineError` when that fails half-way: a restart completes it."""
        self._ensure_open()
        try:
            renamed = self._segments.swap_in(self.directory, compaction.cleaned)
        except OSError as error:
            self._state.fail(f"compacting {self.directory}", error)
            raise self._state.offline_error() from error
        self.first_dirty_offset = max(self.first_dirty_offset, compaction.clean_end_offset)
        if not renamed:
            return None
        self._unflushed.note_new_names(self.directory)
        return DeleteJob(self._files.filesystem, renamed, self.config.file_delete_delay_ms)

    def _rename_away(self, segments: list[Segment]) -> DeleteJob:
        renamed = []
        filesystem = self._files.filesystem
        for segment in segments:
            for path in segment.file_paths():
                self._unflushed.forget(path)
                self._files.forget(path)
                if filesystem.exists(path):
                    filesystem.rename(path, path + DELETED)
                    renamed.append(path + DELETED)
        return DeleteJob(filesystem, renamed, self.config.file_delete_delay_ms)
