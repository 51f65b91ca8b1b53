"""A data directory: its lock, its identity, its checkpoints and all its logs.

Start: `open` takes the directory (or refuses it untouched), `load` finds the
logs. After a clean stop a log's files are not even looked at before somebody
uses it; after a crash every log is recovered first. Checkpoints are written by
flush tickets, like everything that must be durable: `begin_flush` cuts one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeAlias

from ottla.seams.filesystem import DirectoryLock, FileSystem
from ottla.storage import safety
from ottla.storage.checkpoints import (
    HIGH_WATERMARKS,
    LOG_STARTS,
    RECOVERY_POINTS,
    PartitionKey,
    encode_offsets,
    read_file,
    write_atomically,
)
from ottla.storage.directory_checkpoint import FILE_NAME as CHECKPOINT
from ottla.storage.directory_checkpoint import LogCheckpoint
from ottla.storage.directory_checkpoint import decode as decode_checkpoint
from ottla.storage.directory_checkpoint import encode as encode_checkpoint
from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import DirectoryRefusedError, NoRoomError
from ottla.storage.flush import Durable, FlushTicket, run_now
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
    stray_name,
)
from ottla.storage.partition_log import PartitionLog
from ottla.storage.recovery import LoadedLog
from ottla.storage.retention import DeleteJob

#: Runs all jobs, in any order and at the same time if it likes; raises what one raised.
RunAll: TypeAlias = Callable[[Sequence[Callable[[], None]]], None]

_FILES_OF_A_RECOVERY: Final = 6
_LOGS_STOPPED_TOGETHER: Final = 256
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

    def add(self, loaded: LoadedLog | None) -> None:
        """Count in what the recovery of one log found."""
        assert loaded is not None, "every recovery has run"
        self.scanned_bytes += loaded.scanned_bytes
        self.cut_bytes += loaded.cut_bytes
        self.problems += loaded.problems


class _Recovery:
    """Opens one log after a crash; touches nothing that another recovery touches."""

    def __init__(
        self,
        filesystem: FileSystem,
        state: DirectoryState,
        log: PartitionLog,
        known: LogCheckpoint | None,
    ) -> None:
        self._filesystem = filesystem
        self._state = state
        self._log = log
        self._known = known
        self.loaded: LoadedLog | None = None

    def run(self) -> None:
        """Raises `LogOfflineError` and `OSError`."""
        log, known = self._log, self._known
        log.topic_id = read_topic_id(self._filesystem, log.directory)
        # A power cut may have left an earlier topic's log, or its line in the checkpoint.
        if known is not None and known.topic_id == log.topic_id:
            log.resume(known)
        files = OpenFiles(self._filesystem, _FILES_OF_A_RECOVERY)
        try:
            self.loaded = log.open(files=files)
        finally:
            files.close()
        if log.topic_id is not None and not log.recovery_point:
            self._keep_topic_id(log.topic_id, is_empty=not self.loaded.scanned_bytes)

    def _keep_topic_id(self, topic_id: bytes, *, is_empty: bool) -> None:
        """No flush may have covered the file that says whose log this is: it is durable before
        anything in the log may be seen."""
        path = f"{self._log.directory}/{METADATA_FILE}"
        if is_empty and not self._state.is_cache_doubtful:
            self._log.note_written(path)
        else:
            write_atomically(self._filesystem, path, encode_metadata(topic_id))


class _Stop:
    """Runs the last ticket of one log."""

    def __init__(self, ticket: FlushTicket, root: str) -> None:
        # Synced once, behind all of them.
        ticket.leave_out(root)
        self._ticket = ticket
        self._error: OSError | None = None

    def run(self) -> None:
        try:
            self._ticket.run()
        except OSError as error:
            self._error = error

    def finish(self) -> None:
        """Raises `OSError`."""
        self._ticket.owner.finish_flush(self._ticket, self._error)
        if self._error is not None:
            raise self._error


def run_in_turn(jobs: Sequence[Callable[[], None]]) -> None:
    """Run one job after the other."""
    for job in jobs:
        job()


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
        #: What the checkpoint says once the ticket that is out has run.
        self._being_written: dict[PartitionKey, LogCheckpoint] = {}

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
                # First the checkpoint: a directory of ours without one is damaged.
                write_atomically(filesystem, f"{path}/{CHECKPOINT}", encode_checkpoint({}))
                write_identity(filesystem, path, identity)
            except OSError:
                lock.release()
                raise
        return cls(filesystem, path, lock, identity, open_files_limit)

    def load(
        self,
        config_of: Callable[[str], LogConfig],
        wall_ms: int,
        run_all: RunAll = run_in_turn,
    ) -> LoadReport:
        """Find all logs, and recover them unless the last stop was clean. `config_of` gives a
        topic's configuration; `run_all` may recover logs at the same time. Raises
        `DirectoryRefusedError`, `LogOfflineError`, `OSError`."""
        report = LoadReport(self._take_clean_mark())
        if not report.is_clean:
            # Names that a process left behind when it died may not be durable: those of
            # logs, and that of the checkpoint by which recovery decides what may go.
            safety.sync_new_names(self.filesystem, self.path)
        checkpoint = self._read_checkpoint()
        leftovers = []
        recoveries: list[_Recovery] = []
        for name in self.filesystem.list_directory(self.path):
            if name.endswith(DELETE_SUFFIX):
                leftovers.append(f"{self.path}/{name}")
            key = parse_directory_name(name)
            if key is None:
                continue
            known = checkpoint.get(key)
            log = self._attach(key, config_of(key[0]), wall_ms)
            if report.is_clean and known is not None:
                log.topic_id = known.topic_id
                log.resume(known)
            else:
                recoveries.append(_Recovery(self.filesystem, self.state, log, known))
        run_all([recovery.run for recovery in recoveries])
        for recovery in recoveries:
            report.add(recovery.loaded)
        if leftovers:
            report.leftovers = DeleteJob(self.filesystem, leftovers, 0)
        if not report.is_clean:
            self.state.trust_cache_again()
        return report

    def _read_checkpoint(self) -> dict[PartitionKey, LogCheckpoint]:
        path = f"{self.path}/{CHECKPOINT}"
        data = read_file(self.filesystem, path)
        if data is None:
            raise DirectoryRefusedError(f"{path} is missing: the directory is damaged")
        try:
            return decode_checkpoint(data)
        except ValueError as error:
            raise DirectoryRefusedError(f"{path} is damaged: {error}") from error

    def _take_clean_mark(self) -> bool:
        """Whether the last stop was clean; the mark that says so is durably gone."""
        path = f"{self.path}/{CLEAN_STOP_MARK}"
        is_clean = self.filesystem.exists(path)
        if is_clean:
            self.filesystem.remove(path)
            safety.sync_removed_mark(self.filesystem, self.path)
        return is_clean

    # Logs

    def _directory_of(self, key: PartitionKey) -> str:
        return f"{self.path}/{directory_name(*key)}"

    def _attach(self, key: PartitionKey, config: LogConfig, wall_ms: int) -> PartitionLog:
        topic, partition = key
        directory = self._directory_of(key)
        log = PartitionLog(
            self.files, self.state, directory, topic, partition, config, wall_ms=wall_ms
        )
        self.logs[key] = log
        return log

    def topic_id_of(self, topic: str, partition: int) -> bytes | None:
        """The topic id a log's directory was created for; None when it does not say."""
        return self.logs[topic, partition].topic_id

    def create_log(
        self, topic: str, partition: int, topic_id: bytes, config: LogConfig, wall_ms: int
    ) -> PartitionLog:
        """A new, empty log, whose directory is made when something is written to it."""
        key = (topic, partition)
        assert key not in self.logs
        log = self._attach(key, config, wall_ms)
        log.create_when_written(topic_id)
        return log

    def delete_log(self, topic: str, partition: int, unique: bytes) -> DeleteJob:
        """The log is gone; a job that removes its files. `unique` are 16 random bytes. Raises
        `OSError`."""
        key = (topic, partition)
        log = self.logs.pop(key)
        renamed = f"{self.path}/{delete_name(topic, partition, unique)}"
        log.abandon()
        if log.is_missing:
            return DeleteJob(self.filesystem, (), 0)
        self.filesystem.rename(log.directory, renamed)
        return DeleteJob(self.filesystem, [renamed], log.config.file_delete_delay_ms)

    def set_aside(self, topic: str, partition: int, unique: bytes) -> str:
        """A log that does not say whose it is goes out of the way, and stays; what to tell the
        person. `unique` are 16 random bytes. Raises `OSError`."""
        log = self.logs.pop((topic, partition))
        renamed = f"{self.path}/{stray_name(topic, partition, unique)}"
        log.abandon()
        self.filesystem.rename(log.directory, renamed)
        return (
            f"{log.directory} does not say which topic it belongs to, so that none of its records "
            f"can have been acknowledged; it is set aside as {renamed} and may be removed"
        )

    # Checkpoints

    def checkpoint_candidates(self) -> list[PartitionLog]:
        """Logs whose recovery point lags: have them flushed after `request_checkpoint`."""
        return [log for log in self.logs.values() if log.recovery_lag > 0]

    def request_checkpoint(self) -> None:
        """Have the next ticket write the recovery points as they are by then."""
        self._wants_checkpoint = True

    def begin_flush(self) -> FlushTicket | None:
        """A ticket for the checkpoint, if one was asked for or a log start moved; None when
        there is nothing to do or a ticket is out."""
        if self._ticket is not None or self.state.reason is not None:
            return None
        if not (self._wants_checkpoint or self.state.has_moved_log_starts):
            return None
        self._wants_checkpoint = self.state.has_moved_log_starts = False
        entries = {
            key: log.checkpoint_entry(log.topic_id)
            for key, log in self.logs.items()
            if log.topic_id is not None
        }
        watermarks = {key: log.flushed_end_offset for key, log in self.logs.items()}
        durable = Durable((), (), tuple(self._checkpoint_files(entries, watermarks)))
        self._being_written = entries
        self._ticket = FlushTicket(self, self.filesystem, durable, 0)
        return self._ticket

    def _checkpoint_files(
        self,
        entries: Mapping[PartitionKey, LogCheckpoint],
        watermarks: Mapping[PartitionKey, int],
    ) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Ours, and Kafka's for Kafka's tools; put into bytes by the worker."""
        yield f"{self.path}/{CHECKPOINT}", lambda: encode_checkpoint(entries)
        yield (
            f"{self.path}/{RECOVERY_POINTS}",
            lambda: encode_offsets({k: e.recovery_point for k, e in entries.items()}),
        )
        yield (
            f"{self.path}/{LOG_STARTS}",
            lambda: encode_offsets(
                {k: e.log_start_offset for k, e in entries.items() if e.log_start_offset}
            ),
        )
        yield f"{self.path}/{HIGH_WATERMARKS}", lambda: encode_offsets(watermarks)

    def finish_flush(self, ticket: FlushTicket, error: OSError | None) -> None:
        """The checkpoint is durable, or the directory goes offline. Where the disk was full
        the old one stands: any mixture of old and new files is as good as the old."""
        if ticket is not self._ticket:
            return
        self._ticket = None
        if isinstance(error, NoRoomError):
            self._wants_checkpoint = True
            self.state.told_full()
            return
        if error is not None:
            self.state.fail(f"writing checkpoints in {self.path}", error)
            return
        for key, entry in self._being_written.items():
            log = self.logs.get(key)
            if log is not None and log.topic_id == entry.topic_id:
                log.checkpoint_written(entry)

    # Stopping

    def let_go(self) -> None:
        """Give the directory back as it is: nothing is written, the next start recovers."""
        self.files.close()
        self._lock.release()

    def close(self, run_all: RunAll = run_in_turn) -> None:
        """Stop cleanly: everything is durable, and the next start has nothing to recover.
        After a failure the directory is only let go, without the mark that says "clean".
        `run_all` may flush logs at the same time. Raises `OSError`."""
        try:
            if self.state.reason is None:
                self._checkpoint_all(run_all)
                safety.sync_new_names(self.filesystem, self.path)
                self._ticket = None
                self.request_checkpoint()
                ticket = self.begin_flush()
                if ticket is not None:
                    run_now(ticket)
                write_atomically(
                    self.filesystem, f"{self.path}/{CLEAN_STOP_MARK}", _CLEAN_STOP_CONTENT
                )
        finally:
            self.let_go()

    def _checkpoint_all(self, run_all: RunAll) -> None:
        logs = iter(self.logs.values())
        while some := list(islice(logs, _LOGS_STOPPED_TOGETHER)):
            tickets = [t for log in some if (t := log.begin_checkpoint()) is not None]
            stops = [_Stop(ticket, self.path) for ticket in tickets]
            run_all([stop.run for stop in stops])
            for stop in stops:
                stop.finish()


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
        safety.sync_new_names(filesystem, parent or ("/" if name.startswith("/") else "."))
