"""Points in time and durations as people and Kafka's tools write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

from ottla.cli.errors import CommandError

_DURATION: Final = re.compile(
    r"(?P<sign>-)?P(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_SHORT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_UNITS_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
}


def parse_datetime(text: str) -> int:
    """Milliseconds since 1970 of an ISO-8601 date and time; UTC without a zone.

    Errors: `CommandError`.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"'{text}' is not a date and time; write YYYY-MM-DDTHH:mm:SS.sss, "
            "such as 2024-05-31T12:00:00.000."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def parse_duration(text: str) -> int:
    """Milliseconds of an ISO-8601 duration such as P1DT2H, or of 90s, 5m, 2h, 1d.

    Errors: `CommandError`.
    """
    short = _SHORT.fullmatch(text.strip().lower())
    if short:
        return round(float(short[1]) * _UNITS_MS[short[2]])
    match = _DURATION.fullmatch(text.strip())
    if not match or text.strip().upper().endswith(("P", "T")):
        raise CommandError(f"'{text}' is not a duration; write PnDTnHnMnS, such as PT1H30M.")
    seconds = (
        int(match["days"] or 0) * 86_400
        + int(match["hours"] or 0) * 3600
        + int(match["minutes"] or 0) * 60
        + float(match["seconds"] or 0)
    )
    return round(seconds * 1000) * (-1 if match["sign"] else 1)


def parse_moment(text: str) -> int:
    """Milliseconds since 1970 of a date and time, of milliseconds, or of "so long ago".

    `2h`, `90s` and PT5M count back from now; a bare number is milliseconds.
    Errors: `CommandError`.
    """
    if text.isdigit():
        return int(text)
    if _SHORT.fullmatch(text.strip().lower()) or text[:1].upper() == "P":
        return int(time.time() * 1000) - parse_duration(text)
    return parse_datetime(text)
