"""Lines of text as records: Kafka's LineMessageReader and its properties."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ottla.cli.errors import CommandError


class Line(NamedTuple):
    """What one line holds; `headers` keeps order and repetitions."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class LineReader:
    """Cuts lines into headers, key and value as the properties say."""

    def __init__(self, properties: dict[str, str]) -> None:
        def is_on(name: str) -> bool:
            return properties.get(name, "").strip().lower() == "true"

        def separator(name: str, default: str) -> bytes:
            return properties.get(name, default).encode()

        self.parse_key = is_on("parse.key")
        self.parse_headers = is_on("parse.headers")
        self.ignore_error = is_on("ignore.error")
        self.key_separator = separator("key.separator", "\t")
        self.headers_delimiter = separator("headers.delimiter", "\t")
        self.headers_separator = separator("headers.separator", ",")
        self.headers_key_separator = separator("headers.key.separator", ":")
        marker = properties.get("null.marker")
        self.null_marker = None if marker is None else marker.encode()
        self._refuse_equal_separators()
        self._headers_pattern = re.compile(self.headers_separator)

    def _refuse_equal_separators(self) -> None:
        named = [
            ("headers.delimiter", self.headers_delimiter),
            ("headers.separator", self.headers_separator),
            ("headers.key.separator", self.headers_key_separator),
        ]
        for position, (name, value) in enumerate(named):
            for other, other_value in named[position + 1 :]:
                if value == other_value:
                    raise CommandError(f"{name} and {other} may not be equal")
        for name, value in (("key.separator", self.key_separator), *named):
            if value == self.null_marker:
                raise CommandError(f"null.marker and {name} may not be equal")

    def lines(self, stream: Iterable[bytes]) -> Iterator[Line]:
        """The records of a stream of lines; the line ends belong to none of them."""
        for number, raw in enumerate(stream, 1):
            yield self.line(raw.rstrip(b"\n").removesuffix(b"\r"), number)

    def line(self, text: bytes, number: int) -> Line:
        """The record of one line.

        Errors: `CommandError` where a separator is missing, unless ignore.error is on.
        """
        if not self.parse_key and not self.parse_headers:
            return Line(None, self._unmarked(text), [])
        rest = text
        headers: list[tuple[str, bytes | None]] = []
        if self.parse_headers:
            part, rest = self._cut(rest, text, self.headers_delimiter, "headers delimiter", number)
            if part is not None and part != self.null_marker:
                headers = self._headers(part, number)
        key = None
        if self.parse_key:
            key, rest = self._cut(rest, text, self.key_separator, "key separator", number)
        return Line(None if key is None else self._unmarked(key), self._unmarked(rest), headers)

    def _unmarked(self, part: bytes) -> bytes | None:
        return None if part == self.null_marker else part

    def _cut(
        self, rest: bytes, line: bytes, separator: bytes, name: str, number: int
    ) -> tuple[bytes | None, bytes]:
        before, found, after = rest.partition(separator)
        if found:
            return before, after
        if self.ignore_error:
            return None, rest
        raise CommandError(
            f"No {name} found on line number {number}: '{line.decode(errors='replace')}'"
        )

    def _headers(self, part: bytes, number: int) -> list[tuple[str, bytes | None]]:
        headers: list[tuple[str, bytes | None]] = []
        for pair in self._headers_pattern.split(part):
            key, found, value = pair.partition(self.headers_key_separator)
            if not found:
                if not self.ignore_error:
                    raise CommandError(
                        f"No header key separator found in pair '{pair.decode(errors='replace')}' "
                        f"on line number {number}"
                    )
                headers.append((pair.decode(errors="replace"), None))
                continue
            if key == self.null_marker:
                raise CommandError(
                    f"Header keys should not be equal to the null marker "
                    f"'{key.decode(errors='replace')}' as they can't be null"
                )
            headers.append((key.decode(errors="replace"), self._unmarked(value)))
        return headers
