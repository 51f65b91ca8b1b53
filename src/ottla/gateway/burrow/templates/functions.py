"""Functions of a template: Go's own, and those that Burrow adds."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote_plus

from ottla.gateway.burrow.templates.parsing import TemplateError
from ottla.gateway.burrow.templates.values import Struct, as_json, format_time, is_true, text_of
from ottla.lag.evaluation import Status

_VERB: Final = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])")
#: Longest width or precision of a printf verb.
MAX_WIDTH: Final = 1000


def _kind(value: object) -> type | None:
    """Go's basic kind of a value, a status being a whole number; None for what has none."""
    return next((k for k in (bool, int, float, str) if isinstance(value, k)), None)


def _comparable(one: object, other: object) -> tuple[Any, Any]:
    """Errors: `TemplateError` for kinds that Go does not compare."""
    if one is None or other is None:
        return one is None, other is None
    if _kind(one) is None or _kind(one) is not _kind(other):
        raise TemplateError(f"{text_of(one)} and {text_of(other)} cannot be compared")
    return one, other


def equal(one: object, *others: object) -> bool:
    """Whether the first is equal to any other."""
    if not others:
        raise TemplateError("eq wants two values or more")
    return any(a == b for a, b in (_comparable(one, other) for other in others))


def less(one: object, other: object) -> bool:
    a, b = _comparable(one, other)
    if isinstance(a, bool):
        raise TemplateError("true and false have no order")
    return bool(a < b)


def index(value: object, *keys: object) -> object:
    """`value[key][key]…`; a key that a map lacks gives the zero of what the map holds."""
    for key in keys:
        if isinstance(value, Mapping):
            zero = type(next(iter(value.values())))() if value else ""
            value = value.get(key, zero)
        elif isinstance(value, list | str) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise TemplateError(f"index {key} is out of range")
            value = value[key]
        else:
            raise TemplateError(f"{text_of(value)} has no index {text_of(key)}")
    return value


def part(value: object, low: object = 0, high: object = None) -> object:
    """`slice value low high`."""
    if not isinstance(value, list | str):
        raise TemplateError(f"{text_of(value)} cannot be sliced")
    high = len(value) if high is None else high
    if not isinstance(low, int) or not isinstance(high, int):
        raise TemplateError("slice wants numbers")
    if not 0 <= low <= high <= len(value):
        raise TemplateError("slice is out of range")
    return value[low:high]


def length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | Mapping):
        return len(value)
    raise TemplateError(f"{text_of(value)} has no length")


def printed(form: object, *values: object) -> str:
    """Go's Sprintf, for the verbs that make sense here."""
    remaining = list(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not remaining:
            return f"%!{verb}(MISSING)"
        if max(int(width or 0), int(precision or 0)) > MAX_WIDTH:
            raise TemplateError(f"%{width}{verb} is too wide")
        value = remaining.pop(0)
        return _verb(value, verb, flags, width, precision)

    text = _VERB.sub(one, str(form))
    if remaining:
        text += f"%!(EXTRA {', '.join(map(_with_kind, remaining))})"
    return text


def _with_kind(value: object) -> str:
    """A value that a verb does not fit, as Go complains of it."""
    kinds = {bool: "bool", int: "int", float: "float64", str: "string"}
    kind = _kind(value)
    return text_of(value) if kind is None else f"{kinds[kind]}={text_of(value)}"


def _verb(value: object, verb: str, flags: str, width: str, precision: str | None) -> str:
    places = "" if precision is None else f".{precision}"
    kind = _kind(value)
    if verb in "dxXobc" and kind is int and isinstance(value, int):
        return (
            f"%{flags}{width}s" % chr(value) if verb == "c" else _whole(value, verb, flags, width)
        )
    if verb in "feEgG" and kind is float:
        return str(f"%{flags}{width}{places}{verb}" % value)
    is_plain_number = kind in (int, float) and not isinstance(value, Status)
    if verb == "q" and not is_plain_number:
        text = json.dumps(text_of(value), ensure_ascii=False)
    elif verb == "v" or (verb == "t" and kind is bool):
        text = text_of(value)
    elif verb == "s" and not is_plain_number and kind is not bool:
        text = text_of(value)
        text = text if precision is None else text[: int(precision)]
    else:
        return f"%!{verb}({_with_kind(value)})"
    if is_plain_number and "0" in flags and "-" not in flags:
        return text.rjust(int(width or 0), "0")
    return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))


