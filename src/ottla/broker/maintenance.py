"""What a broker does by itself: retention, compaction, checkpoints.

Each chore comes round at its own interval and goes through all logs in steps
of bounded size, so that ten thousand partitions never hold up a request. Logs
are compacted one at a time, in a worker, out of what no longer changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from ottla.storage.cleaner import Compaction
from ottla.storage.compaction_plan import Cleanable
from ottla.storage.errors import StorageError

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition

#: Logs looked at in one step, and the pause between two steps.
LOGS_PER_STEP: Final = 50
STEP_PAUSE_MS: Final = 10

#: So much appended is reason enough for a checkpoint: a start after a crash reads and checks
#: what came after the last one, half a gigabyte in about two seconds from a cold disk.
CHECKPOINT_BYTES: Final = 512 * 1024 * 1024
#: How often that is looked at.
CHECKPOINT_LOOK_MS: Final = 1_000
#: From the request for a log's checkpoint to the directory's, and from there to compaction: time
#: for the flushes between.
SEALED_PAUSE_MS: Final = 200
#: So often a log is looked at again whose flush took longer.
CHECKPOINT_LOOKS: Final = 5


class Maintenance:
    """The chores of one broker; `start` sets them going for good."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._is_compacting = False
        self._checkpointed_bytes = 0
        self._next_checkpoint_ms = 0
        #: Logs whose turn came while another was being compacted, in order.
        self._waiting: dict[Partition, None] = {}
        #: Logs with sealed segments to compact, and how often their checkpoint was looked for.
        self._sealed: dict[Partition, int] = {}
        self._is_checkpointing_sealed = False
        self._has_expired = False

    def start(self) -> None:
        config = self._broker.config
        self._repeat(
            config.number("log.retention.check.interval.ms"),
            self._apply_retention,
            self._checkpoint_expired,
        )
        self._start_checkpoints(config.number("log.flush.offset.checkpoint.interval.ms"))
        if config.flag("log.cleaner.enable"):
            self._repeat(
                config.number("log.cleaner.backoff.ms"), self._look_for_sealed, self._compact_all
            )

    def _start_checkpoints(self, interval_ms: int) -> None:
        """Rounds of checkpoints, when it is time or when much has been appended."""
        broker = self._broker
        self._next_checkpoint_ms = broker.mono_ms + interval_ms

        def is_due() -> bool:
            appended = broker.metrics.bytes_in - self._checkpointed_bytes
            if broker.mono_ms < self._next_checkpoint_ms and appended < CHECKPOINT_BYTES:
                return False
            self._checkpointed_bytes = broker.metrics.bytes_in
            return True

        def finish() -> None:
            self._checkpoint_directory()
            self._next_checkpoint_ms = broker.mono_ms + interval_ms

        self._repeat(min(interval_ms, CHECKPOINT_LOOK_MS), self._request_checkpoint, finish, is_due)

    def _repeat(
        self,
        interval_ms: int,
        visit: Callable[[Partition], None],
        finish: Callable[[], None],
        is_due: Callable[[], bool] = lambda: True,
    ) -> None:
        """Visit every partition, step by step, `interval_ms` after the last round ended, or
        after it was found not to be due."""
        broker = self._broker

        def begin(wall_ms: int, mono_ms: int) -> None:
            if is_due():
                step(iter(self._all_partitions()))
            else:
                broker.deadlines.at(broker.mono_ms + interval_ms, begin)

        def step(left: Iterator[Partition]) -> None:
            for _ in range(LOGS_PER_STEP):
                partition = next(left, None)
                if partition is None:
                    finish()
                    broker.deadlines.at(broker.mono_ms + interval_ms, begin)
                    return
                if not partition.offline_error:
                    visit(partition)
            broker.deadlines.at(broker.mono_ms + STEP_PAUSE_MS, lambda wall_ms, mono_ms: step(left))

        broker.deadlines.at(broker.mono_ms + interval_ms, begin)

    def _all_partitions(self) -> list[Partition]:
        return [p for t in self._broker.metadata.topics.values() for p in t.partitions]

    def _apply_retention(self, partition: Partition) -> None:
        broker = self._broker
        before = partition.log.log_start_offset
        try:
            job = partition.log.apply_retention(broker.wall_ms, partition.high_watermark)
        except (OSError, StorageError):
            broker.check_log_directory()
            return
        if partition.log.log_start_offset != before:
            self._has_expired = True
            partition.log.request_checkpoint()
            broker.flushes.flush_soon(partition)
            broker.flushes.flush_directory()
        if job is not None:
            broker.run_delete_job(job)

    def _checkpoint_expired(self) -> None:
        """The files of expired segments go with the next round, if the checkpoints allow it."""
        if self._has_expired:
            self._has_expired = False
            self._after_pause(self._checkpoint_directory)

    def _request_checkpoint(self, partition: Partition) -> None:
        if partition.log.recovery_lag > 0:
            partition.log.request_checkpoint()
            self._broker.flushes.flush_soon(partition)

    def _checkpoint_directory(self) -> None:
        self._broker.share_groups.prune()
        self._broker.log_directory.request_checkpoint()
        self._broker.flushes.flush_directory()

    def compact_soon(self, partition: Partition) -> None:
        """A coordinator's log has sealed a segment: have it compacted now rather than at the next
        round, for all that is left is read at a start."""
        if self._broker.config.flag("log.cleaner.enable"):
            self._note_sealed(partition)
            self._compact_all()

    def _look_for_sealed(self, partition: Partition) -> None:
        if partition.log.config.is_compacted:
            cleanable = self._cleanable(partition)
            if cleanable is not None and (cleanable.dirty_bytes or not cleanable.is_whole):
                self._note_sealed(partition)

    def _note_sealed(self, partition: Partition, looks: int = 0) -> None:
        """Only what recovery will not look at again may be compacted."""
        self._request_checkpoint(partition)
        self._sealed.setdefault(partition, looks)

    def _compact_all(self) -> None:
        """Compact what was noted: first the checkpoints of the logs, then the directory's."""
        if self._sealed and not self._is_checkpointing_sealed:
            self._is_checkpointing_sealed = True
            self._after_pause(self._checkpoint_sealed)

    def _checkpoint_sealed(self) -> None:
        """The sealed segments are flushed; compaction asks that the recovery point says so."""
        self._checkpoint_directory()
        self._after_pause(self._compact_sealed)

    def _compact_sealed(self) -> None:
        """A round over a part of what is sealed would leave a rest too small for a round of its
        own (min.cleanable.dirty.ratio): so it waits for the rest, though not for ever."""
        sealed, self._sealed = self._sealed, {}
        self._is_checkpointing_sealed = False
        for partition, looks in sealed.items():
            cleanable = self._cleanable(partition)
            if cleanable is not None and not cleanable.is_whole and looks < CHECKPOINT_LOOKS:
                self._note_sealed(partition, looks + 1)
            else:
                self._compact(partition)
        self._compact_all()

    def _cleanable(self, partition: Partition) -> Cleanable | None:
        """None for a log that is offline or gone."""
        if partition.offline_error:
            return None
        try:
            return partition.log.cleanable(self._broker.wall_ms)
        except (OSError, StorageError):
            self._broker.check_log_directory()
            return None

    def _after_pause(self, action: Callable[[], None]) -> None:
        broker = self._broker
        broker.deadlines.at(broker.mono_ms + SEALED_PAUSE_MS, lambda wall_ms, mono_ms: action())

    def _compact(self, partition: Partition) -> None:
        """Begin a round where one is due; only one round is under way at a time."""
        if partition.offline_error or not partition.log.config.is_compacted:
            return
        if self._is_compacting:
            self._waiting[partition] = None
        else:
            self._begin_compaction(partition)

    def _compact_next(self) -> None:
        """The next log whose turn has come, if one is due."""
        for _ in range(LOGS_PER_STEP):
            if self._is_compacting or not self._waiting:
                return
            partition = next(iter(self._waiting))
            del self._waiting[partition]
            if not partition.offline_error:
                self._begin_compaction(partition)
        self._broker.deadlines.at(
            self._broker.mono_ms + STEP_PAUSE_MS, lambda wall_ms, mono_ms: self._compact_next()
        )

    def _begin_compaction(self, partition: Partition) -> None:
        log = partition.log
        try:
            compaction = log.begin_compaction(self._broker.wall_ms)
        except (OSError, StorageError):
            self._broker.check_log_directory()
            return
        if compaction is None:
            return
        self._is_compacting = True

        def job() -> StorageError | None:
            try:
                compaction.run()
            except StorageError as error:
                return error
            return None

        def done(result: StorageError | OSError | None) -> None:
            self._is_compacting = False
            if result is None and not partition.offline_error:
                self._take_result(partition, compaction)
            elif result is not None:
                self._broker.metrics.compactions_failed += 1
                self._broker.tell(f"Cannot compact {log.directory}: {result}")
            self._compact_next()

        self._broker.effects.run_job(job, done)

    def _take_result(self, partition: Partition, compaction: Compaction) -> None:
        broker = self._broker
        try:
            delete_job = partition.log.finish_compaction(compaction)
        except StorageError:
            broker.check_log_directory()
            return
        broker.metrics.compactions += 1
        broker.flushes.flush_soon(partition)
        if delete_job is not None:
            broker.run_delete_job(delete_job)
