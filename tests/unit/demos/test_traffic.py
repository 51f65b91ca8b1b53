"""The traffic pattern is the one that the write-up describes."""

from __future__ import annotations

import pytest

from ottla.demos.analytics.traffic import DEFAULT_FACTORS, TrafficPattern


def test_nights_have_about_a_tenth_of_the_peak() -> None:
    assert min(DEFAULT_FACTORS) == pytest.approx(0.10)
    assert DEFAULT_FACTORS.index(min(DEFAULT_FACTORS)) in range(2, 6)


def test_a_small_peak_in_the_morning_a_dip_at_noon_and_the_full_peak_in_the_evening() -> None:
    morning, noon, evening = max(DEFAULT_FACTORS[7:12]), DEFAULT_FACTORS[12], DEFAULT_FACTORS[20]
    assert noon < morning < evening
    assert evening == max(DEFAULT_FACTORS) == 1.0


def test_between_full_hours_the_pattern_is_linear_also_over_midnight() -> None:
    pattern = TrafficPattern([0.0] * 23 + [1.0])
    assert pattern.factor(22.5) == pytest.approx(0.5)
    assert pattern.factor(23.75) == pytest.approx(0.25)
    assert pattern.factor(47.0) == pytest.approx(1.0)


def test_the_average_over_a_day_is_that_of_the_factors() -> None:
    pattern = TrafficPattern()
    minutes = [pattern.factor(minute / 60) for minute in range(24 * 60)]
    assert sum(minutes) / len(minutes) == pytest.approx(pattern.average)


@pytest.mark.parametrize("factors", [[0.5] * 23, [0.5] * 23 + [1.5], [0.0] * 24])
def test_patterns_that_are_none_are_refused(factors: list[float]) -> None:
    with pytest.raises(ValueError, match="factor"):
        TrafficPattern(factors)
