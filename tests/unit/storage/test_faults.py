"""Full disks and failing disks: an error to the producer, nothing lost, nothing pretended."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from simulation.disk import SimulatedDisk
from tests.unit.storage.harness import NOW_MS, batch, flush, read_all

from ottla.seams.filesystem import File
from ottla.storage.errors import AppendError, LogOfflineError, NoRoomError
from ottla.storage.flush import run_now
from ottla.storage.identity import Identity
from ottla.storage.log_config import LogConfig
from ottla.storage.log_directory import LogDirectory
from ottla.storage.metadata_journal import MetadataJournal
from ottla.storage.partition_log import PartitionLog
from ottla.wire.errors import ErrorCode

IDENTITY = Identity("c", 1, "d")
TOPIC_ID = bytes(range(16))
CONFIG = LogConfig(segment_bytes=2_000, index_interval_bytes=200)


class Machine:
    """A data directory on a simulated disk."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk(random.Random(1))
        self.start()

    def start(self) -> None:
        self.directory = LogDirectory.open(self.disk, "/data", IDENTITY)
        self.report = self.directory.load(lambda _: CONFIG, NOW_MS)
        key = ("t", 0)
        self.log = self.directory.logs.get(key) or self.directory.create_log(
            "t", 0, TOPIC_ID, CONFIG, NOW_MS
        )

    def restart(self) -> None:
        self.disk.set_fault(None)
        self.disk.capacity_bytes = None
        self.disk.process_killed()
        self.start()

    def fill_disk(self, room: int = 0) -> None:
        self.disk.capacity_bytes = self.disk.used_bytes + room

    def fail(self, what: str, part_of_path: str = "") -> None:
        self.disk.set_fault(lambda kind, path: kind == what and part_of_path in path)


@pytest.fixture
def machine() -> Iterator[Machine]:
    return Machine()


def append(log: PartitionLog, count: int = 3) -> int:
    return log.append(batch(count), leader_epoch=0, wall_ms=NOW_MS).first_offset


def test_a_full_disk_refuses_and_takes_appends_again_when_there_is_room(machine: Machine) -> None:
    log = machine.log
    append(log)
    flush(log)
    machine.fill_disk(20)
    for _ in range(3):
        with pytest.raises(AppendError) as error:
            append(log)
        assert error.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert read_all(log) == [0, 1, 2]
    machine.disk.capacity_bytes = None
    assert append(log) == 3
    flush(log)
    machine.restart()
    assert read_all(machine.log) == list(range(6))


def test_a_full_disk_at_the_time_to_roll(machine: Machine) -> None:
    log = machine.log
    for _ in range(16):
        append(log)
    flush(log)
    assert len(log.segments) == 1
    machine.fill_disk()
    with pytest.raises(AppendError, match="Cannot roll"):
        append(log, 40)
    machine.disk.capacity_bytes = None
    assert append(log) == 48
    flush(log)
    machine.disk.lose_everything_unsynced()
    machine.restart()
    assert read_all(machine.log) == list(range(51))


def test_a_checkpoint_waits_for_room(machine: Machine) -> None:
    log = machine.log
    for _ in range(8):
        append(log)
    flush(log)
    machine.fill_disk()
    log.request_checkpoint()
    assert log.begin_flush() is None
    assert log.recovery_point == 0
    machine.disk.capacity_bytes = None
    log.checkpoint()
    assert log.recovery_point == 24


def test_small_files_that_a_full_disk_leaves_out_are_written_when_there_is_room(
    machine: Machine,
) -> None:
    log = machine.log
    append(log)
    flush(log)
    append(log)
    log.request_checkpoint()
    ticket = log.begin_flush()
    assert ticket is not None
    assert ticket.is_checkpoint
    machine.fill_disk()
    with pytest.raises(NoRoomError) as error:
        ticket.run()
    log.finish_flush(ticket, error.value)
    assert log.flushed_end_offset == 6, "the records themselves are durable"
    assert log.recovery_point == 0
    assert machine.directory.state.reason is None
    log.advance_log_start_offset(2)
    ticket = machine.directory.begin_flush()
    assert ticket is not None
    with pytest.raises(NoRoomError) as error:
        ticket.run()
    machine.directory.finish_flush(ticket, error.value)
    assert log.durable_log_start_offset == 0
    assert machine.directory.state.reason is None
    with pytest.raises(OSError, match="No space left"):
        machine.directory.close()
    machine.disk.lose_everything_unsynced()
    machine.restart()
    assert not machine.report.is_clean
    log = machine.log
    assert read_all(log) == list(range(6))
    log.advance_log_start_offset(2)
    log.checkpoint()
    ticket = machine.directory.begin_flush()
    assert ticket is not None
    run_now(ticket)
    assert log.recovery_point == 6
    assert log.durable_log_start_offset == 2


