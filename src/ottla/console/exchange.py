"""Records as files and as commands: JSON lines, CSV, curl, kcat; nothing is lost on the way.

Text stays text where the bytes are UTF-8; other bytes are base64 under a name that ends in
`_base64`.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ottla.console.messages import RecordView

CSV_COLUMNS = (
    "partition", "offset", "timestamp", "key", "key_base64", "value", "value_base64", "headers",
)  # fmt: skip
REST_PROXY = "http://localhost:8082"
BINARY_TYPE, JSON_TYPE = (
    "application/vnd.kafka.binary.v2+json",
    "application/vnd.kafka.json.v2+json",
)
#: A value that is longer is not made into a command.
MAX_COMMAND_BYTES = 64 * 1024


class ImportFormatError(Exception):
    """A file cannot be imported; the text says which line and why."""


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be produced; None for partition and timestamp leaves the choice to Kafka."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    partition: int | None = None
    timestamp_ms: int | None = None


def export_line(record: RecordView) -> dict[str, Any]:
    """A record as a JSON object."""
    line: dict[str, Any] = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
    }
    for name, data in (("key", record.key), ("value", record.value)):
        try:
            line[name] = None if data is None else data.decode()
        except UnicodeDecodeError:
            line[f"{name}_base64"] = base64.b64encode(data or b"").decode()
    line["headers"] = [
        [n, None if v is None else base64.b64encode(v).decode()] for n, v in record.headers
    ]
    return line


def as_json_lines(records: Iterable[RecordView]) -> str:
    return "".join(json.dumps(export_line(r), ensure_ascii=False) + "\n" for r in records)


def as_csv(records: Iterable[RecordView], *, with_head: bool = True) -> str:
    """RFC 4180; a null key or value is a row without its cell in either column."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\r\n")
    if with_head:
        writer.writeheader()
    for record in records:
        line = export_line(record)
        # An empty text and null would look alike: the empty text goes as base64.
        for name in ("key", "value"):
            if line.get(name) == "":
                line[f"{name}_base64"] = "="
        line["headers"] = json.dumps(line["headers"]) if record.headers else ""
        writer.writerow(line)
    return out.getvalue()


def records_of(name: str, content: bytes) -> Iterator[NewRecord]:
    """The records of an uploaded file: .csv and .jsonl as exported here, else a value per line.

    Errors: `ImportFormatError`.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ImportFormatError(f"{name} is not text in UTF-8.") from None
    if name.endswith(".csv"):
        rows = csv.DictReader(io.StringIO(text, newline=""))
        for number, row in enumerate(rows, 2):
            yield _record(_csv_object(row, number), number)
        return
    is_json = name.endswith((".jsonl", ".json", ".ndjson"))
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if not is_json:
            yield NewRecord(None, line.encode(), [])
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise ImportFormatError(f"Line {number} is not a JSON object.") from None
        if not isinstance(found, dict):
            raise ImportFormatError(f"Line {number} is not a JSON object.")
        yield _record(found, number)


def _csv_object(row: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = {k: v for k, v in row.items() if k and v not in ("", None)}
    try:
        for name in ("partition", "timestamp"):
            if name in found:
                found[name] = int(found[name])
        found["headers"] = json.loads(found.get("headers", "[]"))
    except ValueError:
        raise ImportFormatError(f"Line {number}: partition, timestamp or headers.") from None
    return found


def _record(line: dict[str, Any], number: int) -> NewRecord:
    try:
        known = {"key", "value", "key_base64", "value_base64", "offset"}  # null leaves no cell
        if not (known & line.keys()):
            raise ImportFormatError(f"Line {number} has neither a key nor a value.")
        timestamp = line.get("timestamp")
        partition = line.get("partition")
        return NewRecord(
            _bytes(line, "key"),
            _bytes(line, "value"),
            [(str(n), None if v is None else _unpacked(v)) for n, v in line.get("headers") or []],
            int(partition) if partition is not None else None,
            int(timestamp) if timestamp is not None and int(timestamp) >= 0 else None,
        )
    except (ValueError, TypeError, binascii.Error):
        raise ImportFormatError(f"Line {number} cannot be read as a record.") from None


def _unpacked(text: str) -> bytes:
    return b"" if text == "=" else base64.b64decode(text, validate=True)


def _bytes(line: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_base64" in line:
        return _unpacked(line[f"{name}_base64"])
    value = line.get(name)
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def as_curl(topic: str, record: RecordView) -> str:
    """A command that produces the record once more through a REST proxy."""
    if record.size > MAX_COMMAND_BYTES:
        return f"The record has {record.size:,} bytes: too many for a command line. Export it."
    body: dict[str, Any] = {"records": [{}]}
    content_type = JSON_TYPE
    try:
        pairs = [("key", record.key), ("value", record.value)]
        for name, data in pairs:
            if data is not None:
                body["records"][0][name] = json.loads(data)
    except (ValueError, RecursionError):
        content_type = BINARY_TYPE
        body["records"][0] = {
            name: base64.b64encode(data).decode()
            for name, data in (("key", record.key), ("value", record.value))
            if data is not None
        }
    note = "# headers cannot be sent this way\n" if record.headers else ""
    return (
        f"{note}curl -X POST -H 'Content-Type: {content_type}' \\\n"
        f"  --data {shlex.quote(json.dumps(body, ensure_ascii=False))} \\\n"
        f"  {REST_PROXY}/topics/{shlex.quote(topic)}"
    )


def as_kcat(servers: str, topic: str, record: RecordView) -> str:
    """A command that produces the record once more with kcat, whatever its bytes are."""
    if record.size > MAX_COMMAND_BYTES:
        return f"The record has {record.size:,} bytes: too many for a command line. Export it."
    words = ["kcat", "-P", "-b", servers, "-t", topic, "-p", str(record.partition), "-e"]
    for name, value in record.headers:
        words += ["-H", f"{name}={(value or b'').decode('utf-8', 'replace')}"]
    if record.key is not None:
        words += ["-k", record.key.decode("utf-8", "backslashreplace")]
    if record.value is None:
        return f"printf '' | {shlex.join([*words, '-Z'])}"
    packed = base64.b64encode(record.value).decode()
    try:
        text = record.value.decode()
    except UnicodeDecodeError:
        text = "\n"
    if "\n" in text or "\x00" in text:
        return f"printf %s {packed} | base64 -d > value && {shlex.join([*words, 'value'])}"
    return f"printf %s {shlex.quote(text)} | {shlex.join(words)}"
