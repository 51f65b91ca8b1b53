"""Compaction keeps the last record of each key, every offset, and nothing aborted."""

from __future__ import annotations

import pytest
from tests.unit.storage.harness import NOW_MS, LogFactory, info_of

from ottla.batch.checksum import crc32c
from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.storage.cleaner import Compaction
from ottla.storage.errors import CorruptLogError, LogOfflineError
from ottla.storage.partition_log import PartitionLog
from ottla.storage.safety import sync_swapped_names
from ottla.storage.validator import Origin

COMPACTED = {"cleanup_policy": frozenset({"compact"}), "min_cleanable_dirty_ratio": 0.0}
DAY_MS = 86_400_000


def put(log: PartitionLog, *pairs: tuple[str, str | None], **batch_settings) -> int:
    """Append one batch of key-value pairs; the offset of its first record."""
    batch = build_batch(
        [
            Record(0, NOW_MS, key.encode(), None if value is None else value.encode())
            for key, value in pairs
        ],
        **batch_settings,
    )
    return log.append(batch, leader_epoch=0, wall_ms=NOW_MS).first_offset


def end_transaction(log: PartitionLog, producer_id: int, *, is_commit: bool) -> int:
    marker = build_marker_batch(
        TransactionMarker(is_commit, 0),
        producer_id=producer_id,
        producer_epoch=0,
        timestamp_ms=NOW_MS,
    )
    info = log.append(marker, leader_epoch=0, wall_ms=NOW_MS, origin=Origin.COORDINATOR)
    return info.first_offset


def seal(log: PartitionLog) -> None:
    """Everything so far may be compacted."""
    log.roll()
    log.checkpoint()
    log.checkpoint_written(log.checkpoint_entry(bytes(16)))


def compact(log: PartitionLog, wall_ms: int = NOW_MS + 1, *, max_keys: int = 1_000_000) -> bool:
    round_ = log.begin_compaction(wall_ms, max_keys=max_keys)
    if round_ is None:
        return False
    round_.run()
    job = log.finish_compaction(round_)
    if job is not None:
        job.run()
    return True


def everything(log: PartitionLog) -> list[tuple[int, str, str | None]]:
    """(offset, key, value) of every data record."""
    found = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        info = info_of(log.read(offset, 100_000, log.log_end_offset))
        if not info.size:
            break
        for buffer in info.buffers:
            for position, header in headers(buffer):
                offset = header.next_offset
                if header.is_control:
                    continue
                for record in records(buffer, position):
                    value = None if record.value is None else record.value.decode()
                    found.append((record.offset, (record.key or b"").decode(), value))
    return found


def batch_offsets(log: PartitionLog) -> list[tuple[int, int, int]]:
    """(base offset, last offset, records) of every batch."""
    info = info_of(log.read(log.log_start_offset, 10_000_000, log.log_end_offset))
    return [
        (header.base_offset, header.last_offset, header.record_count)
        for buffer in info.buffers
        for _, header in headers(buffer)
    ]


def test_the_last_record_of_each_key_stays_at_its_offset(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("b", "1"), ("a", "2"))
    put(log, ("c", "1"), ("b", "2"))
    put(log, ("a", "3"))
    seal(log)
    put(log, ("c", "2"))
    assert compact(log)
    assert everything(log) == [(3, "c", "1"), (4, "b", "2"), (5, "a", "3"), (6, "c", "2")]
    assert log.log_end_offset == 7
    assert log.first_dirty_offset == 6


def test_batches_keep_their_range_of_offsets(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("x", "1"), ("a", "1"), ("y", "1"))
    put(log, ("x", "2"), ("y", "2"))
    seal(log)
    compact(log)
    assert batch_offsets(log) == [(0, 2, 1), (3, 4, 2)]


def test_a_second_round_goes_on_where_the_first_ended(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("b", "1"))
    seal(log)
    compact(log)
    put(log, ("a", "2"))
    seal(log)
    assert log.cleanable(NOW_MS).dirty_bytes > 0
    assert compact(log)
    assert everything(log) == [(1, "b", "1"), (2, "a", "2")]
    assert not compact(log)


def test_nothing_above_the_recovery_point_is_touched(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("a", "2"))
    log.roll()
    log.checkpoint()
    assert not compact(log)


def test_tombstones_stay_for_their_time_and_then_go(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED, delete_retention_ms=DAY_MS)
    put(log, ("a", "1"))
    put(log, ("a", None), ("b", "1"))
    seal(log)
    compact(log, NOW_MS)
    assert everything(log) == [(1, "a", None), (2, "b", "1")]
    put(log, ("z", "1"))
    seal(log)
    compact(log, NOW_MS + DAY_MS - 1)
    assert everything(log) == [(1, "a", None), (2, "b", "1"), (3, "z", "1")]
    put(log, ("z", "2"))
    seal(log)
    compact(log, NOW_MS + DAY_MS)
    assert everything(log) == [(2, "b", "1"), (4, "z", "2")]


