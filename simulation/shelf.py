"""The data directory of one simulated machine, used the way the broker uses it.

Topics (of one partition) stand in the real metadata journal, as JSON: first
the journal durably says it, then the directory follows. The shelf remembers
what it was promised about the journal and holds it to that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from ottla.storage.errors import AppendError
from ottla.storage.identity import Identity
from ottla.storage.log_config import LogConfig
from ottla.storage.log_directory import LoadReport, LogDirectory
from ottla.storage.metadata_journal import MetadataJournal
from ottla.storage.partition_log import PartitionLog
from ottla.storage.retention import DeleteJob
from simulation.disk import SimulatedDisk
from simulation.log_model import Violation

ROOT: Final = "/var/data"
IDENTITY: Final = Identity("cluster", 1, "directory")
#: Few enough that files are closed and opened again all the time.
OPEN_FILES: Final = 8


class Shelf:
    """The directory of the present life, and the topics that should be in it."""

    def __init__(self, disk: SimulatedDisk, config_of: Callable[[str], LogConfig]) -> None:
        self._disk = disk
        self._config_of = config_of
        #: Every change that was acknowledged, and the one that was not answered, if any.
        self._changes: list[bytes] = []
        self._in_flight: bytes | None = None
        self._deletions = 0
        #: Topics that exist, and their ids.
        self.topics: dict[str, bytes] = {}
        disk.make_directory("/var")
        disk.sync_directory("/")

    # Starting and stopping

    def open(self, wall_ms: int) -> LoadReport:
        """Start: afterwards exactly the logs of the existing topics are there."""
        self.directory = LogDirectory.open(self._disk, ROOT, IDENTITY, open_files_limit=OPEN_FILES)
        self.journal, changes = MetadataJournal.open(self._disk, self.directory.state, ROOT)
        self._judge_journal(changes)
        report = self.directory.load(self._config_of, wall_ms)
        jobs = [] if report.leftovers is None else [report.leftovers]
        for topic, partition in sorted(self.directory.logs):
            topic_id = self.topics.get(topic)
            if topic_id is None or topic_id != self.directory.topic_id_of(topic, partition):
                jobs.append(self._delete_log(topic))
        for topic, topic_id in sorted(self.topics.items()):
            if (topic, 0) not in self.directory.logs:
                self.directory.create_log(topic, 0, topic_id, self._config_of(topic), wall_ms)
        for job in jobs:
            job.run()
        return report

    def _judge_journal(self, changes: list[bytes]) -> None:
        allowed = [self._changes]
        if self._in_flight is not None:
            allowed.append([*self._changes, self._in_flight])
        if changes not in allowed:
            raise Violation(f"the journal has {changes} instead of {allowed}")
        self._changes, self._in_flight = changes, None
        self.topics = {}
        for change in changes:
            self._apply(change)

    def close(self) -> None:
        """Stop cleanly. Raises `OSError`."""
        self.journal.close()
        self.directory.close()

    # Topics

    @property
    def logs(self) -> dict[str, PartitionLog]:
        return {topic: log for (topic, _), log in sorted(self.directory.logs.items())}

    def create(self, topic: str, topic_id: bytes, wall_ms: int) -> None:
        """Raises `OSError` and `StorageError`; the topic may exist without a log then."""
        self._commit({"create": topic, "id": topic_id.hex()})
        self.directory.create_log(topic, 0, topic_id, self._config_of(topic), wall_ms)

    def delete(self, topic: str) -> DeleteJob | None:
        """Raises as `create`."""
        self._commit({"delete": topic})
        # A full disk may have kept the log from being created.
        return self._delete_log(topic) if (topic, 0) in self.directory.logs else None

    def _delete_log(self, topic: str) -> DeleteJob:
        self._deletions += 1
        return self.directory.delete_log(topic, 0, self._deletions.to_bytes(16, "big"))

    def _commit(self, fields: dict[str, str]) -> None:
        change = json.dumps(fields).encode()
        before, self._in_flight = self._in_flight, change
        try:
            self.journal.append(change)
        except AppendError:
            self._in_flight = before
            raise
        ticket = self.journal.begin_flush()
        assert ticket is not None
        error = None
        try:
            ticket.run()
        except OSError as failure:
            error = failure
        self.journal.finish_flush(ticket, error)
        if error is not None:
            raise error
        self._in_flight = None
        self._changes.append(change)
        self._apply(change)
        if len(self._changes) % 7 == 0:
            # What all changes so far say, in fewer: here just the same again.
            try:
                self.journal.rewrite(self._changes)
            except OSError:
                pass  # The old journal goes on.

    def _apply(self, change: bytes) -> None:
        fields = json.loads(change)
        if "create" in fields:
            self.topics[fields["create"]] = bytes.fromhex(fields["id"])
        else:
            del self.topics[fields["delete"]]
