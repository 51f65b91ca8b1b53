"""Records as JSON lines that lose nothing, and in formats of one's own."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ottla.cli.errors import CommandError


class TextRecord(NamedTuple):
    """A record as the verbs see it; `timestamp_ms` is -1 for none."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    @classmethod
    def of(cls, message: Any) -> TextRecord:
        """The record in a message of confluent-kafka."""
        headers = [
            (name, value.encode() if isinstance(value, str) else value)
            for name, value in message.headers() or []
        ]
        return cls(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            headers,
        )


def moment_text(timestamp_ms: int) -> str:
    """A timestamp in local time, to the millisecond, with its zone."""
    if timestamp_ms < 0:
        return "-"
    moment = datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC).astimezone()
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _put(target: dict[str, Any], name: str, data: bytes | None) -> None:
    """Text as text, other bytes as base64 under a name that says so."""
    try:
        target[name] = None if data is None else data.decode()
    except UnicodeDecodeError:
        target[f"{name}_base64"] = base64.b64encode(data or b"").decode()


def to_json(record: TextRecord, *, inline: bool = False) -> str:
    """One line. Text stays text, so that `ottla produce --input json` restores every byte.

    `inline` shows values that are JSON as JSON instead: easier to work with,
    but blanks and the order of digits may change on the way back.
    """
    line: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
    }
    _put(line, "key", record.key)
    _put(line, "value", record.value)
    if inline and isinstance(line.get("value"), str):
        try:
            line["value"] = json.loads(line["value"])
        except ValueError:
            pass
    headers = []
    for name, value in record.headers:
        header: dict[str, Any] = {"name": name}
        _put(header, "value", value)
        headers.append(header)
    if headers:
        line["headers"] = headers
    return json.dumps(line, ensure_ascii=False)


CSV_COLUMNS: Final = ("topic", "partition", "offset", "timestamp", "key", "value", "headers")


def to_csv(record: TextRecord) -> str:
    """One row without its line end: bytes that are no text in base64, null as an empty cell,
    headers as JSON.
    """
    line = json.loads(to_json(record))
    if "headers" in line:
        line["headers"] = json.dumps(line["headers"], ensure_ascii=False)
    return csv_row(line.get(name, line.get(f"{name}_base64")) for name in CSV_COLUMNS)


def csv_row(cells: Iterable[object]) -> str:
    """Cells as one row without its line end."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(cells)
    return row.getvalue()


def _bytes_of(line: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_base64" in line:
        return base64.b64decode(line[f"{name}_base64"], validate=True)
    value = line.get(name)
    if value is None or isinstance(value, str):
        return None if value is None else value.encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def from_json(text: str | bytes, where: str) -> TextRecord:
    """The record in one line of JSON. Errors: `CommandError` that names `where`."""
    try:
        line = json.loads(text)
        if not isinstance(line, dict):
            raise CommandError(f'{where}: a JSON object is expected, such as {{"value": …}}.')
        headers = line.get("headers") or []
        if isinstance(headers, dict):
            headers = [{"name": name, "value": value} for name, value in headers.items()]
        return TextRecord(
            line.get("topic") or "",
            -1 if line.get("partition") is None else int(line["partition"]),
            -1,
            -1 if line.get("timestamp") is None else int(line["timestamp"]),
            _bytes_of(line, "key"),
            _bytes_of(line, "value"),
            [(header["name"], _bytes_of(header, "value")) for header in headers],
        )
    except binascii.Error:
        raise CommandError(f"{where}: a field is not base64.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"{where}: not a record as JSON: {error}.") from None


ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}
_TOKEN: Final = re.compile(r"%(.)|\\(.)|%$|\\$", re.DOTALL)


def _headers_text(record: TextRecord) -> bytes:
    return b",".join(
        name.encode() + b"=" + (b"NULL" if value is None else value)
        for name, value in record.headers
    )


def _sized(data: bytes | None) -> bytes:
    return str(-1 if data is None else len(data)).encode()


#: Letter behind % → what it stands for.
LETTERS: Final[dict[str, Callable[[TextRecord], bytes]]] = {
    "t": lambda record: record.topic.encode(),
    "p": lambda record: str(record.partition).encode(),
    "o": lambda record: str(record.offset).encode(),
    "T": lambda record: str(record.timestamp_ms).encode(),
    "d": lambda record: moment_text(record.timestamp_ms).encode(),
    "k": lambda record: b"NULL" if record.key is None else record.key,
    "v": lambda record: b"NULL" if record.value is None else record.value,
    "s": lambda record: b"NULL" if record.value is None else record.value,
    "h": _headers_text,
    "K": lambda record: _sized(record.key),
    "V": lambda record: _sized(record.value),
    "S": lambda record: _sized(record.value),
    "j": lambda record: to_json(record).encode(),
    "%": lambda _: b"%",
}
LETTERS_HELP: Final = (
    "%t topic, %p partition, %o offset, %T timestamp in ms, %d date, %k key, %v value, "
    "%h headers, %K and %V sizes, %j JSON, \\n, \\t"
)


def compile_format(text: str) -> Callable[[TextRecord], bytes]:
    """A function that writes records as a format string says. Errors: `CommandError`."""
    parts: list[Callable[[TextRecord], bytes]] = []

    def literal(part: str) -> None:
        data = part.encode()
        parts.append(lambda _: data)

    position = 0
    for match in _TOKEN.finditer(text):
        literal(text[position : match.start()])
        position = match.end()
        letter, escape = match.groups()
        if escape is not None:
            literal(ESCAPES.get(escape, escape))
        elif letter in LETTERS:
            parts.append(LETTERS[letter])
        else:
            raise CommandError(
                f"%{letter or ''} means nothing in a format; there are {LETTERS_HELP}."
            )
    literal(text[position:])
    return lambda record: b"".join([part(record) for part in parts])
