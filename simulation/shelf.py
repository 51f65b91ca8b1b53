"""The log directory of one simulated machine, used the way the broker uses it.

Which topics exist is remembered outside of the simulated disk, as if the
metadata were always durable: first the metadata changes, then the directory.
"""

from __future__ import annotations

from typing import Final

from ottla.storage.flush import FlushTicket
from ottla.storage.identity import Identity
from ottla.storage.log_config import LogConfig
from ottla.storage.log_directory import LoadReport, LogDirectory
from ottla.storage.partition_log import PartitionLog
from ottla.storage.retention import DeleteJob
from simulation.disk import SimulatedDisk

ROOT: Final = "/var/data"
IDENTITY: Final = Identity("cluster", 1, "directory")
#: Few enough that files are closed and opened again all the time.
OPEN_FILES: Final = 8


class Shelf:
    """The directory of the present life, and the topics that should be in it."""

    def __init__(self, disk: SimulatedDisk, config: LogConfig) -> None:
        self._disk = disk
        self._config = config
        #: Topic (of one partition) and its id.
        self.topics: dict[str, bytes] = {}
        self._deletions = 0
        disk.make_directory("/var")
        disk.sync_directory("/")

    def open(self, wall_ms: int) -> LoadReport:
        """Start: afterwards exactly the logs of the existing topics are there."""
        self.directory = LogDirectory.open(self._disk, ROOT, IDENTITY, open_files_limit=OPEN_FILES)
        report = self.directory.load(lambda _: self._config, wall_ms)
        jobs = [] if report.leftovers is None else [report.leftovers]
        for topic, partition in sorted(self.directory.logs):
            topic_id = self.topics.get(topic)
            if topic_id is None or topic_id != self.directory.topic_id_of(topic, partition):
                jobs.append(self._delete_log(topic))
        for topic, topic_id in sorted(self.topics.items()):
            if (topic, 0) not in self.directory.logs:
                self.directory.create_log(topic, 0, topic_id, self._config, wall_ms)
        for job in jobs:
            job.run()
        return report

    @property
    def logs(self) -> dict[str, PartitionLog]:
        return {topic: log for (topic, _), log in sorted(self.directory.logs.items())}

    def create(self, topic: str, topic_id: bytes, wall_ms: int) -> None:
        self.topics[topic] = topic_id
        self.directory.create_log(topic, 0, topic_id, self._config, wall_ms)

    def delete(self, topic: str) -> DeleteJob | None:
        del self.topics[topic]
        # A full disk may have kept the log from being created.
        return self._delete_log(topic) if (topic, 0) in self.directory.logs else None

    def _delete_log(self, topic: str) -> DeleteJob:
        self._deletions += 1
        return self.directory.delete_log(topic, 0, self._deletions.to_bytes(16, "big"))

    def checkpoint(self) -> FlushTicket | None:
        """Ask for recovery points; the ticket, if any, that writes them."""
        self.directory.request_checkpoint()
        return self.directory.begin_flush()
