"""What a template sees, and how Go would show, compare and weigh it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ottla.gateway.burrow.templates.parsing import TemplateError
from ottla.lag.evaluation import Status


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: its fields by their Go names, and what it is as JSON."""

    fields: Mapping[str, object]
    json: object


class NoValue:
    """What a missing key of a map gives; it is shown as Go shows it."""

    def __str__(self) -> str:
        return "<no value>"


NO_VALUE: Final = NoValue()
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHOWN_TIME: Final = "2006-01-02 15:04:05.999999999 -0700 MST"
#: Parts of Go's reference time, Mon Jan 2 15:04:05 MST 2006; of two that begin alike the longer
#: comes first.
_LAYOUT: Final = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|Z07:00|Z0700|-07:00|-0700|-07|_2|15|PM|pm"
    r"|002|01|02|03|04|05|06|1|2|3|4|5|[.,](?:0+|9+)(?!\d)"
)


def offset_text(moment: datetime, form: str) -> str:
    """The distance from UTC in one of Go's forms, such as -07:00 or Z0700."""
    seconds = int((moment.utcoffset() or moment - moment).total_seconds())
    if form.startswith("Z") and seconds == 0:
        return "Z"
    hours, minutes = divmod(abs(seconds) // 60, 60)
    text = f"{'-' if seconds < 0 else '+'}{hours:02}"
    if form.endswith("00"):
        text += f":{minutes:02}" if ":" in form else f"{minutes:02}"
    return text


def format_time(moment: datetime, layout: str) -> str:
    """`moment` written as Go's `Time.Format` writes it."""
    hour = moment.hour % 12 or 12
    parts: dict[str, Callable[[], object]] = {
        "January": lambda: MONTHS[moment.month - 1],
        "Jan": lambda: MONTHS[moment.month - 1][:3],
        "Monday": lambda: DAYS[moment.weekday()],
        "Mon": lambda: DAYS[moment.weekday()][:3],
        "MST": lambda: moment.tzname() or "UTC",
        "2006": lambda: f"{moment.year:04}",
        "06": lambda: f"{moment.year % 100:02}",
        "01": lambda: f"{moment.month:02}",
        "1": lambda: moment.month,
        "002": lambda: f"{moment.timetuple().tm_yday:03}",
        "02": lambda: f"{moment.day:02}",
        "_2": lambda: f"{moment.day:2}",
        "2": lambda: moment.day,
        "15": lambda: f"{moment.hour:02}",
        "03": lambda: f"{hour:02}",
        "3": lambda: hour,
        "04": lambda: f"{moment.minute:02}",
        "4": lambda: moment.minute,
        "05": lambda: f"{moment.second:02}",
        "5": lambda: moment.second,
        "PM": lambda: "AM" if moment.hour < 12 else "PM",
        "pm": lambda: "am" if moment.hour < 12 else "pm",
    }

    def part(match: re.Match[str]) -> str:
        form = match.group()
        if form in parts:
            return str(parts[form]())
        if form[0] in ".,":
            digits = f"{moment.microsecond:06}000"[: len(form) - 1]
            shown = digits.rstrip("0") if form[1] == "9" else digits
            return form[0] + shown if shown else ""
        return offset_text(moment, form)

    return _LAYOUT.sub(part, layout)


#: Methods of values, by their Go names; those of a struct are none.
METHODS: Final[dict[type, dict[str, Callable[..., object]]]] = {
    Status: {"String": lambda status: status.name},
    datetime: {
        "Format": format_time,
        "String": lambda moment: format_time(moment, SHOWN_TIME),
        "Unix": lambda moment: int(moment.timestamp()),
        "UnixMilli": lambda moment: int(moment.timestamp() * 1000),
        "UTC": lambda moment: moment.astimezone(UTC),
        "Local": lambda moment: moment.astimezone(),
        "Year": lambda moment: moment.year,
        "Month": lambda moment: MONTHS[moment.month - 1],
        "Day": lambda moment: moment.day,
        "Hour": lambda moment: moment.hour,
        "Minute": lambda moment: moment.minute,
        "Second": lambda moment: moment.second,
        "Weekday": lambda moment: DAYS[moment.weekday()],
    },
}


def member(value: object, name: str, arguments: Sequence[object]) -> object:
    """`.name` of a value: a field, a key of a map, or a method called with the arguments.

    Capitals need not be right where no other field has that name: a template that
    comes with Burrow says `Id` where its field is `ID`.
    """
    method = METHODS.get(type(value), {}).get(name)
    if method is not None:
        try:
            return method(value, *arguments)
        except (TypeError, AttributeError):
            raise TemplateError(f"{name} cannot be called with these arguments") from None
    if arguments:
        raise TemplateError(f"{name} is not a method, and takes no arguments")
    if isinstance(value, Struct):
        if name in value.fields:
            return value.fields[name]
        alike = [field for field in value.fields if field.lower() == name.lower()]
        if len(alike) == 1:
            return value.fields[alike[0]]
        raise TemplateError(f"there is no field {name}; there are {', '.join(value.fields)}")
    if isinstance(value, Mapping):
        return value.get(name, NO_VALUE)
    if value is None:
        raise TemplateError(f"there is nothing to take {name} of")
    raise TemplateError(f"{text_of(value)} has no field {name}")


def is_true(value: object) -> bool:
    """What `if` makes of a value: zero and empty are false, a struct is true."""
    return value is not NO_VALUE and (isinstance(value, Struct | datetime) or bool(value))


def short_float(value: float) -> str:
    """The fewest digits that give the same 32-bit number, which Burrow's fractions are."""
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            break
    return f"{float(text):.0f}" if 1 <= abs(value) < 1e21 and value.is_integer() else text


def text_of(value: object) -> str:
    """A value as Go prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case Status():
            return value.name
        case float():
            return short_float(value)
        case datetime():
            return format_time(value, SHOWN_TIME)
        case Struct():
            return "{" + " ".join(map(text_of, value.fields.values())) + "}"
        case Mapping():
            pairs = (f"{text_of(k)}:{text_of(value[k])}" for k in sorted(value))
            return f"map[{' '.join(pairs)}]"
        case list() | tuple():
            return f"[{' '.join(map(text_of, value))}]"
    return str(value)


def as_json(value: object) -> Any:
    """A value as `json.dumps` takes it."""
    match value:
        case Struct():
            return as_json(value.json)
        case Status():
            return value.name
        case datetime():
            return format_time(value, "2006-01-02T15:04:05.999999999Z07:00")
        case Mapping():
            return {str(key): as_json(value[key]) for key in value}
        case list() | tuple():
            return [as_json(item) for item in value]
        case NoValue():
            return None
        case float():
            return int(value) if value.is_integer() else value
    return value
