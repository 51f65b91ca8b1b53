"""What a start makes of the files that a crash, a failing disk or a slip left behind."""

from __future__ import annotations

from pathlib import Path

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

from ottla.batch.checksum import crc32c
from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.storage.directory_state import SYNC_FAILED_MARK
from ottla.storage.errors import CorruptLogError
from ottla.storage.partition_log import PartitionLog
from ottla.storage.validator import Origin

FIRST = "00000000000000000000"


def fill(log: PartitionLog, batches: int, count: int = 3, **settings) -> None:
    for _ in range(batches):
        log.append(batch(count, **settings), leader_epoch=0, wall_ms=NOW_MS)


def size_of(logs: LogFactory, name: str) -> int:
    return len(logs.content(name))


def test_only_what_lies_behind_the_recovery_point_is_scanned(logs: LogFactory) -> None:
    log = logs.open(index_interval_bytes=300)
    fill(log, 50)
    log.checkpoint()
    at = size_of(logs, f"{FIRST}.log")
    fill(log, 10)
    again = logs.reopened(recovery_point=150, index_interval_bytes=300)
    assert again.scanned_bytes == size_of(logs, f"{FIRST}.log") - at
    assert again.problems == []
    assert read_all(logs.log) == list(range(180))


@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot"])
@pytest.mark.parametrize("content", [None, b"", b"\xff" * 24, b"\0" * 100])
def test_lost_or_damaged_indexes_and_snapshots_cost_no_record(
    logs: LogFactory, suffix: str, content: bytes | None
) -> None:
    log = logs.open(index_interval_bytes=300)
    for i in range(50):
        data = batch(3, producer_id=5, producer_epoch=0, base_sequence=3 * i)
        log.append(data, leader_epoch=0, wall_ms=NOW_MS)
    log.checkpoint()
    path = Path(logs.directory) / logs.names(suffix)[0]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    again = logs.open(recovery_point=150, index_interval_bytes=300)
    assert read_all(again) == list(range(150))
    assert read_all(again, start=77) == list(range(77, 150))
    repeated = batch(3, producer_id=5, producer_epoch=0, base_sequence=147)
    assert again.append(repeated, leader_epoch=0, wall_ms=NOW_MS).is_duplicate


def test_damage_below_the_recovery_point_is_kept_reported_and_never_served(
    logs: LogFactory,
) -> None:
    log = logs.open(index_interval_bytes=300)
    fill(log, 50)
    log.checkpoint()
    size = size_of(logs, f"{FIRST}.log")
    one = size // 50
    logs.overwrite(f"{FIRST}.log", 20 * one + 70, b"\xee")
    again = logs.open(recovery_point=150, index_interval_bytes=300)
    assert again.log_end_offset == 150
    assert size_of(logs, f"{FIRST}.log") == size
    assert read_all(again, start=63) == list(range(63, 150))
    with pytest.raises(CorruptLogError, match=f"position {20 * one}: wrong CRC"):
        again.read(60, 1_000, 150)
    # A read that starts before the damage ends before it.
    info = again.read(57, 100_000, 150)
    assert info.size == one  # type: ignore[union-attr]


def test_a_destroyed_header_below_the_recovery_point_hides_nothing_behind_it(
    logs: LogFactory,
) -> None:
    log = logs.open(index_interval_bytes=1_000_000)
    fill(log, 50)
    log.checkpoint()
    fill(log, 10)
    flush(log)
    size = size_of(logs, f"{FIRST}.log")
    one = size // 60
    logs.overwrite(f"{FIRST}.log", 20 * one, b"\xee" * 61)
    again = logs.open(recovery_point=150, index_interval_bytes=1_000_000)
    assert again.log_end_offset == 180
    assert [s.base_offset for s in again.segments] == [0, 150]
    assert "corrupt" in again.problems[0]
    assert read_all(again, start=150) == list(range(150, 180))
    assert offsets_in(info_of(again.read(0, 20 * one, 180))) == list(range(60))
    with pytest.raises(CorruptLogError):
        again.read(60, 1_000, 180)
    fill(again, 1)
    assert read_all(again, start=150) == list(range(150, 183))


