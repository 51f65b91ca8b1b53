"""A partition's log: appending, reading, rolling, flushing, opening again."""

from __future__ import annotations

import errno

import pytest
from tests.unit.storage.harness import (
    NOW_MS,
    LogFactory,
    batch,
    flush,
    info_of,
    offsets_in,
    read_all,
)

from ottla.storage.errors import AppendError, LogOfflineError, OffsetOutOfRangeError
from ottla.storage.log_reader import ReadInfo
from ottla.storage.partition_log import AppendInfo, PartitionLog
from ottla.wire.errors import ErrorCode


def append(log: PartitionLog, data: bytearray) -> AppendInfo:
    return log.append(data, leader_epoch=0, wall_ms=NOW_MS)


def read(log: PartitionLog, offset: int, max_bytes: int, end_offset: int) -> ReadInfo:
    return info_of(log.read(offset, max_bytes, end_offset))


def test_appends_are_numbered_one_after_the_other(logs: LogFactory) -> None:
    log = logs.open()
    assert append(log, batch(3)).first_offset == 0
    info = append(log, batch(2))
    assert (info.first_offset, info.last_offset, log.log_end_offset) == (3, 4, 5)
    assert info.log_append_time_ms == -1
    assert read_all(log) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("max_bytes", [1, 200, 5_000, 1_000_000])
def test_reads_whole_batches_at_every_size(logs: LogFactory, max_bytes: int) -> None:
    log = logs.open(segment_bytes=10_000, index_interval_bytes=300)
    for _ in range(200):
        append(log, batch(3))
    assert len(log.segments) > 2
    assert read_all(log, max_bytes=max_bytes) == list(range(600))
    assert read_all(log, max_bytes=max_bytes, start=301) == list(range(301, 600))


def test_a_read_stops_before_its_end_offset(logs: LogFactory) -> None:
    log = logs.open()
    for _ in range(5):
        append(log, batch(2))
    assert offsets_in(read(log, 0, 10_000, 6)) == [0, 1, 2, 3, 4, 5]
    assert offsets_in(read(log, 0, 10_000, 7)) == [0, 1, 2, 3, 4, 5]
    assert read(log, 6, 10_000, 6).size == 0
    assert read(log, 0, 10_000, 0).size == 0


def test_the_first_batch_may_exceed_max_bytes_only_when_one_is_wanted(logs: LogFactory) -> None:
    log = logs.open()
    append(log, batch(value=b"x" * 500))
    append(log, batch(value=b"x" * 500))
    assert offsets_in(read(log, 0, 10, 2)) == [0]
    assert info_of(log.read(0, 10, 2, minimum_one=False)).size == 0


def test_offsets_outside_the_log_are_refused(logs: LogFactory) -> None:
    log = logs.open()
    append(log, batch(5))
    assert read(log, 5, 100, 5).size == 0
    with pytest.raises(OffsetOutOfRangeError):
        log.read(6, 100, 5)
    log.advance_log_start_offset(2)
    with pytest.raises(OffsetOutOfRangeError):
        log.read(1, 100, 5)
    assert read_all(log) == [2, 3, 4]


def test_only_a_finished_flush_moves_the_flushed_end(logs: LogFactory) -> None:
    log = logs.open()
    append(log, batch(3))
    ticket = log.begin_flush()
    assert ticket is not None
    append(log, batch(2))
    assert log.begin_flush() is None
    ticket.run()
    assert log.flushed_end_offset == 0
    log.finish_flush(ticket, None)
    assert log.flushed_end_offset == 3
    flush(log)
    assert log.flushed_end_offset == 5
    assert log.begin_flush() is None


def test_a_failed_sync_takes_the_directory_offline_for_good(logs: LogFactory) -> None:
    log = logs.open()
    append(log, batch(3))
    ticket = log.begin_flush()
    assert ticket is not None
    log.finish_flush(ticket, OSError(errno.EIO, "Input/output error"))
    assert log.flushed_end_offset == 0
    with pytest.raises(AppendError) as refused:
        append(log, batch())
    assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    with pytest.raises(LogOfflineError):
        log.read(0, 100, 3)
    assert log.begin_flush() is None


def test_after_a_clean_stop_nothing_is_scanned(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=2_000)
    for _ in range(30):
        append(log, batch(3))
    log.checkpoint()
    assert log.recovery_point == 90
    again = logs.open(recovery_point=90, segment_bytes=2_000)
    assert again.problems == []
    assert again.log_end_offset == 90
    assert read_all(again) == list(range(90))
    assert append(again, batch()).first_offset == 90


def test_after_a_crash_everything_sound_is_found_again(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=2_000)
    for _ in range(30):
        append(log, batch(3))
    again = logs.open(segment_bytes=2_000)
    assert again.log_end_offset == 90
    assert read_all(again) == list(range(90))


def test_a_torn_last_batch_is_cut_off(logs: LogFactory) -> None:
    log = logs.open()
    append(log, batch(3))
    size = log.size
    append(log, batch(3, value=b"torn"))
    logs.overwrite(logs.names(".log")[0], size + 70, b"\0\0\0\0")
    again = logs.open()
    assert again.log_end_offset == 3
    assert "wrong CRC" in again.problems[0]
    assert append(again, batch()).first_offset == 3
    assert read_all(again) == [0, 1, 2, 3]


def test_segments_roll_by_the_time_that_readers_see(logs: LogFactory) -> None:
    """With LogAppendTime it is the broker's time that counts, not the producer's."""
    for kind, rolled in (("CreateTime", 1), ("LogAppendTime", 2)):
        log = logs.open(segment_ms=600_000, message_timestamp_type=kind)
        before = len(logs.names(".log"))
        for wall_ms in (NOW_MS, NOW_MS + 700_000):
            log.append(memoryview(batch()), leader_epoch=0, wall_ms=wall_ms)
        assert len(logs.names(".log")) - before + 1 == rolled