def test_records_without_a_key_go(logs: LogFactory) -> None:
    log = logs.open(min_cleanable_dirty_ratio=0.0)
    log.append(
        build_batch([Record(0, NOW_MS, None, b"x"), Record(0, NOW_MS, b"k", b"y")]),
        leader_epoch=0,
        wall_ms=NOW_MS,
    )
    seal(log)
    log = logs.open(recovery_point=2, **COMPACTED)
    log.checkpoint_written(log.checkpoint_entry(bytes(16)))
    compact(log)
    assert everything(log) == [(1, "k", "y")]


def test_aborted_data_goes_and_never_shadows_what_was_committed(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED, delete_retention_ms=DAY_MS)
    transaction = {"producer_id": 7, "producer_epoch": 0, "transactional": True}
    put(log, ("a", "kept"))
    put(log, ("a", "aborted"), **transaction, base_sequence=0)
    end_transaction(log, 7, is_commit=False)
    put(log, ("b", "committed"), **transaction, base_sequence=1)
    end_transaction(log, 7, is_commit=True)
    seal(log)
    compact(log)
    assert everything(log) == [(0, "a", "kept"), (3, "b", "committed")]
    # The aborted transaction had data until this round: its marker is not even dated yet.
    assert (2, 2, 1) in batch_offsets(log)
    for wait in (1, DAY_MS + 2):
        put(log, ("z", str(wait)))
        seal(log)
        compact(log, NOW_MS + wait)
    assert (2, 2, 1) not in batch_offsets(log)
    assert (4, 4, 1) in batch_offsets(log)