def test_a_log_that_lost_its_durable_end_never_gives_an_offset_twice(logs: LogFactory) -> None:
    log = logs.open()
    fill(log, 10)
    log.checkpoint()
    path = Path(logs.directory) / f"{FIRST}.log"
    path.write_bytes(path.read_bytes()[: size_of(logs, path.name) // 2])
    again = logs.open(recovery_point=30)
    assert "should reach 30" in again.problems[0]
    assert again.log_end_offset == 30
    fill(again, 1)
    assert read_all(again) == [*range(15), 30, 31, 32]


def test_segments_behind_a_hole_go(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=500)
    fill(log, 12)
    bases = [segment.base_offset for segment in log.segments]
    logs.files.close()
    path = Path(logs.directory) / f"{bases[1]:020d}.log"
    path.write_bytes(path.read_bytes()[:-10])
    again = logs.open(segment_bytes=500)
    assert again.log_end_offset < bases[2]
    assert len(again.segments) == 2
    assert read_all(again) == list(range(again.log_end_offset))


def test_after_a_failed_sync_the_tail_is_written_to_new_files(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=2_000)
    fill(log, 5)
    log.checkpoint()
    fill(log, 25)
    before = {name: logs.inode(name) for name in logs.names(".log")}
    (Path(logs.root) / SYNC_FAILED_MARK).touch()
    logs.forget_state()
    again = logs.open(segment_bytes=2_000, recovery_point=15)
    assert read_all(again) == list(range(90))
    after = {name: logs.inode(name) for name in logs.names(".log")}
    assert before[f"{FIRST}.log"] == after[f"{FIRST}.log"]
    assert f"{15:020d}.log" in after
    assert [name for name in before if name != f"{FIRST}.log" and after[name] == before[name]] == []
    # Once more, as if the power had failed before the old file was cut.
    old = Path(logs.directory) / f"{FIRST}.log"
    content = old.read_bytes()
    old.write_bytes(content + (Path(logs.directory) / f"{15:020d}.log").read_bytes())
    last = logs.open(segment_bytes=2_000, recovery_point=15)
    assert old.read_bytes() == content
    assert read_all(last) == list(range(90))


def test_leader_epochs_of_the_tail_are_learnt_again(logs: LogFactory) -> None:
    log = logs.open()
    for epoch in (0, 0, 3, 5):
        log.append(batch(2), leader_epoch=epoch, wall_ms=NOW_MS)
    again = logs.open()
    assert again.leader_epoch == 5
    assert again.end_offset_for_epoch(0) == (0, 4)
    assert again.end_offset_for_epoch(4) == (3, 6)
    again.checkpoint()
    assert logs.open(recovery_point=8).end_offset_for_epoch(4) == (3, 6)


def test_leftovers_of_interrupted_work_are_removed(logs: LogFactory) -> None:
    log = logs.open()
    fill(log, 3)
    for name in ("00000000000000000009.log.deleted", f"{FIRST}.log.cleaned", "x.tmp"):
        (Path(logs.directory) / name).touch()
    again = logs.open()
    assert read_all(again) == list(range(9))
    assert [name for name in logs.names() if name.endswith((".deleted", ".cleaned", ".tmp"))] == []


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_sealed_segment_gets_its_lost_indexes_back(logs: LogFactory, suffix: str) -> None:
    log = logs.open(segment_bytes=2_000, index_interval_bytes=300)
    fill(log, 60)
    log.checkpoint()
    before = logs.content(f"{FIRST}{suffix}")
    (Path(logs.directory) / f"{FIRST}{suffix}").unlink()
    again = logs.open(segment_bytes=2_000, index_interval_bytes=300, recovery_point=180)
    assert "was lost" in again.problems[0]
    assert logs.content(f"{FIRST}{suffix}") == before
    assert read_all(again) == list(range(180))


def test_a_log_whose_first_segment_is_lost_starts_again(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=500)
    fill(log, 12)
    (Path(logs.directory) / f"{FIRST}.log").unlink()
    again = logs.open(segment_bytes=500)
    assert again.log_end_offset == 0
    assert "lies behind the end of the log" in again.problems[0]
    fill(again, 2)
    assert read_all(again) == list(range(6))


def test_an_empty_segment_that_the_log_went_on_without_goes(logs: LogFactory) -> None:
    log = logs.open()
    fill(log, 5)
    log.checkpoint()
    (Path(logs.directory) / f"{9:020d}.log").touch()
    again = logs.open(recovery_point=15)
    assert [segment.base_offset for segment in again.segments] == [0]
    assert read_all(again) == list(range(15))


def test_damaged_leader_epochs_are_reported_and_learnt_again(logs: LogFactory) -> None:
    log = logs.open()
    fill(log, 3)
    log.checkpoint()
    (Path(logs.directory) / "leader-epoch-checkpoint").write_bytes(b"nonsense")
    again = logs.open()
    assert "leader-epoch-checkpoint" in again.problems[0]
    assert again.leader_epoch == 0


@pytest.mark.parametrize("position", [7, 15])
def test_offsets_and_epochs_that_decayed_end_the_log(logs: LogFactory, position: int) -> None:
    """No checksum covers the first sixteen bytes of a batch."""
    log = logs.open()
    log.append(batch(3), leader_epoch=4, wall_ms=NOW_MS)
    size = log.size
    log.append(batch(3), leader_epoch=4, wall_ms=NOW_MS)
    logs.overwrite(f"{FIRST}.log", size + position, b"\x01")
    again = logs.open()
    assert again.log_end_offset == 3
    assert "follow" in again.problems[0] or "descends" in again.problems[0]


def test_producers_are_learnt_again_from_earlier_segments(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=500)
    for i in range(20):
        data = batch(2, producer_id=5, producer_epoch=0, base_sequence=2 * i)
        log.append(data, leader_epoch=0, wall_ms=NOW_MS)
    log.checkpoint()
    for name in logs.names(".snapshot")[1:]:
        (Path(logs.directory) / name).write_bytes(b"damaged")
    again = logs.open(segment_bytes=500, recovery_point=40)
    assert any("damaged" in problem or "truncated" in problem for problem in again.problems)
    state = again.producers.get(5)
    assert state is not None
    assert state.last_sequence == 39


def test_damage_in_earlier_segments_is_no_reason_not_to_start(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=500)
    fill(log, 20)
    log.checkpoint()
    end = log.log_end_offset
    for name in logs.names(".snapshot"):
        (Path(logs.directory) / name).unlink()
    logs.overwrite(f"{FIRST}.log", 0, b"\xee" * 61)
    again = logs.open(segment_bytes=500, recovery_point=end)
    assert again.log_end_offset == end
    assert again.problems
    base = again.segments[1].base_offset
    assert read_all(again, start=base) == list(range(base, end))


def test_lost_indexes_of_a_damaged_segment_are_built_as_far_as_possible(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=1_000, index_interval_bytes=150)
    fill(log, 30)
    log.checkpoint()
    end = log.log_end_offset
    (Path(logs.directory) / f"{FIRST}.index").unlink()
    logs.overwrite(f"{FIRST}.log", log.segments[0].size // 2, b"\xee" * 200)
    again = logs.open(segment_bytes=1_000, index_interval_bytes=150, recovery_point=end)
    assert len(again.problems) == 2
    assert again.log_end_offset == end
    assert len(offsets_in(info_of(again.read(0, 200, end)))) >= 3


def test_the_end_of_a_damaged_segment_may_hold_no_tail(logs: LogFactory) -> None:
    log = logs.open(index_interval_bytes=1_000_000)
    fill(log, 20)
    log.checkpoint()
    size = size_of(logs, f"{FIRST}.log")
    logs.overwrite(f"{FIRST}.log", size // 2, b"\xee" * (size // 2))
    again = logs.open(recovery_point=60)
    assert again.log_end_offset == 60
    assert [segment.base_offset for segment in again.segments] == [0, 60]
    assert size_of(logs, f"{FIRST}.log") == size
    fill(again, 1)
    assert read_all(again, start=60) == [60, 61, 62]


def test_a_control_batch_that_cannot_be_read_is_reported(logs: LogFactory) -> None:
    log = logs.open()
    marker = build_marker_batch(
        TransactionMarker(True, 0), producer_id=1, producer_epoch=0, timestamp_ms=NOW_MS
    )
    log.append(marker, leader_epoch=0, wall_ms=NOW_MS, origin=Origin.COORDINATOR)
    content = bytearray(logs.content(f"{FIRST}.log"))
    content[-8] = 0x7F  # within the marker's value
    content[66:70] = b"\x7f\x7f\x7f\x7f"
    content[17:21] = crc32c(memoryview(content)[21:]).to_bytes(4, "big")
    logs.overwrite(f"{FIRST}.log", 0, bytes(content))
    again = logs.open()
    assert "Control batch at 0" in again.problems[0]


def test_transactions_of_the_tail_are_learnt_again(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=400)
    transaction = {"producer_id": 1, "producer_epoch": 0, "transactional": True}
    for round_ in range(6):
        data = batch(2, base_sequence=2 * round_, **transaction)
        log.append(data, leader_epoch=0, wall_ms=NOW_MS)
        marker = build_marker_batch(
            TransactionMarker(round_ % 2 == 0, 0),
            producer_id=1,
            producer_epoch=0,
            timestamp_ms=NOW_MS,
        )
        log.append(marker, leader_epoch=0, wall_ms=NOW_MS, origin=Origin.COORDINATOR)
        if round_ == 3:
            log.checkpoint()
    wanted = log.aborted_transactions(0, 18)
    assert [entry.first_offset for entry in wanted] == [3, 9, 15]
    for point in (0, 12):
        again = logs.open(segment_bytes=400, recovery_point=point)
        assert again.aborted_transactions(0, 18) == wanted
        assert again.last_stable_offset(18) == 18
    # Once more, over the transaction indexes that the last start wrote.
    assert logs.open(segment_bytes=400).aborted_transactions(0, 18) == wanted
