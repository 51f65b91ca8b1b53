"""Logs on a real filesystem, and what the tests put into them."""

from __future__ import annotations

import os
from dataclasses import replace

from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.seams.filesystem import FileSystem
from ottla.storage.directory_state import DirectoryState
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead, ReadInfo
from ottla.storage.open_files import OpenFiles
from ottla.storage.partition_log import PartitionLog
from ottla.storage.recovery import LoadedLog

NOW_MS = 1_800_000_000_000


def batch(count: int = 1, *, timestamp: int = NOW_MS, value: bytes = b"value", **more) -> bytearray:
    """A producer's batch of `count` keyed records, one millisecond apart."""
    return build_batch(
        [Record(0, timestamp + i, b"key-%d" % i, value) for i in range(count)], **more
    )


def flush(log: PartitionLog) -> None:
    ticket = log.begin_flush()
    if ticket is not None:
        ticket.run()
        log.finish_flush(ticket, None)


def info_of(result: ReadInfo | ColdRead) -> ReadInfo:
    return result.run() if isinstance(result, ColdRead) else result


def offsets_in(info: ReadInfo) -> list[int]:
    return [
        record.offset
        for buffer in info.buffers
        for position, _ in headers(buffer)
        for record in records(buffer, position)
    ]


def read_all(
    log: PartitionLog, *, max_bytes: int = 1_000_000, start: int | None = None
) -> list[int]:
    """The offsets of all records, read as a consumer does."""
    offset = log.log_start_offset if start is None else start
    found: list[int] = []
    while offset < log.log_end_offset:
        info = info_of(log.read(offset, max_bytes, log.log_end_offset))
        if not info.size:
            break
        for buffer in info.buffers:
            for position, header in headers(buffer):
                found += [r.offset for r in records(buffer, position) if r.offset >= offset]
                following = header.next_offset
        offset = following
    return found


class LogFactory:
    """Opens one partition's log again and again, as restarts do."""

    def __init__(self, filesystem: FileSystem, root: str) -> None:
        self.filesystem = filesystem
        self.root = root
        self.directory = f"{root}/topic-0"
        self.state = DirectoryState(filesystem, root)
        self.files = OpenFiles(filesystem, 16)
        filesystem.make_directory(self.directory)

    def open(self, **settings) -> PartitionLog:
        """As after a crash: what lies behind `recovery_point` is recovered."""
        self.reopened(**settings)
        return self.log

    def reopened(self, **settings) -> LoadedLog:
        """Open the log as `open` does, into `self.log`; what the start found."""
        self.files.close()
        known = {
            key: settings.pop(key)
            for key in ("recovery_point", "log_start_offset")
            if key in settings
        }
        self.log = PartitionLog(
            self.files,
            self.state,
            self.directory,
            "topic",
            0,
            replace(LogConfig(), **settings),
            wall_ms=NOW_MS,
            **known,
        )
        return self.log.open()

    def forget_state(self) -> None:
        """What the next start learns about the directory is what it says now."""
        self.state = DirectoryState(self.filesystem, self.root)

    def inode(self, name: str) -> int:
        return os.stat(f"{self.directory}/{name}").st_ino

    def names(self, suffix: str = "") -> list[str]:
        names = self.filesystem.list_directory(self.directory)
        return [name for name in names if name.endswith(suffix)]

    def content(self, name: str) -> bytes:
        file = self.filesystem.open(f"{self.directory}/{name}")
        try:
            return bytes(file.read_at(file.size(), 0))
        finally:
            file.close()

    def overwrite(self, name: str, position: int, data: bytes) -> None:
        file = self.filesystem.open(f"{self.directory}/{name}")
        try:
            file.write_at([data], position)
        finally:
            file.close()
