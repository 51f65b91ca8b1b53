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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ottla.console.messages import RecordView

CSV_COLUMNS = (
    "partition", "offset", "timestamp", "key", "key_base64", "value", "value_base64", "headers",
)  # fmt: skip
REST_PROXY = "http://localhost:8082"
#: The console's own settings of its clients, which are no part of a command.
OWN_SETTINGS = frozenset({"bootstrap.servers", "client.id", "log_level"})
SECRET_PARTS = ("password", "secret", "pem", "sasl.oauthbearer.config")
IN_ITS_PLACE = '"$KAFKA_SECRET"'
#: A value that is longer is not made into a command.
MAX_COMMAND_BYTES = 64 * 1024
TOO_LARGE = "The record has {:,} bytes: too many for a command line. Export it."
#: A cell of an imported file may be as large as a record.
MAX_CELL_BYTES = 64 * 1024 * 1024


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
        text = content.decode("utf-8-sig")  # spreadsheets begin with a mark
    except UnicodeDecodeError:
        raise ImportFormatError(f"{name} is not text in UTF-8.") from None
    if name.endswith(".csv"):
        csv.field_size_limit(MAX_CELL_BYTES)
        rows = csv.DictReader(io.StringIO(text, newline=""))
        try:
            for row in rows:
                yield _record(_csv_object(row, rows.line_num), rows.line_num)
        except csv.Error as error:
            raise ImportFormatError(f"Line {rows.line_num + 1} is not CSV: {error}.") from None
        return
    is_json = name.endswith((".jsonl", ".json", ".ndjson"))
    # Not splitlines(): a text may hold what that takes for line ends, such as U+2028.
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
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


def as_curl(cluster_id: str | None, topic: str, record: RecordView) -> str:
    """A command that produces the record once more through a REST proxy.

    An object or list in JSON is sent as such; of any other text and of bytes each one stays.
    """
    if record.size > MAX_COMMAND_BYTES:
        return TOO_LARGE.format(record.size)
    if cluster_id is None:
        return "The cluster's id, which the address needs, is not known: Kafka did not answer."
    body: dict[str, Any] = {"partition_id": record.partition}
    if record.headers:
        body["headers"] = [
            {"name": n, "value": None if v is None else base64.b64encode(v).decode()}
            for n, v in record.headers
        ]
    for name, data in (("key", record.key), ("value", record.value)):
        if data is not None:
            body[name] = _typed(data)
    return (
        "curl -X POST -H 'Content-Type: application/json' \\\n"
        f"  --data {shlex.quote(json.dumps(body, ensure_ascii=False))} \\\n"
        f'  "${{REST_PROXY:-{REST_PROXY}}}"/v3/clusters/{shlex.quote(cluster_id)}'
        f"/topics/{shlex.quote(topic)}/records"
    )


def _typed(data: bytes) -> dict[str, Any]:
    """A key or value in the words of the REST API's third version."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"type": "BINARY", "data": base64.b64encode(data).decode()}
    try:
        found = json.loads(text)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict | list):
        return {"type": "JSON", "data": found}
    return {"type": "STRING", "data": text}


def as_kcat(settings: Mapping[str, str], topic: str, record: RecordView) -> str:
    """A command that produces the record once more with kcat, whatever its bytes are.

    `settings` are those of the console's own clients; a secret among them is not told, but a
    variable of the shell's stands for it.
    """
    if record.size > MAX_COMMAND_BYTES:
        return TOO_LARGE.format(record.size)
    if record.key is None and not record.value:
        return "kcat sends no record that has neither a key nor a value. Use curl."
    notes, words = _header_words(record)
    words = ["-t", topic, "-p", str(record.partition), *words]
    key, value = record.key, record.value or b""
    if value and _is_one_line(value) and (key is None or _is_one_line(key)):
        words += [] if key is None else ["-k", key.decode()]
        source = f"printf %s {shlex.quote(value.decode())}"
    else:
        # Key and value come in one stream, with marks after them that neither holds.
        key_mark, end_mark = (_mark(name, key or b"", value) for name in ("key", "end"))
        stream = b"" if key is None else key + key_mark.encode()
        words += ["-D", end_mark] + ([] if key is None else ["-K", key_mark])
        words += ["-Z"] if record.value is None else []
        packed = base64.b64encode(stream + value + end_mark.encode()).decode()
        source = f"printf %s {packed} | base64 -d"
    servers = shlex.join(["kcat", "-P", "-b", settings["bootstrap.servers"]])
    return f"{notes}{source} | {servers}{_security(settings)} {shlex.join(words)}"


def _is_one_line(data: bytes) -> bool:
    """Whether a shell's word can hold it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return "\n" not in text and "\x00" not in text


def _mark(name: str, *texts: bytes) -> str:
    mark = f"<{name}>"
    while any(mark.encode() in text for text in texts):
        mark = f"<{mark}>"
    return mark


def _header_words(record: RecordView) -> tuple[str, list[str]]:
    """Comments about headers that cannot be sent, and kcat's words for the others."""
    notes, words = "", []
    for name, value in record.headers:
        if "=" in name or not _is_one_line(name.encode()) or not _is_one_line(value or b""):
            notes += f"# kcat cannot send the header {name!r} as it is\n"
        else:
            words += ["-H", name if value is None else f"{name}={value.decode()}"]
    return notes, words


def _security(settings: Mapping[str, str]) -> str:
    """The clients' settings beside the address, as kcat's words."""
    words = ""
    for key, value in settings.items():
        if key not in OWN_SETTINGS:
            is_secret = any(part in key for part in SECRET_PARTS)
            words += f" -X {key}=" + (IN_ITS_PLACE if is_secret else shlex.quote(str(value)))
    return words
