"""A data directory: taken, refused, checkpointed, stopped, started again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.storage.harness import NOW_MS, batch, flush, read_all

from ottla.seams.real import RealFileSystem
from ottla.storage.errors import DirectoryRefusedError
from ottla.storage.identity import Identity
from ottla.storage.log_config import LogConfig
from ottla.storage.log_directory import (
    CLEAN_STOP_MARK,
    LoadReport,
    LogDirectory,
    RunAll,
    run_in_turn,
)

IDENTITY = Identity("cluster", 1, "directory")
TOPIC_ID = bytes(range(16))


class Opener:
    """Opens the directory again and again, and lets go of what a test leaves open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.opened: list[LogDirectory] = []
        self.report = LoadReport(is_clean=False)

    def __call__(
        self, identity: Identity = IDENTITY, run_all: RunAll = run_in_turn
    ) -> LogDirectory:
        directory = LogDirectory.open(RealFileSystem(), self.path, identity)
        self.opened.append(directory)
        self.report = directory.load(lambda _topic: LogConfig(), NOW_MS, run_all)
        return directory

    def crash(self) -> None:
        """What was opened is gone, as after SIGKILL."""
        for directory in self.opened:
            directory.files.close()
            directory._lock.release()
        self.opened.clear()


def flush_directory(directory: LogDirectory) -> None:
    ticket = directory.begin_flush()
    assert ticket is not None
    ticket.run()
    directory.finish_flush(ticket, None)


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(f"{tmp_path}/data")
    yield opener
    opener.crash()


def test_logs_come_back_after_a_clean_stop_without_being_opened(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 3, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=2, wall_ms=NOW_MS)
    directory.close()
    again = opener()
    assert opener.report.is_clean
    found = again.logs["orders", 3]
    assert (found.log_end_offset, found.flushed_end_offset) == (5, 5)
    assert len(again.files) == 0
    assert read_all(found) == [0, 1, 2, 3, 4]
    assert found.leader_epoch == 2
    assert again.topic_id_of("orders", 3) == TOPIC_ID


def test_logs_are_recovered_after_a_crash(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    flush(log)
    opener.crash()
    again = opener()
    assert not opener.report.is_clean
    assert opener.report.scanned_bytes > 0
    assert read_all(again.logs["orders", 0]) == [0, 1, 2, 3, 4]
    again.request_checkpoint()
    again.logs["orders", 0].checkpoint()
    flush_directory(again)
    opener.crash()
    opener()
    assert opener.report.scanned_bytes == 0


def test_logs_may_be_recovered_at_the_same_time(opener: Opener) -> None:
    directory = opener()
    for partition in range(20):
        log = directory.create_log("orders", partition, TOPIC_ID, LogConfig(), NOW_MS)
        log.append(batch(partition + 1), leader_epoch=0, wall_ms=NOW_MS)
    opener.crash()
    with ThreadPoolExecutor(4) as pool:
        again = opener(run_all=lambda jobs: [job.result() for job in map(pool.submit, jobs)])
    for partition in range(20):
        assert read_all(again.logs["orders", partition]) == list(range(partition + 1))
        assert again.topic_id_of("orders", partition) == TOPIC_ID


def test_a_second_process_is_refused(opener: Opener) -> None:
    opener()
    with pytest.raises(DirectoryRefusedError, match="in use by another broker"):
        opener()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("meta.properties", b"version=1\ncluster.id=x\nnode.id=1\n"),
        ("00000000000000000000.log", b""),
    ],
)
def test_a_directory_of_somebody_else_is_refused_untouched(
    opener: Opener, name: str, content: bytes
) -> None:
    root = Path(opener.path)
    root.mkdir()
    (root / name).write_bytes(content)
    with pytest.raises(DirectoryRefusedError):
        opener()
    assert [p.name for p in root.iterdir()] == [name]
    assert (root / name).read_bytes() == content


def test_a_deleted_log_leaves_with_its_job(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    job = directory.delete_log("orders", 0, bytes(16))
    assert ("orders", 0) not in directory.logs
    job.run()
    assert [p for p in Path(opener.path).iterdir() if p.is_dir()] == []
    assert directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS).log_end_offset == 0


def test_the_clean_mark_is_gone_while_running(opener: Opener) -> None:
    directory = opener()
    directory.close()
    mark = Path(opener.path) / CLEAN_STOP_MARK
    assert mark.exists()
    opener()
    assert not mark.exists()


def test_log_start_offsets_become_durable_by_the_directorys_ticket(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    flush(log)
    log.advance_log_start_offset(3)
    assert log.durable_log_start_offset == 0
    flush_directory(directory)
    assert log.durable_log_start_offset == 3
    opener.crash()
    assert opener().logs["orders", 0].log_start_offset == 3
