"""Finding records by timestamp."""

from __future__ import annotations

import pytest
from tests.unit.storage.harness import NOW_MS, LogFactory, batch

from ottla.storage.timestamp_search import FoundRecord


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_first_record_at_or_after_a_timestamp_is_found(
    logs: LogFactory, is_restarted: bool
) -> None:
    log = logs.open(segment_bytes=1_000, index_interval_bytes=200)
    for i in range(40):
        log.append(batch(5, timestamp=NOW_MS + 100 * i), leader_epoch=i // 20, wall_ms=NOW_MS)
    if is_restarted:
        log.checkpoint()
        log = logs.open(recovery_point=200, segment_bytes=1_000)
    assert len(log.segments) > 3
    assert log.offset_for_timestamp(0) == FoundRecord(NOW_MS, 0, 0)
    for i in range(40):
        assert log.offset_for_timestamp(NOW_MS + 100 * i + 3) == FoundRecord(
            NOW_MS + 100 * i + 3, 5 * i + 3, i // 20
        )
        following = log.offset_for_timestamp(NOW_MS + 100 * i + 50)
        assert following == (
            None if i == 39 else FoundRecord(NOW_MS + 100 * i + 100, 5 * i + 5, (i + 1) // 20)
        )


def test_records_below_the_log_start_are_not_found(logs: LogFactory) -> None:
    log = logs.open()
    log.append(batch(5), leader_epoch=0, wall_ms=NOW_MS)
    log.advance_log_start_offset(3)
    assert log.offset_for_timestamp(NOW_MS) == FoundRecord(NOW_MS + 3, 3, 0)


def test_timestamps_out_of_order_are_searched_in_offset_order(logs: LogFactory) -> None:
    log = logs.open(segment_bytes=600)
    for timestamp in (50, 90, 10, 70, 90, 20, 40):
        log.append(batch(timestamp=NOW_MS + timestamp), leader_epoch=0, wall_ms=NOW_MS)
    expected = {5: 0, 50: 0, 51: 1, 70: 1, 90: 1}
    for timestamp, offset in expected.items():
        found = log.offset_for_timestamp(NOW_MS + timestamp)
        assert found is not None
        assert found.offset == offset
    assert log.offset_for_timestamp(NOW_MS + 91) is None
    assert log.search_max_timestamp().run() == FoundRecord(NOW_MS + 90, 1, 0)


def test_an_empty_log_has_no_timestamps(logs: LogFactory) -> None:
    log = logs.open()
    assert log.offset_for_timestamp(0) is None
    assert log.search_max_timestamp().run() is None
