"""Old and excessive segments go, from the oldest on, and only what is safe."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.storage.harness import NOW_MS, LogFactory, batch, read_all

from ottla.storage.partition_log import PartitionLog
from ottla.storage.retention import DeleteJob

DAY_MS = 86_400_000


def fill(log: PartitionLog, segments: int, *, timestamp: int = NOW_MS, step: int = DAY_MS) -> None:
    """Segments of three records each, a `step` apart."""
    for i in range(segments):
        if i:
            log.roll()
        log.append(batch(3, timestamp=timestamp + i * step), leader_epoch=0, wall_ms=NOW_MS)


def make_safe(log: PartitionLog) -> None:
    """Everything is durable, as the directory's checkpoint says."""
    log.checkpoint()
    log.checkpoint_written(log.checkpoint_entry(bytes(16)))


def retain(log: PartitionLog, wall_ms: int, high_watermark: int | None = None) -> DeleteJob | None:
    """Twice: first the start moves, then, when that is durable, the files go."""
    log.apply_retention(wall_ms, high_watermark)
    make_safe(log)
    return log.apply_retention(wall_ms, high_watermark)


def test_segments_older_than_retention_go(logs: LogFactory) -> None:
    log = logs.open(retention_ms=2 * DAY_MS, message_timestamp_after_max_ms=1 << 60)
    fill(log, 5)
    make_safe(log)
    assert log.apply_retention(NOW_MS + 2 * DAY_MS) is None
    job = retain(log, NOW_MS + 4 * DAY_MS)
    assert job is not None
    assert log.log_start_offset == 6
    assert read_all(log) == list(range(6, 15))
    assert len(logs.names(".deleted")) == 6
    assert job.delay_ms == 60_000
    job.run()
    job.run()
    assert logs.names(".deleted") == []
    assert len(logs.names(".log")) == 3


def test_even_the_last_segment_grows_too_old(logs: LogFactory) -> None:
    log = logs.open(retention_ms=DAY_MS, message_timestamp_after_max_ms=1 << 60)
    fill(log, 2)
    make_safe(log)
    retain(log, NOW_MS + 90 * DAY_MS)
    assert log.log_start_offset == log.log_end_offset == 6
    assert len(log.segments) == 1
    assert log.append(batch(), leader_epoch=0, wall_ms=NOW_MS).first_offset == 6
    assert log.apply_retention(NOW_MS) is None


def test_an_empty_log_is_left_alone(logs: LogFactory) -> None:
    log = logs.open(retention_ms=1, retention_bytes=0)
    assert log.apply_retention(NOW_MS + 90 * DAY_MS) is None


def test_the_oldest_go_while_the_rest_is_still_enough(logs: LogFactory) -> None:
    log = logs.open(retention_ms=-1)
    fill(log, 5, step=0)
    make_safe(log)
    size = log.segments[0].size
    log.config = replace_retention(log, bytes=2 * size + 1)
    retain(log, NOW_MS)
    assert log.size == 3 * size
    assert log.log_start_offset == 6
    log.config = replace_retention(log, bytes=0)
    retain(log, NOW_MS)
    assert log.log_start_offset == 12
    assert len(log.segments) == 1


def replace_retention(log: PartitionLog, *, bytes: int):
    from dataclasses import replace

    return replace(log.config, retention_bytes=bytes)


def test_nothing_above_the_high_watermark_goes(logs: LogFactory) -> None:
    log = logs.open(retention_ms=1, message_timestamp_after_max_ms=1 << 60)
    fill(log, 5)
    make_safe(log)
    log.apply_retention(NOW_MS + 90 * DAY_MS, 7)
    assert log.log_start_offset == 6
    log.append(batch(), leader_epoch=0, wall_ms=NOW_MS)
    log.apply_retention(NOW_MS + 90 * DAY_MS)
    assert log.log_start_offset == 12


def test_deleted_records_take_their_segments_along(logs: LogFactory) -> None:
    log = logs.open(cleanup_policy=frozenset({"compact"}), retention_ms=1, retention_bytes=0)
    fill(log, 5, step=0)
    make_safe(log)
    assert log.apply_retention(NOW_MS + DAY_MS) is None
    log.advance_log_start_offset(7)
    assert log.apply_retention(NOW_MS) is None
    make_safe(log)
    assert log.apply_retention(NOW_MS) is not None
    assert [segment.base_offset for segment in log.segments] == [6, 9, 12]
    assert log.log_start_offset == 7


def test_records_without_timestamps_age_from_when_they_were_seen(logs: LogFactory) -> None:
    log = logs.open(retention_ms=DAY_MS)
    log.append(batch(timestamp=-1), leader_epoch=0, wall_ms=NOW_MS)
    make_safe(log)
    log.apply_retention(NOW_MS + DAY_MS)
    assert log.log_start_offset == 0
    log.apply_retention(NOW_MS + DAY_MS + 1)
    assert log.log_start_offset == 1


@pytest.mark.parametrize("is_directory", [False, True])
def test_a_delete_job_removes_what_is_there(
    logs: LogFactory, tmp_path: Path, is_directory: bool
) -> None:
    path = tmp_path / "gone"
    if is_directory:
        path.mkdir()
        (path / "file").touch()
    else:
        path.touch()
    job = DeleteJob(logs.filesystem, [str(path), str(tmp_path / "never there")], 0)
    job.run()
    assert not path.exists()


def test_leader_epochs_follow_the_start(logs: LogFactory) -> None:
    log = logs.open()
    for epoch in (1, 1, 4, 6):
        log.append(batch(2), leader_epoch=epoch, wall_ms=NOW_MS)
    assert log.leader_epoch_at(0) == 1
    log.advance_log_start_offset(5)
    assert log.leader_epoch_at(4) == -1
    assert [log.leader_epoch_at(offset) for offset in (5, 6)] == [4, 6]
    assert not log.advance_log_start_offset(3)
