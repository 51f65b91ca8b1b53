"""One offset out of what a broker tells of a share group."""

from __future__ import annotations

from ottla.lag.share_groups import Positions, ShareState


def state(start: int, lag: int) -> ShareState:
    return ShareState("group", "topic", 0, start, lag)


def test_settled_records_beyond_the_start_count() -> None:
    positions = Positions()
    assert positions.offset(state(0, -1), 10) == 0
    assert positions.offset(state(0, 4), 10) == 6
    assert positions.offset(state(8, 2), 10) == 8
    assert positions.offset(state(8, 2), None) == 8


def test_an_end_that_is_too_old_does_not_look_like_going_back() -> None:
    positions = Positions()
    assert positions.offset(state(0, 4), 10) == 6
    assert positions.offset(state(0, 9), 10) == 6
    assert positions.offset(state(0, 9), 16) == 7


def test_a_group_that_was_reset_does_go_back() -> None:
    positions = Positions()
    assert positions.offset(state(5, 0), 10) == 10
    assert positions.offset(state(2, 8), 10) == 2