def test_the_last_batch_of_a_producer_stays_empty(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    producer = {"producer_id": 7, "producer_epoch": 0}
    put(log, ("a", "1"), **producer, base_sequence=0)
    put(log, ("a", "2"), **producer, base_sequence=1)
    put(log, ("a", "3"))
    seal(log)
    compact(log)
    assert everything(log) == [(2, "a", "3")]
    assert batch_offsets(log) == [(1, 1, 0), (2, 2, 1)]


def test_a_full_map_ends_the_round_early(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    for i in range(10):
        put(log, (f"key-{i % 5}", str(i)))
    seal(log)
    assert compact(log, max_keys=3)
    assert log.first_dirty_offset == 3
    while compact(log, max_keys=3):
        pass
    assert log.first_dirty_offset == 10
    assert [offset for offset, _, _ in everything(log)] == [5, 6, 7, 8, 9]


def test_small_segments_are_joined(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    for i in range(5):
        put(log, ("a", str(i)), (f"b{i}", "x"))
        seal(log)
    assert len(log.segments) == 6
    compact(log)
    assert [segment.base_offset for segment in log.segments] == [0, 10]
    assert everything(log)[-1] == (9, "b4", "x")
    assert logs.names(".deleted") == []
    assert logs.names(".log.swap") == []


def test_records_younger_than_the_lag_wait(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED, min_compaction_lag_ms=1_000)
    put(log, ("a", "1"), ("a", "2"))
    seal(log)
    assert not compact(log, NOW_MS + 999)
    assert compact(log, NOW_MS + 1_000)


def test_a_little_dirt_waits_for_the_longest_lag(logs: LogFactory) -> None:
    log = logs.open(
        cleanup_policy=frozenset({"compact"}),
        min_cleanable_dirty_ratio=0.9,
        max_compaction_lag_ms=5_000,
    )
    for i in range(20):
        put(log, (f"k{i}", "x"))
    seal(log)
    assert compact(log)
    put(log, ("k0", "y"))
    seal(log)
    assert not compact(log, NOW_MS + 5_000)
    assert compact(log, NOW_MS + 5_001)


def test_what_was_compacted_is_found_again(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED, index_interval_bytes=100)
    for i in range(50):
        put(log, (f"key-{i % 7}", str(i)), (f"own-{i}", str(i)))
    seal(log)
    compact(log)
    found = everything(log)
    again = logs.open(recovery_point=100, **COMPACTED, index_interval_bytes=100)
    assert again.problems == []
    assert everything(again) == found
    for offset, _, _ in found:
        info = info_of(again.read(offset, 1, 100))
        assert info.first_offset <= offset


class Stop(Exception):
    pass


@pytest.mark.parametrize("is_swapped_before", [False, True])
def test_a_crash_while_swapping_is_completed_at_the_next_start(
    logs: LogFactory, monkeypatch: pytest.MonkeyPatch, is_swapped_before: bool
) -> None:
    log = logs.open(**COMPACTED)
    for i in range(3):
        put(log, ("a", str(i)), (f"b{i}", "x"))
        seal(log)
    round_ = log.begin_compaction(NOW_MS)
    assert round_ is not None
    round_.run()
    if is_swapped_before:

        def stop(*_: object) -> None:
            raise Stop

        monkeypatch.setattr("ottla.storage.safety.sync_swapped_names", stop)
        with pytest.raises(Stop):
            log.finish_compaction(round_)
        monkeypatch.setattr("ottla.storage.safety.sync_swapped_names", sync_swapped_names)
    again = logs.open(recovery_point=6, **COMPACTED)
    assert again.problems == []
    assert everything(again) == [(1, "b0", "x"), (3, "b1", "x"), (4, "a", "2"), (5, "b2", "x")]
    assert logs.names(".log.swap") == logs.names(".cleaned") == logs.names(".deleted") == []
    once_more = logs.open(recovery_point=6, **COMPACTED)
    assert everything(once_more) == everything(again)
    assert logs.names(".swap") == []


def planned(log: PartitionLog) -> Compaction:
    compaction = log.begin_compaction(NOW_MS)
    assert compaction is not None
    return compaction


def leftovers(logs: LogFactory) -> list[str]:
    return [name for name in logs.names() if name.endswith((".swap", ".cleaned"))]


def test_work_is_done_in_bounded_steps(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    for i in range(30):
        put(log, *[(f"key-{j}", "x" * 1_000 + str(i)) for j in range(40)])
    seal(log)
    compaction = planned(log)
    steps = 0
    while not compaction.step():
        steps += 1
    assert steps > 6
    assert compaction.bytes_after < compaction.bytes_before / 20
    log.finish_compaction(compaction)
    assert len(everything(log)) == 40


def test_large_groups_are_cleaned_one_by_one(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED, segment_bytes=700)
    for i in range(12):
        put(log, *[(f"own-{i}-{j}", "x" * 20) for j in range(10)])
    put(log, ("own-0-0", "y"))
    seal(log)
    compact(log)
    assert len(log.segments) > 6
    assert len(everything(log)) == 120
    assert leftovers(logs) == [f"{0:020d}.replaces.swap"]


def test_damage_ends_the_round_and_changes_nothing(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("b", "1"))
    put(log, ("a", "2"))
    seal(log)
    logs.overwrite(f"{0:020d}.log", 70, b"\xee")
    with pytest.raises(CorruptLogError):
        planned(log).run()
    assert leftovers(logs) == []
    assert log.first_dirty_offset == 0


def test_damage_found_while_writing_leaves_nothing_behind(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("b", "1"))
    seal(log)
    compact(log)
    put(log, ("a", "2"))
    seal(log)
    # The first pass reads the dirty part only, the second one all.
    logs.overwrite(f"{0:020d}.log", 70, b"\xee")
    with pytest.raises(CorruptLogError):
        planned(log).run()
    assert [n for n in leftovers(logs) if "replaces" not in n] == []


def test_records_that_cannot_be_unpacked_end_the_round(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("b", "1"))
    seal(log)
    name = f"{0:020d}.log"
    content = bytearray(logs.content(name))
    content[61] = 0x7E  # the first record's length
    content[17:21] = crc32c(memoryview(content)[21:]).to_bytes(4, "big")
    logs.overwrite(name, 0, bytes(content))
    with pytest.raises(CorruptLogError):
        planned(log).run()


def test_a_round_that_retention_overtook_changes_nothing(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("a", "2"))
    seal(log)
    put(log, ("a", "3"))
    compaction = planned(log)
    compaction.run()
    log.advance_log_start_offset(2)
    seal(log)
    job = log.apply_retention(NOW_MS)
    assert job is not None
    job.run()
    assert log.finish_compaction(compaction) is None
    assert everything(log) == [(2, "a", "3")]
    again = logs.open(recovery_point=3, log_start_offset=2, **COMPACTED)
    assert everything(again) == [(2, "a", "3")]


def test_a_swap_that_fails_takes_the_directory_offline_until_a_restart_completes_it(
    logs: LogFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.open(**COMPACTED)
    put(log, ("a", "1"), ("a", "2"))
    seal(log)
    compaction = planned(log)
    compaction.run()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ottla.storage.safety.sync_swapped_names", fail)
    with pytest.raises(LogOfflineError):
        log.finish_compaction(compaction)
    monkeypatch.undo()
    logs.forget_state()
    again = logs.open(recovery_point=2, **COMPACTED)
    assert everything(again) == [(1, "a", "2")]


def test_a_control_batch_of_another_kind_stays(logs: LogFactory) -> None:
    log = logs.open(**COMPACTED)
    control = build_batch(
        [Record(0, NOW_MS, b"\0\0\0\x02", b"\0\0")], control=True, producer_id=9, producer_epoch=0
    )
    log.append(control, leader_epoch=0, wall_ms=NOW_MS, origin=Origin.COORDINATOR)
    put(log, ("a", "1"), ("a", "2"))
    seal(log)
    compact(log)
    assert batch_offsets(log) == [(0, 0, 1), (1, 2, 1)]


def test_topics_that_are_not_compacted_are_left_alone(logs: LogFactory) -> None:
    log = logs.open()
    put(log, ("a", "1"), ("a", "2"))
    seal(log)
    assert log.begin_compaction(NOW_MS) is None
    assert log.cleanable(NOW_MS).dirty_ratio == 1.0
    assert logs.open().cleanable(NOW_MS).dirty_ratio == 0.0
