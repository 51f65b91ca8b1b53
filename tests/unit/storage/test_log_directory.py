"""A data directory: taken, refused, checkpointed, stopped, started again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from simulation.disk import SimulatedDisk
from tests.unit.storage.harness import NOW_MS, batch, flush, read_all

from ottla.batch.record_batch import Record, build_batch
from ottla.seams.real import RealFileSystem
from ottla.storage import cleaner
from ottla.storage.errors import AppendError, CorruptLogError, DirectoryRefusedError
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


def test_the_directory_of_another_node_is_refused(opener: Opener) -> None:
    opener().close()
    opener.opened.clear()
    with pytest.raises(DirectoryRefusedError, match="belongs to node 1"):
        opener(Identity("cluster", 2, "directory"))


def test_an_existing_identity_stays(opener: Opener) -> None:
    opener().close()
    opener.opened.clear()
    assert opener(Identity("another", 1, "another")).identity == IDENTITY


@pytest.mark.parametrize("content", [None, b"", b"ottla-checkpoint 1\ncrc32c 00000000\n"])
def test_without_a_sound_checkpoint_nothing_is_touched(
    opener: Opener, content: bytes | None
) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    opener.crash()
    path = Path(opener.path) / "ottla-checkpoint"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DirectoryRefusedError, match="ottla-checkpoint is"):
        opener()


def test_a_new_topic_of_the_same_name_knows_nothing_of_the_old_one(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(50), leader_epoch=0, wall_ms=NOW_MS)
    log.checkpoint()
    log.advance_log_start_offset(40)
    directory.request_checkpoint()
    flush_directory(directory)
    directory.delete_log("orders", 0, bytes(16)).run()
    log = directory.create_log("orders", 0, bytes(16), LogConfig(), NOW_MS)
    log.append(batch(3), leader_epoch=0, wall_ms=NOW_MS)
    flush(log)
    opener.crash()
    again = opener().logs["orders", 0]
    assert again.topic_id == bytes(16)
    assert read_all(again) == [0, 1, 2]


def test_a_log_that_does_not_say_whose_it_is_is_set_aside(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    opener.crash()
    (Path(opener.path) / "orders-0" / "partition.metadata").unlink()
    again = opener()
    assert again.topic_id_of("orders", 0) is None
    sentence = again.set_aside("orders", 0, bytes(16))
    assert "set aside" in sentence
    assert ("orders", 0) not in again.logs
    assert [p.name for p in Path(opener.path).iterdir() if p.is_dir()] == [
        f"orders-0.{bytes(16).hex()}-stray"
    ]
    again.request_checkpoint()
    flush_directory(again)


def test_deleted_logs_that_a_stop_left_behind_are_removed_later(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(1), leader_epoch=0, wall_ms=NOW_MS)
    directory.delete_log("orders", 0, bytes(16))
    opener.crash()
    opener()
    assert opener.report.leftovers is not None
    opener.report.leftovers.run()
    assert [p for p in Path(opener.path).iterdir() if p.is_dir()] == []


def test_a_log_unknown_to_the_checkpoint_of_a_clean_stop_is_recovered(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    directory.close()
    opener.opened.clear()
    source, copy = (Path(opener.path) / name for name in ("orders-0", "copied-0"))
    shutil.copytree(source, copy)
    again = opener()
    assert opener.report.is_clean
    assert read_all(again.logs["copied", 0]) == [0, 1, 2, 3, 4]


def test_only_one_ticket_is_out_at_a_time(opener: Opener) -> None:
    directory = opener()
    assert directory.begin_flush() is None
    directory.request_checkpoint()
    ticket = directory.begin_flush()
    assert ticket is not None
    directory.request_checkpoint()
    assert directory.begin_flush() is None
    ticket.run()
    directory.finish_flush(ticket, None)
    directory.finish_flush(ticket, OSError(5, "comes too late"))
    assert directory.state.reason is None
    flush_directory(directory)


def test_a_directory_that_cannot_be_written_is_let_go(tmp_path: Path) -> None:
    disk = SimulatedDisk(random.Random(0), capacity_bytes=10)
    with pytest.raises(OSError, match="No space"):
        LogDirectory.open(disk, "/data", IDENTITY)
    disk.capacity_bytes = None
    LogDirectory.open(disk, "/data", IDENTITY)


def test_a_relative_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    directory = LogDirectory.open(RealFileSystem(), "data", IDENTITY)
    directory.load(lambda _: LogConfig(), NOW_MS)
    directory.close()
    assert (tmp_path / "data" / "meta.properties").exists()


def test_an_empty_log_that_nobody_uses_is_not_opened_by_retention(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    log.advance_log_start_offset(5)
    directory.close()
    opener.opened.clear()
    again = opener()
    assert again.logs["orders", 0].apply_retention(NOW_MS) is None
    assert len(again.files) == 0
    assert again.checkpoint_candidates() == []


def test_what_is_wrong_with_a_log_is_told_when_it_is_first_used(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    directory.close()
    opener.opened.clear()
    path = Path(opener.path) / "orders-0" / f"{0:020d}.log"
    path.write_bytes(path.read_bytes()[:30])
    again = opener()
    told: list[str] = []
    again.state.tell = told.append
    assert again.logs["orders", 0].size == 30
    assert str(path) in told[0]


def test_a_new_log_is_on_the_disk_when_something_is_written_to_it(opener: Opener) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    home = Path(opener.path) / "orders-0"
    assert read_all(log) == []
    assert (log.size, log.segments, log.leader_epoch) == (0, (), -1)
    assert log.offset_for_timestamp(0) is None
    assert log.begin_flush() is None
    assert log.apply_retention(NOW_MS) is None
    assert log.begin_compaction(NOW_MS) is None
    assert not log.advance_log_start_offset(0)
    with pytest.raises(AppendError):
        log.append(bytearray(b"rubbish" * 20), leader_epoch=0, wall_ms=NOW_MS)
    assert not home.exists()
    log.append(batch(2), leader_epoch=0, wall_ms=NOW_MS)
    assert (home / "partition.metadata").exists()
    assert read_all(log) == [0, 1]


def test_a_new_log_that_nobody_wrote_to_leaves_nothing(opener: Opener) -> None:
    directory = opener()
    directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    directory.delete_log("orders", 0, bytes(16)).run()
    directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    directory.close()
    assert ("orders", 0) not in opener().logs


def test_a_new_log_does_not_take_over_the_records_of_a_deletion_that_failed(
    opener: Opener,
) -> None:
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, LogConfig(), NOW_MS)
    log.append(batch(2), leader_epoch=0, wall_ms=NOW_MS)
    del directory.logs["orders", 0]
    again = directory.create_log("orders", 0, bytes(16), LogConfig(), NOW_MS)
    with pytest.raises(AppendError, match="records of a deleted topic are there"):
        again.append(batch(1), leader_epoch=0, wall_ms=NOW_MS)


@pytest.mark.parametrize("steps", [1, 3, 6, 8])
def test_a_compaction_of_a_deleted_topic_leaves_its_successor_alone(
    opener: Opener, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The worker writes by path, and there is another log of this name by then."""
    monkeypatch.setattr(cleaner, "_STEP_BYTES", 1)
    config = LogConfig(cleanup_policy=frozenset({"compact"}), min_cleanable_dirty_ratio=0.0)
    directory = opener()
    log = directory.create_log("orders", 0, TOPIC_ID, config, NOW_MS)
    for _ in range(4):
        log.append(build_batch([Record(0, NOW_MS, b"k", b"v")]), leader_epoch=0, wall_ms=NOW_MS)
        log.roll()
    log.checkpoint()
    log.checkpoint_written(log.checkpoint_entry(TOPIC_ID))
    compaction = log.begin_compaction(NOW_MS + 1)
    assert compaction is not None
    for _ in range(steps):
        assert not compaction.step()
    directory.delete_log("orders", 0, bytes(16))
    again = directory.create_log("orders", 0, bytes(range(16)), config, NOW_MS)
    again.append(batch(3), leader_epoch=0, wall_ms=NOW_MS)
    with pytest.raises((OSError, CorruptLogError)):
        compaction.run()
    left = [path.name for path in (Path(opener.path) / "orders-0").iterdir()]
    assert not [name for name in left if name.endswith((".swap", ".cleaned"))]
    assert read_all(again) == [0, 1, 2]
    opener.crash()
    assert read_all(opener().logs["orders", 0]) == [0, 1, 2]
