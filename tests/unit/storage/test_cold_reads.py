"""Reads that must wait for the disk: planned on the loop, run in a worker."""

from __future__ import annotations

import random

import pytest
from simulation.disk import SimulatedDisk
from tests.unit.storage.harness import NOW_MS, batch, offsets_in

from ottla.storage.directory_state import DirectoryState
from ottla.storage.errors import CorruptLogError
from ottla.storage.log_config import LogConfig
from ottla.storage.log_reader import ColdRead
from ottla.storage.open_files import OpenFiles
from ottla.storage.partition_log import PartitionLog


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(random.Random(7))


@pytest.fixture
def log(disk: SimulatedDisk) -> PartitionLog:
    disk.make_directory("/data/t-0")
    config = LogConfig(
        segment_bytes=2_000,
        index_interval_bytes=200,
        cleanup_policy=frozenset({"compact"}),
        min_cleanable_dirty_ratio=0.0,
    )
    log = PartitionLog(
        OpenFiles(disk), DirectoryState(disk, "/data"), "/data/t-0", "t", 0, config, wall_ms=NOW_MS
    )
    log.open()
    for _ in range(40):
        log.append(batch(3), leader_epoch=0, wall_ms=NOW_MS)
    return log


def cold(log: PartitionLog, disk: SimulatedDisk, offset: int, max_bytes: int = 500) -> ColdRead:
    disk.cold_share = 1.0
    planned = log.read(offset, max_bytes, log.log_end_offset)
    disk.cold_share = 0.0
    assert isinstance(planned, ColdRead)
    return planned


@pytest.mark.parametrize("offset", [0, 1, 50, 117, 119])
@pytest.mark.parametrize("max_bytes", [1, 500, 100_000])
def test_a_cold_read_answers_as_a_warm_one(
    log: PartitionLog, disk: SimulatedDisk, offset: int, max_bytes: int
) -> None:
    planned = cold(log, disk, offset, max_bytes)
    warm = log.read(offset, max_bytes, log.log_end_offset)
    assert not isinstance(warm, ColdRead)
    info = planned.run()
    assert info._replace(buffers=[]) == warm._replace(buffers=[])
    assert [bytes(b) for b in info.buffers] == [bytes(b) for b in warm.buffers]


def test_the_log_may_grow_meanwhile(log: PartitionLog, disk: SimulatedDisk) -> None:
    planned = cold(log, disk, 117)
    log.append(batch(3), leader_epoch=0, wall_ms=NOW_MS)
    assert offsets_in(planned.run()) == [117, 118, 119]


def test_a_segment_that_went_meanwhile_is_an_error(log: PartitionLog, disk: SimulatedDisk) -> None:
    planned = cold(log, disk, 0)
    log.advance_log_start_offset(100)
    log.checkpoint()
    log.checkpoint_written(log.checkpoint_entry(bytes(16)))
    log.apply_retention(NOW_MS)
    with pytest.raises(FileNotFoundError):
        planned.run()


def test_a_segment_that_was_compacted_meanwhile_is_an_error(
    log: PartitionLog, disk: SimulatedDisk
) -> None:
    planned = cold(log, disk, 0)
    search = log.search_timestamp(0)
    log.checkpoint()
    log.checkpoint_written(log.checkpoint_entry(bytes(16)))
    compaction = log.begin_compaction(NOW_MS)
    assert compaction is not None
    compaction.run()
    log.finish_compaction(compaction)
    for late in (planned, search):
        with pytest.raises(OSError, match="compacted meanwhile"):
            late.run()


def test_a_file_that_ends_too_early_is_corrupt(log: PartitionLog, disk: SimulatedDisk) -> None:
    planned = cold(log, disk, 0, 100_000)
    file = disk.open(log.segments[0].path)
    file.truncate(100)
    with pytest.raises(CorruptLogError, match="ends too early"):
        planned.run()
    file.truncate(5)
    with pytest.raises(CorruptLogError):
        planned.run()
    file.close()


@pytest.mark.parametrize(
    ("position", "damage", "offset", "why"),
    [
        (8, b"\x7f\xff\xff\xff", 0, "batch length"),
        (8, b"\x00\x00\x00\x01", 0, "batch length"),
        (8, b"\x00\x00\x00\x01", 2, "batch length"),
        (8, b"\x00\x00\x40\x00", 5, "runs over the end|batch length"),
    ],
)
def test_broken_lengths_are_corrupt(
    log: PartitionLog, disk: SimulatedDisk, position: int, damage: bytes, offset: int, why: str
) -> None:
    log._segments._marks.clear()
    file = disk.open(log.segments[0].path)
    file.write_at([damage], position)
    file.close()
    with pytest.raises(CorruptLogError, match=why):
        log.read(offset, 100, log.log_end_offset)


def test_an_index_that_leads_astray_costs_time_only(log: PartitionLog, disk: SimulatedDisk) -> None:
    """A sealed segment's index claims that batches start where none does."""
    sealed = log.segments[1]
    index = disk.open(sealed.stem + ".index")
    content = bytearray(index.read_at(index.size(), 0))
    for at in range(4, len(content), 8):
        content[at + 3] ^= 1
    index.write_at([content], 0)
    index.close()
    info = log.read(sealed.base_offset, 1_000, log.log_end_offset)
    assert not isinstance(info, ColdRead)
    assert offsets_in(info)[0] == sealed.base_offset
    assert len(offsets_in(info)) > 3
