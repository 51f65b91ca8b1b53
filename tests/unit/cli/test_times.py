import time

import pytest

from ottla.cli.errors import CommandError
from ottla.cli.times import parse_datetime, parse_duration, parse_moment


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:01.500", 1500),
        ("1970-01-01T01:00:00.000+01:00", 0),
        ("1970-01-02", 86_400_000),
    ],
)
def test_dates_without_a_zone_are_utc(text: str, milliseconds: int) -> None:
    assert parse_datetime(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("PT1H30M", 5_400_000),
        ("P1DT2H", 93_600_000),
        ("-PT0.5S", -500),
        ("90s", 90_000),
        ("250ms", 250),
        ("1.5h", 5_400_000),
    ],
)
def test_durations_are_javas_or_short(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "P", "PT", "1 year", "12"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(CommandError, match="is not a duration"):
        parse_duration(text)


def test_a_moment_is_milliseconds_a_date_or_so_long_ago() -> None:
    assert parse_moment("1500") == 1500
    assert parse_moment("1970-01-01T00:00:02") == 2000
    assert abs(time.time() * 1000 - 7_200_000 - parse_moment("2h")) < 1000
