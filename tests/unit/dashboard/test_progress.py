"""Progress through the history: share, rate and time left."""

from __future__ import annotations

import pytest

from ottla.dashboard.progress import Progress


def test_nothing_is_caught_up_before_the_partitions_are_known() -> None:
    assert not Progress().is_caught_up


def test_an_empty_topic_is_caught_up() -> None:
    progress = Progress()
    progress.add_partition(0, 5, 5)
    assert progress.is_caught_up
    assert progress.share == 1.0


def test_partitions_add_up_and_what_came_later_does_not_count() -> None:
    progress = Progress()
    progress.add_partition(0, 100, 200)
    progress.add_partition(1, 0, 300)
    progress.move(0, 150)
    assert (progress.done, progress.total) == (50, 400)
    progress.move(0, 900)
    assert progress.done == 100
    progress.move(1, 300)
    assert progress.is_caught_up


def test_the_rate_of_the_last_seconds_tells_the_time_left() -> None:
    progress = Progress()
    progress.add_partition(0, 0, 1_000)
    assert progress.left_s is None
    for second in range(21):
        progress.move(0, 10 * second if second < 10 else 100 + 40 * (second - 10))
        progress.sample(float(second))
    assert progress.rate == pytest.approx(40)
    assert progress.left_s == pytest.approx((1_000 - 500) / 40)
