"""Charts are drawn to their size, whatever the numbers."""

from __future__ import annotations

import pytest

from ottla.dashboard.chart import (
    day_columns,
    draw_chart,
    in_buckets,
    nice_ceiling,
    short_number,
    spread,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1_000, "1.00k"), (12_345, "12.3k"), (999_999, "1.00M"),
     (4_560_000, "4.56M"), (123_456_789, "123M"), (9.996e9, "10.0G")],
)  # fmt: skip
def test_short_numbers_have_five_characters_at_most(number: float, text: str) -> None:
    assert short_number(number) == text


def test_axes_end_at_round_numbers() -> None:
    assert [nice_ceiling(n) for n in (0, 1, 1.5, 83, 120, 249, 251, 7_000)] == [
        1, 1, 1.5, 100, 150, 300, 300, 8_000,
    ]  # fmt: skip


def test_a_chart_fills_exactly_its_size() -> None:
    chart = draw_chart(
        [0, 1, None, 10], [5, 5.7], (20, 6), top=10, labels=("left", "right"), colors=["red"] * 4
    )
    lines = chart.plain.split("\n")
    assert [len(line) for line in lines] == [20] * 6
    assert lines[0][9] == "█"
    assert [line[8] for line in lines[:5]] == [" "] * 5
    assert lines[0].startswith("   10 ")
    assert lines[2][6] == "⠊"  # 5 and 5.7 of 10 in five rows of four dots


def test_a_little_is_not_drawn_as_nothing() -> None:
    chart = draw_chart([1], (), (8, 4), top=1_000_000, labels=(), colors=["red"])
    assert "▁" in chart.plain


def test_buckets_keep_their_value_as_time_goes_on() -> None:
    series = list(range(1, 13))
    now = in_buckets(series, 3, last_second=19)
    later = in_buckets([*series[1:], 99], 3, last_second=20)
    assert now == [2.5, 6.5, 10.5]
    assert later[-2:] == now[-2:]


def test_labels_are_spread_and_dropped_where_there_is_no_room() -> None:
    assert spread(("a", "b", "c"), 9) == "a   b   c"
    assert spread(("left", "right"), 6) == "left"


def test_a_day_is_drawn_by_time_of_day_and_yesterday_makes_room() -> None:
    hour = 3_600
    samples = [(h * hour, float(h)) for h in range(30)]  # a day and 5 hours
    columns, newest = day_columns(samples, 24)
    assert newest == 5
    assert columns[5] == 29.0
    assert columns[6] is None  # a gap parts today from yesterday
    assert columns[7] == 7.0
    assert columns[23] == 23.0


def test_short_gaps_are_filled_and_long_ones_are_not() -> None:
    hour = 3_600
    columns, _ = day_columns([(0, 1.0), (2 * hour, 2.0), (8 * hour, 3.0)], 24)
    assert columns[:4] == [1.0, 1.0, 2.0, None]
    assert columns[7:9] == [None, 3.0]
    assert day_columns([], 4) == ([None] * 4, -1)
