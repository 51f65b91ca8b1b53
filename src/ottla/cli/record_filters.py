"""Which records are meant: by key, value, header and JSON path."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ottla.cli.errors import CommandError
from ottla.cli.record_texts import TextRecord

RecordFilter = Callable[[TextRecord], bool]
#: Comparisons of --json, the longer ones first.
COMPARISONS: Final = ("!=", ">=", "<=", "=~", "=", ">", "<")
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--key`, `--value`, `--header` and `--json`."""
    group = parser.add_argument_group(
        "filters", "A PATTERN is text to be found, or a regular expression between slashes: /^a+$/"
    )
    group.add_argument(
        "-k",
        "--key",
        action="append",
        default=[],
        metavar="PATTERN",
        help="key with this text, or /regex/",
    )
    group.add_argument(
        "-v",
        "--value",
        action="append",
        default=[],
        metavar="PATTERN",
        help="value with this text, or /regex/",
    )
    group.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME[=PATTERN]",
        help="it has this header (and what that holds)",
    )
    group.add_argument(
        "-j",
        "--json",
        action="append",
        default=[],
        metavar="PATH[=X]",
        help="the value's field: user.id=7, items[0].price>10, name=~^A, error (is there); "
        "key:user.id=7 is the key's, header:trace:id=7 that of a header",
    )


def pattern_filter(pattern: str) -> Callable[[bytes | None], bool]:
    """Whether bytes hold a text, or match a `/regular expression/`. Errors: `CommandError`."""
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        try:
            regex = re.compile(pattern[1:-1].encode())
        except re.error as error:
            raise CommandError(f"{pattern} is no regular expression: {error}.") from None
        return lambda data: data is not None and regex.search(data) is not None
    needle = pattern.encode()
    return lambda data: data is not None and needle in data


def json_path(path: str) -> list[str | int]:
    """The steps of `a.b[0].c`, with or without `$.` in front. Errors: `CommandError`."""
    text = path.strip().removeprefix("$").removeprefix(".")
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if not match:
            raise CommandError(f"'{path}' is no path; write a.b[0].c.")
        steps.append(match[1] if match[1] is not None else int(match[2]))
        position = match.end()
    return steps


def json_value(document: Any, steps: Sequence[str | int]) -> tuple[bool, Any]:
    """(whether there is something at a path, what it is)."""
    for step in steps:
        if isinstance(document, dict):
            if step not in document:
                return False, None
            document = document[step]
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return False, None
    return True, document


def json_filter(text: str) -> RecordFilter:
    """The filter of one `--json`; what is no JSON never passes. Errors: `CommandError`."""
    place, text = _place_of(text)
    operator = min(
        (found for found in COMPARISONS if found in text),
        key=lambda found: (text.index(found), -len(found)),
        default="",
    )
    path, _, wanted = text.partition(operator) if operator else (text, "", "")
    steps = json_path(path)
    compare = _comparison(operator, wanted)

    def is_wanted(record: TextRecord) -> bool:
        for data in place(record):
            try:
                document = json.loads(data or b"")
            except ValueError:
                continue
            is_there, value = json_value(document, steps)
            if is_there and compare(value):
                return True
        return False

    return is_wanted


def _place_of(text: str) -> tuple[Callable[[TextRecord], list[bytes | None]], str]:
    """Where a `--json` looks, and the rest of it: `key:PATH`, `header:NAME:PATH` or `PATH`."""
    if text.startswith("key:"):
        return lambda record: [record.key], text.removeprefix("key:")
    if text.startswith("header:"):
        name, colon, rest = text.removeprefix("header:").partition(":")
        if not colon:
            raise CommandError(f"'{text}' names no field; write header:NAME:PATH=X.")
        return lambda record: [value for header, value in record.headers if header == name], rest
    return lambda record: [record.value], text


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _comparison(operator: str, wanted: str) -> Callable[[Any], bool]:
    wanted = wanted.strip()
    if len(wanted) > 1 and wanted[0] == wanted[-1] and wanted[0] in "\"'":
        wanted = wanted[1:-1]
    if operator == "":
        return lambda _: True
    if operator == "=~":
        try:
            regex = re.compile(wanted)
        except re.error as error:
            raise CommandError(f"{wanted} is no regular expression: {error}.") from None
        return lambda value: regex.search(_as_text(value)) is not None
    if operator in ("=", "!="):
        return lambda value: (_as_text(value) == wanted) == (operator == "=")
    try:
        limit = float(wanted)
    except ValueError:
        raise CommandError(f"{operator} compares numbers, and {wanted!r} is none.") from None
    compare: dict[str, Callable[[float], bool]] = {
        ">": lambda value: value > limit,
        ">=": lambda value: value >= limit,
        "<": lambda value: value < limit,
        "<=": lambda value: value <= limit,
    }
    chosen = compare[operator]
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and chosen(value)
    )


def filter_of(args: argparse.Namespace) -> RecordFilter | None:
    """All filters of a command line as one; None when there are none."""
    filters: list[RecordFilter] = []
    for pattern in args.key:
        in_key = pattern_filter(pattern)
        filters.append(lambda record, found=in_key: found(record.key))  # type: ignore[misc]
    for pattern in args.value:
        in_value = pattern_filter(pattern)
        filters.append(lambda record, found=in_value: found(record.value))  # type: ignore[misc]
    for text in args.header:
        filters.append(_header_filter(text))
    filters += [json_filter(text) for text in args.json]
    if not filters:
        return None
    return lambda record: all(one(record) for one in filters)


def _header_filter(text: str) -> RecordFilter:
    name, equals, pattern = text.partition("=")
    found = pattern_filter(pattern) if equals else None
    return lambda record: any(
        header == name and (found is None or found(value)) for header, value in record.headers
    )
