"""A data directory: its lock, its identity, its checkpoints and all its logs.

Start: `open` takes the directory (or refuses it untouched), `load` finds the
logs. After a clean stop a log's files are not even looked at before somebody
uses it; after a crash every log is recovered first. Checkpoints are written by
flush tickets, like everything that must be durable: `begin_flush` cuts one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ottla.seams.filesystem import DirectoryLock, FileSystem
from ottla.storage import safety
from ottla.storage.checkpoints import (
    FIRST_DIRTY,
    HIGH_WATERMARKS,
    LOG_STARTS,
    RECOVERY_POINTS,
    PartitionKey,
    decode_offsets,
    encode_offsets,
    read_file,
    write_atomically,
)
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import DirectoryRefusedError
from ottla.storage.flush import Durable, FlushTicket
from ottla.storage.identity import LOCK_FILE, Identity, read_identity, write_identity
from ottla.storage.log_config import LogConfig
from ottla.storage.open_files import DEFAULT_LIMIT, OpenFiles
from ottla.storage.partition_directory import (
    DELETE_SUFFIX,
    METADATA_FILE,
    delete_name,
    directory_name,
    encode_metadata,
    parse_directory_name,
    read_topic_id,
)
from ottla.storage.partition_log import PartitionLog
from ottla.storage.retention import DeleteJob

CLEAN_STOP_MARK: Final = ".kafka_cleanshutdown"
_CLEAN_STOP_CONTENT: Final = b'{"version":0,"brokerEpoch":-1}'


@dataclass(slots=True)
class LoadReport:
    """What a start found."""

    #: The last stop was clean: nothing needed recovery.
    is_clean: bool
    #: Bytes read behind recovery points, and bytes cut off behind the last good batches.
    scanned_bytes: int = 0
    cut_bytes: int = 0
    #: A sentence for each thing that was not as it should be.
    problems: list[str] = field(default_factory=list)
    #: Removes what was deleted before the stop; to be run in a worker.
    leftovers: DeleteJob | None = None


class LogDirectory:
    """All logs below one directory; made by `open`."""

    def __init__(
        self, filesystem: FileSystem, path: str, lock: DirectoryLock, identity: Identity, limit: int
    ) -> None:
        self.filesystem = filesystem
        self.path = path
        self.identity = identity
        self.state = DirectoryState(filesystem, path)
        self.files = OpenFiles(filesystem, limit)
        self.logs: dict[PartitionKey, PartitionLog] = {}
        self._lock = lock
        self._ticket: FlushTicket | None = None
        self._wants_checkpoint = False
        #: What the two checkpoint files durably say.
        self._recovery_points: dict[PartitionKey, int] = {}
        self._first_dirty: dict[PartitionKey, int] = {}
        self._log_starts: dict[PartitionKey, int] = {}
        self._written: tuple[dict[PartitionKey, int], dict[PartitionKey, int]] = ({}, {})
        self._is_clean = False

    # Starting

    @classmethod
    def open(
        cls,
        filesystem: FileSystem,
        path: str,
        new_identity: Identity,
        *,
        open_files_limit: int = DEFAULT_LIMIT,
    ) -> LogDirectory:
        """Take the directory for this process; a missing or empty one gets `new_identity`.

        Raises `DirectoryRefusedError`, with nothing touched, for a directory that is in use,
        somebody else's, or unreadable; `OSError` when it cannot be written.
        """
        identity = read_identity(filesystem, path)
        if identity is not None and identity.node_id != new_identity.node_id:
            raise DirectoryRefusedError(
                f"{path} belongs to node {identity.node_id}, this is node {new_identity.node_id}"
            )
        _make_directory(filesystem, path)
        lock = filesystem.lock(f"{path}/{LOCK_FILE}")
        if lock is None:
            raise DirectoryRefusedError(f"{path} is in use by another broker")
        if identity is None:
            identity = new_identity
            try:
                write_identity(filesystem, path, identity)
            except OSError:
                lock.release()
                raise
        return cls(filesystem, path, lock, identity, open_files_limit)

    def load(self, config_of: Callable[[str], LogConfig], wall_ms: int) -> LoadReport:
        """Find all logs, and recover them unless the last stop was clean. `config_of` gives a
        topic's configuration. Raises `DirectoryRefusedError`, `LogOfflineError`, `OSError`."""
        report = LoadReport(self._take_clean_mark())
        self._is_clean = report.is_clean
        recovery_points = self._read_offsets(RECOVERY_POINTS)
        log_starts = self._read_offsets(LOG_STARTS)
        first_dirty = self._read_offsets(FIRST_DIRTY)
        leftovers = []
        for name in self.filesystem.list_directory(self.path):
            if name.endswith(DELETE_SUFFIX):
                leftovers.append(f"{self.path}/{name}")
            key = parse_directory_name(name)
            if key is None:
                continue
            log = self._attach(key, config_of(key[0]), wall_ms)
            log.recovery_point = recovery_points.get(key, 0)
            log.log_start_offset = log_starts.get(key, 0)
            log.first_dirty_offset = first_dirty.get(key, 0)
            log.expect_end_at(log.recovery_point)
            if not report.is_clean or key not in recovery_points:
                loaded = log.open()
                report.scanned_bytes += loaded.scanned_bytes
                report.cut_bytes += loaded.cut_bytes
                report.problems += loaded.problems
        self._recovery_points = {k: v for k, v in recovery_points.items() if k in self.logs}
        self._log_starts = {k: v for k, v in log_starts.items() if k in self.logs}
        if leftovers:
            report.leftovers = DeleteJob(self.filesystem, leftovers, 0)
        if not report.is_clean:
            # Names that a process left behind when it died may not be durable.
            safety.sync_new_names(self.filesystem, self.path)
            self._checkpoint_now()
            self.state.trust_cache_again()
        return report

    def _take_clean_mark(self) -> bool:
        """Whether the last stop was clean; the mark that says so is durably gone."""
        path = f"{self.path}/{CLEAN_STOP_MARK}"
        is_clean = self.filesystem.exists(path)
        if is_clean:
            self.filesystem.remove(path)
            safety.sync_removed_mark(self.filesystem, self.path)
        return is_clean

    def _read_offsets(self, name: str) -> dict[PartitionKey, int]:
        path = f"{self.path}/{name}"
        data = read_file(self.filesystem, path)
        if data is None:
            return {}
        try:
            return decode_offsets(data)
        except ValueError as error:
            raise DirectoryRefusedError(f"{path} is damaged: {error}") from error

    # Logs

    def _attach(self, key: PartitionKey, config: LogConfig, wall_ms: int) -> PartitionLog:
        topic, partition = key
        directory = f"{self.path}/{directory_name(topic, partition)}"
        log = PartitionLog(
            self.files, self.state, directory, topic, partition, config, wall_ms=wall_ms
        )
        self.logs[key] = log
        return log

    def topic_id_of(self, topic: str, partition: int) -> bytes | None:
        """The topic id a log's directory was created for; None when it does not say."""
        return read_topic_id(self.filesystem, self.logs[topic, partition].directory)

    def create_log(
        self, topic: str, partition: int, topic_id: bytes, config: LogConfig, wall_ms: int
    ) -> PartitionLog:
        """A new, empty log. Its directory is durable once its first flush is. Raises `OSError`."""
        key = (topic, partition)
        assert key not in self.logs
        directory = f"{self.path}/{directory_name(topic, partition)}"
        self.filesystem.make_directory(directory)
        path = f"{directory}/{METADATA_FILE}"
        self.files.create(path).write_at([encode_metadata(topic_id)], 0)
        log = self._attach(key, config, wall_ms)
        log.open()
        log.note_written(path)
        return log

    def delete_log(self, topic: str, partition: int, unique: bytes) -> DeleteJob:
        """The log is gone; a job that removes its files. `unique` are 16 random bytes. Raises
        `OSError`."""
        key = (topic, partition)
        log = self.logs.pop(key)
        self._recovery_points.pop(key, None)
        self._log_starts.pop(key, None)
        renamed = f"{self.path}/{delete_name(topic, partition, unique)}"
        log.abandon()
        self.filesystem.rename(log.directory, renamed)
        return DeleteJob(self.filesystem, [renamed], log.config.file_delete_delay_ms)

    # Checkpoints

    def checkpoint_candidates(self) -> list[PartitionLog]:
        """Logs whose recovery point lags: have them flushed after `request_checkpoint`."""
        return [log for log in self.logs.values() if log.recovery_lag > 0]

    def request_checkpoint(self) -> None:
        """Have the next ticket write the recovery points as they are by then."""
        self._wants_checkpoint = True

    def begin_flush(self) -> FlushTicket | None:
        """A ticket for the log start offsets, if any changed, and for the recovery points, if
        asked for; None when there is nothing to do or a ticket is out."""
        if self._ticket is not None or self.state.reason is not None:
            return None
        replacements = []
        log_starts = self._log_starts
        if self.state.has_moved_log_starts:
            self.state.has_moved_log_starts = False
            starts = {k: log.log_start_offset for k, log in self.logs.items()}
            log_starts = {k: offset for k, offset in starts.items() if offset > 0}
            replacements.append((f"{self.path}/{LOG_STARTS}", encode_offsets(log_starts)))
        recovery_points = self._recovery_points
        if self._wants_checkpoint:
            recovery_points = {k: log.recovery_point for k, log in self.logs.items()}
            if recovery_points != self._recovery_points:
                watermarks = {k: log.flushed_end_offset for k, log in self.logs.items()}
                replacements += [
                    (f"{self.path}/{RECOVERY_POINTS}", encode_offsets(recovery_points)),
                    (f"{self.path}/{HIGH_WATERMARKS}", encode_offsets(watermarks)),
                ]
            first_dirty = {k: log.first_dirty_offset for k, log in self.logs.items()}
            first_dirty = {k: offset for k, offset in first_dirty.items() if offset > 0}
            if first_dirty != self._first_dirty:
                self._first_dirty = first_dirty
                replacements.append((f"{self.path}/{FIRST_DIRTY}", encode_offsets(first_dirty)))
            self._wants_checkpoint = False
        if not replacements:
            return None
        durable = Durable((), (), tuple(replacements))
        self._ticket = FlushTicket(self, self.filesystem, durable, 0)
        self._written = (recovery_points, log_starts)
        return self._ticket

    def finish_flush(self, ticket: FlushTicket, error: OSError | None) -> None:
        """The checkpoint files are durable, or the directory goes offline."""
        if ticket is not self._ticket:
            return
        self._ticket = None
        if error is not None:
            self.state.fail(f"writing checkpoints in {self.path}", error)
            return
        self._recovery_points, self._log_starts = self._written
        for key, offset in self._log_starts.items():
            if key in self.logs:
                self.logs[key].durable_log_start_offset = offset
        for key, offset in self._recovery_points.items():
            if key in self.logs:
                self.logs[key].checkpoint_written(offset)

    def _checkpoint_now(self) -> None:
        """Every open log's recovery point is its end, durably."""
        for log in self.logs.values():
            log.checkpoint()
        self.request_checkpoint()
        ticket = self.begin_flush()
        if ticket is None:
            return
        try:
            ticket.run()
        except OSError as error:
            self.finish_flush(ticket, error)
            raise
        self.finish_flush(ticket, None)

    # Stopping

    def close(self) -> None:
        """Stop cleanly: everything is durable, and the next start has nothing to recover.
        After a failure the directory is only let go, without the mark that says "clean"."""
        try:
            if self.state.reason is None:
                self._ticket = None
                self._checkpoint_now()
                safety.sync_new_names(self.filesystem, self.path)
                write_atomically(
                    self.filesystem, f"{self.path}/{CLEAN_STOP_MARK}", _CLEAN_STOP_CONTENT
                )
        finally:
            self.files.close()
            self._lock.release()


def _make_directory(filesystem: FileSystem, path: str) -> None:
    """The directory is there, and so are durably the names that lead to it."""
    created = []
    missing = path
    while missing and not filesystem.exists(missing):
        created.append(missing)
        missing = missing.rpartition("/")[0]
    filesystem.make_directory(path)
    for name in created or [path]:
        parent = name.rpartition("/")[0]
        if parent:
            safety.sync_new_names(filesystem, parent)