@pytest.mark.parametrize("room", [0, 30, 60, 100, 200])
def test_half_a_directory_of_a_new_log_is_taken_back(machine: Machine, room: int) -> None:
    """A full disk at the first append, a clean stop, and a start later a crash: the records of
    that life were once set aside, because nothing said whose they were."""
    machine.fill_disk(room)
    with pytest.raises(AppendError):
        list(map(append, [machine.log] * 100))
    machine.disk.capacity_bytes = None
    count = machine.log.log_end_offset
    flush(machine.log)
    machine.directory.close()
    machine.disk.lose_everything_unsynced()
    machine.start()
    append(machine.log)
    flush(machine.log)
    machine.disk.lose_everything_unsynced()
    machine.restart()
    assert machine.directory.topic_id_of("t", 0) == TOPIC_ID
    assert read_all(machine.log) == list(range(count + 3))


def test_a_snapshot_that_was_left_out_counts_for_none(machine: Machine) -> None:
    """Those that are really there are kept instead."""
    log = machine.log
    home = log.directory
    for is_full in (False, True, False, False):
        append(log)
        log.request_checkpoint()
        ticket = log.begin_flush()
        assert ticket is not None
        if is_full:
            machine.fill_disk()
            with pytest.raises(NoRoomError) as error:
                ticket.run()
            log.finish_flush(ticket, error.value)
            machine.disk.capacity_bytes = None
            continue
        run_now(ticket)
        log.checkpoint_written(log.checkpoint_entry(TOPIC_ID))
    names = machine.disk.list_directory(home)
    assert [n for n in names if n.endswith(".snapshot")] == [
        f"{offset:020}.snapshot" for offset in (9, 12)
    ]


@pytest.mark.parametrize("kind", ["sync", "sync_directory"])
def test_after_a_failed_sync_the_directory_is_offline_until_a_restart(
    machine: Machine, kind: str
) -> None:
    log = machine.log
    append(log)
    machine.fail(kind)
    ticket = log.begin_flush()
    assert ticket is not None
    with pytest.raises(OSError) as error:
        ticket.run()
    log.finish_flush(ticket, error.value)
    assert log.flushed_end_offset == 0
    machine.disk.set_fault(None)
    for refused in (lambda: log.read(0, 1, 3), lambda: log.size, log.roll):
        with pytest.raises(LogOfflineError):
            refused()
    with pytest.raises(AppendError):
        append(log)
    assert log.begin_flush() is None
    assert machine.directory.begin_flush() is None
    machine.directory.close()
    machine.restart()
    assert not machine.report.is_clean
    # Not lost with the power either: the start wrote it anew.
    machine.disk.lose_everything_unsynced()
    machine.restart()
    assert read_all(machine.log) == [0, 1, 2]


def test_a_stop_that_cannot_make_things_durable_is_not_clean(machine: Machine) -> None:
    append(machine.log)
    machine.fail("sync")
    with pytest.raises(OSError):
        machine.directory.close()
    machine.restart()
    assert not machine.report.is_clean
    assert read_all(machine.log) == [0, 1, 2]


def test_a_checkpoint_that_fails_takes_the_directory_offline(machine: Machine) -> None:
    append(machine.log)
    flush(machine.log)
    machine.log.advance_log_start_offset(2)
    machine.fail("sync", "ottla-checkpoint")
    ticket = machine.directory.begin_flush()
    assert ticket is not None
    with pytest.raises(OSError) as error:
        ticket.run()
    machine.directory.finish_flush(ticket, error.value)
    assert machine.log.durable_log_start_offset == 0
    assert machine.directory.state.reason is not None


def test_a_ticket_out_when_the_log_is_deleted_does_no_harm(machine: Machine) -> None:
    append(machine.log)
    ticket = machine.log.begin_flush()
    assert ticket is not None
    job = machine.directory.delete_log("t", 0, bytes(16))
    job.run()
    ticket.run()
    ticket.owner.finish_flush(ticket, None)
    assert machine.directory.state.reason is None
    with pytest.raises(LogOfflineError, match="was deleted"):
        machine.log.read(0, 1, 1)


def test_a_file_of_the_log_that_vanishes_is_noticed(machine: Machine) -> None:
    log = machine.log
    append(log)
    machine.directory.files.close()
    machine.disk.remove(log.segments[0].path)
    ticket = log.begin_flush()
    assert ticket is not None
    ticket.run()
    assert ticket.missing
    log.finish_flush(ticket, None)
    assert log.flushed_end_offset == 0
    assert "is gone" in str(machine.directory.state.reason)


def test_files_not_open_are_synced_by_their_path(machine: Machine) -> None:
    append(machine.log)
    machine.directory.files.close()
    flush(machine.log)
    assert machine.log.flushed_end_offset == 3
    machine.disk.lose_everything_unsynced()
    machine.restart()
    assert read_all(machine.log) == [0, 1, 2]