def _whole(value: int, verb: str, flags: str, width: str) -> str:
    if verb == "b":
        return f"{value:b}".rjust(int(width or 0), "0" if "0" in flags else " ")
    return str(f"%{flags}{width}{verb}" % int(value))


def joined(*values: object) -> str:
    """Go's Sprint: a space between two values that are not texts."""
    text = ""
    for position, value in enumerate(values):
        before = values[position - 1] if position else ""
        if position and not isinstance(value, str) and not isinstance(before, str):
            text += " "
        text += text_of(value)
    return text


def script_text(*values: object) -> str:
    """Text for the inside of a JavaScript string."""
    return re.sub(
        r"[\\'\"]|[<>&=\x00-\x1f]",
        lambda m: f"\\{m[0]}" if m[0] in "\\'\"" else f"\\u{ord(m[0]):04X}",
        joined(*values),
    )


# --- Burrow's own


def json_text(value: object) -> str:
    """As Go's Marshal: no spaces, and nothing in it that could end a script."""
    text = json.dumps(as_json(value), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _partitions(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise TemplateError("partitions are wanted, such as .Result.Partitions")
    return [item.fields for item in value if isinstance(item, Struct)]


def topics_by_status(partitions: object) -> dict[str, list[str]]:
    """Topics of the partitions with each status, each topic once."""
    found: dict[str, list[str]] = {}
    for fields in _partitions(partitions):
        topics = found.setdefault(fields["Status"].name, [])
        if fields["Topic"] not in topics:
            topics.append(fields["Topic"])
    return found


def partition_counts(partitions: object) -> dict[str, int]:
    """How many partitions have each status but OK."""
    words = {Status.WARN: "warn", Status.STOP: "stop", Status.STALL: "stall"}
    words[Status.REWIND] = "rewind"
    counts = dict.fromkeys([*words.values(), "unknown"], 0)
    for fields in _partitions(partitions):
        if fields["Status"] is not Status.OK:
            counts[words.get(fields["Status"], "unknown")] += 1
    return counts


def max_lag(partition: object) -> int:
    """The lag of a partition such as .Result.Maxlag, 0 for none."""
    lag = partition.fields["CurrentLag"] if isinstance(partition, Struct) else 0
    return lag if isinstance(lag, int) else 0


def _whole_numbers(name: str, work: Callable[[int, int], int]) -> Callable[[object, object], int]:
    def calculate(one: object, other: object) -> int:
        if not isinstance(one, int) or not isinstance(other, int):
            raise TemplateError(f"{name} wants two whole numbers")
        return work(int(one), int(other))

    return calculate


def quotient(one: int, other: int) -> int:
    """Towards zero, as Go divides."""
    if other == 0:
        raise TemplateError("a number is divided by zero")
    whole = abs(one) // abs(other)
    return whole if (one < 0) == (other < 0) else -whole


def timestamp_text(milliseconds: object, layout: object) -> str:
    if not isinstance(milliseconds, int):
        raise TemplateError("formattimestamp wants milliseconds since 1970")
    try:
        return format_time(datetime.fromtimestamp(milliseconds / 1000).astimezone(), str(layout))
    except (OverflowError, ValueError, OSError):
        raise TemplateError(f"{milliseconds} is not a time") from None


FUNCTIONS: Final[dict[str, Callable[..., object]]] = {
    "eq": equal,
    "ne": lambda one, other: not equal(one, other),
    "not": lambda value: not is_true(value),
    "lt": less,
    "le": lambda one, other: not less(other, one),
    "gt": lambda one, other: less(other, one),
    "ge": lambda one, other: not less(one, other),
    "index": index,
    "slice": part,
    "len": length,
    "printf": printed,
    "print": joined,
    "println": lambda *values: " ".join(map(text_of, values)) + "\n",
    "html": lambda *values: (
        html.escape(joined(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    ),
    "js": script_text,
    "urlquery": lambda *values: quote_plus(joined(*values)),
    "jsonencoder": json_text,
    "topicsbystatus": topics_by_status,
    "partitioncounts": partition_counts,
    "add": _whole_numbers("add", lambda a, b: a + b),
    "minus": _whole_numbers("minus", lambda a, b: a - b),
    "multiply": _whole_numbers("multiply", lambda a, b: a * b),
    "divide": _whole_numbers("divide", quotient),
    "maxlag": max_lag,
    "formattimestamp": timestamp_text,
}
#: These two weigh their arguments one after the other, and leave out what no longer matters.
LAZY: Final = ("and", "or")