def test_a_stop_covers_what_a_ticket_is_still_out_for(machine: Machine) -> None:
    append(machine.log)
    ticket = machine.log.begin_flush()
    assert ticket is not None
    machine.directory.close()
    machine.disk.lose_everything_unsynced()
    machine.restart()
    assert machine.report.is_clean
    assert read_all(machine.log) == [0, 1, 2]


def test_a_journal_on_a_full_disk_refuses(machine: Machine) -> None:
    journal, _ = MetadataJournal.open(machine.disk, machine.directory.state, "/data")
    journal.append(b"kept")
    machine.fill_disk(5)
    with pytest.raises(AppendError):
        journal.append(b"refused")
    with pytest.raises(OSError):
        journal.rewrite([b"x" * 1_000])
    machine.disk.capacity_bytes = None
    journal.append(b"taken")
    journal.close()
    again, found = MetadataJournal.open(machine.disk, machine.directory.state, "/data")
    assert found == [b"kept", b"taken"]
    again.close()


def test_a_journal_half_replaced_is_not_written_to(machine: Machine) -> None:
    journal, _ = MetadataJournal.open(machine.disk, machine.directory.state, "/data")
    journal.append(b"old")
    machine.fail("sync_directory")
    with pytest.raises(OSError):
        journal.rewrite([b"new"])
    machine.disk.set_fault(None)
    with pytest.raises(AppendError):
        journal.append(b"refused")


def test_a_journal_in_doubt_is_written_anew(machine: Machine) -> None:
    state = machine.directory.state
    journal, _ = MetadataJournal.open(machine.disk, state, "/data")
    journal.append(b"doubtful")
    machine.fail("sync")
    ticket = journal.begin_flush()
    assert ticket is not None
    with pytest.raises(OSError) as error:
        ticket.run()
    journal.finish_flush(ticket, error.value)
    machine.restart()
    machine.directory.state.is_cache_doubtful = True
    again, found = MetadataJournal.open(machine.disk, machine.directory.state, "/data")
    assert found == [b"doubtful"]
    again.close()
    machine.disk.lose_everything_unsynced()
    _, found = MetadataJournal.open(machine.disk, machine.directory.state, "/data")
    assert found == [b"doubtful"]


class StubbornFile:
    """A file that can be neither written nor cut, as after the disk has gone."""

    def __init__(self, file: File) -> None:
        self._file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write_at(self, buffers: object, position: int) -> None:
        raise OSError(5, "Input/output error")

    def truncate(self, size: int) -> None:
        raise OSError(5, "Input/output error")


def test_a_write_that_cannot_be_undone_takes_the_directory_offline(machine: Machine) -> None:
    log = machine.log
    append(log)
    path = log.segments[0].path
    files = machine.directory.files
    files._handles[path].file = StubbornFile(files.get(path))  # type: ignore[assignment]
    with pytest.raises(AppendError, match="Cannot write"):
        append(log)
    assert machine.directory.state.reason is not None
    machine.restart()
    assert read_all(machine.log) == [0, 1, 2]


def test_a_journal_that_cannot_be_undone_takes_the_directory_offline(machine: Machine) -> None:
    journal, _ = MetadataJournal.open(machine.disk, machine.directory.state, "/data")
    journal._file = StubbornFile(journal._file)  # type: ignore[assignment]
    with pytest.raises(AppendError):
        journal.append(b"refused")
    assert machine.directory.state.reason is not None
    with pytest.raises(AppendError, match="offline"):
        journal.append(b"refused, too")


def test_a_disk_that_takes_no_mark_is_offline_all_the_same(machine: Machine) -> None:
    machine.fill_disk()
    state = machine.directory.state
    machine.disk.remove("/data/meta.properties")

    class NoMark:
        def __getattr__(self, name: str) -> object:
            return getattr(machine.disk, name)

        def open(self, path: str, **how: bool) -> File:
            raise OSError(30, "Read-only file system")

    state._filesystem = NoMark()  # type: ignore[assignment]
    state.fail("trying", OSError(5, "Input/output error"))
    assert state.reason == "trying: [Errno 5] Input/output error"


def test_files_that_a_deletion_took_are_not_missed(machine: Machine) -> None:
    """Replaced files and directories, too: the ticket runs after all is gone."""
    append(machine.log)
    machine.log.request_checkpoint()
    machine.directory.files.close()
    ticket = machine.log.begin_flush()
    assert ticket is not None
    machine.directory.delete_log("t", 0, bytes(16)).run()
    ticket.run()
    assert len(ticket.missing) >= 4
    ticket.owner.finish_flush(ticket, None)
    assert machine.directory.state.reason is None
