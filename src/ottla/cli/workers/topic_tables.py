"""Topics as tables of DuckDB: their records in full, JSON fields as columns.

A topic's records travel into DuckDB through a file of lines, which its parallel
reader takes in several times faster than rows handed over one by one. Fields
are not unpacked on the way in: a view extracts those that a query names.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
from confluent_kafka import Message

from ottla.cli.errors import CommandError
from ottla.cli.times import parse_datetime
from ottla.cli.workers.offsets import TopicPartition
from ottla.cli.workers.ranges import Ranges

#: Columns that every topic has.
COLUMNS: Final = ("partition", "offset", "timestamp", "key", "value", "headers")
#: Values looked at to learn the names and types of JSON fields.
SAMPLE: Final = 2_000
MAX_FIELDS: Final = 200
#: Bytes that stand between and around columns; no text has them.
DELIMITER, QUOTE = b"\x01", b"\x02"
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
_SPECIAL: Final = re.compile(b"[\x00\x01\x02]")
_WORDS: Final = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")*)"|([A-Za-z_][\w]*)""")
_OFFSET_WORD: Final = re.compile(
    r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|(?<![\w."])(offset)\b(?!\s*(?:\d|\?|\$|:))""", re.IGNORECASE
)


def tables_in(query: str, topics: Iterable[str]) -> list[str]:
    """The topics that a query names, quoted or not."""
    words = {quoted.replace('""', '"') or bare for quoted, bare in _WORDS.findall(query)}
    return sorted(words & set(topics))


def quote_offsets(query: str) -> str:
    """The query with the column `offset`, a reserved word, in quotes; not OFFSET 10."""
    return _OFFSET_WORD.sub(lambda match: match[1] or '"offset"', query)


def identifier(name: str) -> str:
    """A name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


class TopicTables:
    """An in-memory DuckDB that topics are loaded into."""

    def __init__(self) -> None:
        self.database = duckdb.connect()
        self._directory = tempfile.TemporaryDirectory(prefix="ottla-sql-")
        self.database.execute(f"SET temp_directory = '{self._directory.name}'")
        self._fields: dict[str, dict[str, str]] = {}
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Forget everything."""
        self.database.close()
        self._directory.cleanup()

    def add(self, topic: str, rounds: Iterable[list[Message]]) -> int:
        """Append records to a topic's table, which is made when it is new; returns how many."""
        number = self._numbers.setdefault(topic, len(self._numbers))
        path = Path(self._directory.name) / f"{number}.lines"
        count = 0
        fields = self._fields.setdefault(topic, {})
        sampled = 0
        with path.open("wb") as file:
            for messages in rounds:
                if messages:
                    file.write(b"".join([_line(message) for message in messages]))
                    count += len(messages)
                for message in messages[: max(0, SAMPLE - sampled)]:
                    _learn(fields, message.value())
                sampled += len(messages)
        self._load(number, path, is_empty=not count)
        path.unlink()
        self._define_view(topic, number, fields)
        return count

    def _load(self, number: int, path: Path, *, is_empty: bool) -> None:
        self.database.execute(
            f"CREATE TABLE IF NOT EXISTS records_{number} (partition INTEGER, "
            '"offset" BIGINT, "timestamp" TIMESTAMP, key VARCHAR, value VARCHAR, '
            "headers VARCHAR, is_json BOOLEAN)"
        )
        if is_empty:
            return
        # Only our own number and path stand in these statements.
        self.database.execute(
            f"""INSERT INTO records_{number}
            SELECT partition, "offset", make_timestamp(ts * 1000), key, value, headers,
                   value IS NOT NULL AND json_valid(value)
            FROM read_csv('{path}', header = false, auto_detect = false, delim = '\x01',
                quote = '\x02', escape = '\x02', nullstr = '', allow_quoted_nulls = false,
                max_line_size = {MAX_LINE_BYTES},
                columns = {{'partition': 'INTEGER', 'offset': 'BIGINT', 'ts': 'BIGINT',
                'key': 'VARCHAR', 'value': 'VARCHAR', 'headers': 'VARCHAR'}})"""  # noqa: S608
        )

    def _define_view(self, topic: str, number: int, fields: Mapping[str, str]) -> None:
        taken = {*COLUMNS, "json"}
        columns = ['partition, "offset", "timestamp", key, value, headers']
        columns.append("CASE WHEN is_json THEN value::JSON END AS json")
        for name, type_ in list(fields.items())[:MAX_FIELDS]:
            path = "$." + json.dumps(name)
            text = path.replace("'", "''")
            operator = "->" if type_ == "JSON" else "->>"
            extracted = f"CASE WHEN is_json THEN value{operator}'{text}' END"
            if type_ not in ("JSON", "VARCHAR"):
                extracted = f"TRY_CAST({extracted} AS {type_})"
            shown = name
            while shown.lower() in taken:
                shown = f"json_{shown}"
            taken.add(shown.lower())
            columns.append(f"{extracted} AS {identifier(shown)}")
        selection = f"SELECT {', '.join(columns)} FROM records_{number}"  # noqa: S608, all quoted
        self.database.execute(f"CREATE OR REPLACE VIEW {identifier(topic)} AS {selection}")

    def not_json(self, topic: str) -> int:
        """Values of a topic that are there and are not JSON."""
        number = self._numbers[topic]
        found = self.database.execute(
            f"SELECT count(*) FROM records_{number} "  # noqa: S608, our own number
            "WHERE value IS NOT NULL AND NOT is_json"
        ).fetchone()
        return int(found[0]) if found else 0

    def bounds(self, query: str) -> dict[str, int]:
        """Bounds on offset and timestamp that a query of one topic sets.

        Keys: `start` and `end` (offsets, the end exclusive), `since_ms`. Only
        conditions joined by AND count, and only where one table is read.
        """
        row = self.database.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
        try:
            node = json.loads(row[0])["statements"][0]["node"] if row else {}
            if node["from_table"]["type"] != "BASE_TABLE":
                return {}
            return _bounds_of(node.get("where_clause"))
        except (KeyError, IndexError, TypeError, ValueError):
            return {}

    def run(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of the columns, and the rows. Errors: `CommandError` in DuckDB's words."""
        try:
            result = self.database.execute(query)
            if not result.description:
                return [], []
            return [column[0] for column in result.description], result.fetchall()
        except duckdb.Error as error:
            raise CommandError(_first_words(error)) from None


def _first_words(error: duckdb.Error) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:4]) or "The query failed."


def _line(message: Message) -> bytes:
    timestamp = message.timestamp()[1]
    headers = message.headers()
    return b"%d\x01%d\x01%d\x01%b\x01%b\x01%b\n" % (
        message.partition() or 0,
        message.offset() or 0,
        max(timestamp, 0),
        _quoted(message.key()),
        _quoted(message.value()),
        _quoted(_headers_json(headers)) if headers else b"",
    )


def _quoted(data: bytes | str | None) -> bytes:
    if data is None:
        return b""
    if isinstance(data, str):
        data = data.encode()
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode(errors="replace").encode()
    if _SPECIAL.search(data):
        data = _SPECIAL.sub(b"?", data)
    return QUOTE + data + QUOTE


def _headers_json(headers: Any) -> bytes:
    texts = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in headers
    }
    return json.dumps(texts, ensure_ascii=False).encode()


def _learn(fields: dict[str, str], value: bytes | str | None) -> None:
    """Note names and types of an object's fields; types widen as they must."""
    if not value or value[:1] not in (b"{", "{"):
        return
    try:
        document = json.loads(value)
    except ValueError:
        return
    for name, item in document.items():
        type_ = _type_of(item)
        known = fields.get(name)
        if type_ is None:
            fields.setdefault(name, "")
        elif not known or known == type_:
            fields[name] = type_
        elif {known, type_} == {"BIGINT", "DOUBLE"}:
            fields[name] = "DOUBLE"
        else:
            fields[name] = "JSON" if "JSON" in (known, type_) else "VARCHAR"
    for name, type_ in fields.items():
        fields[name] = type_ or "VARCHAR"


def _type_of(item: Any) -> str | None:
    if item is None:
        return None
    if isinstance(item, bool):
        return "BOOLEAN"
    if isinstance(item, int):
        return "BIGINT" if abs(item) < 2**63 else "DOUBLE"
    if isinstance(item, float):
        return "DOUBLE"
    return "VARCHAR" if isinstance(item, str) else "JSON"


def _bounds_of(where: Any) -> dict[str, int]:
    if not isinstance(where, dict):
        return {}
    if where.get("type") == "CONJUNCTION_AND":
        bounds: dict[str, int] = {}
        for child in where["children"]:
            for name, value in _bounds_of(child).items():
                keep = min if name == "end" else max
                bounds[name] = keep(bounds.get(name, value), value)
        return bounds
    if where.get("class") != "COMPARISON":
        return {}
    comparison, left, right = where["type"].removeprefix("COMPARE_"), where["left"], where["right"]
    if left.get("class") == "CONSTANT":
        left, right = right, left
        comparison = {
            "GREATERTHAN": "LESSTHAN",
            "LESSTHAN": "GREATERTHAN",
            "GREATERTHANOREQUALTO": "LESSTHANOREQUALTO",
            "LESSTHANOREQUALTO": "GREATERTHANOREQUALTO",
        }.get(comparison, comparison)
    if left.get("class") != "COLUMN_REF":
        return {}
    constant = _constant(right)
    column = str(left["column_names"][-1]).lower()
    if constant is None:
        return {}
    if column == "offset" and re.fullmatch(r"\d+", constant):
        offset = int(constant)
        return {
            "EQUAL": {"start": offset, "end": offset + 1},
            "GREATERTHAN": {"start": offset + 1},
            "GREATERTHANOREQUALTO": {"start": offset},
            "LESSTHAN": {"end": offset},
            "LESSTHANOREQUALTO": {"end": offset + 1},
        }.get(comparison, {})
    if column == "timestamp" and comparison in ("GREATERTHAN", "GREATERTHANOREQUALTO", "EQUAL"):
        try:
            return {"since_ms": parse_datetime(constant)}
        except CommandError:
            return {}
    return {}


def _constant(node: Mapping[str, Any]) -> str | None:
    """The text of a constant, also of one in a cast such as TIMESTAMP '2026-01-01'."""
    if node.get("class") == "CAST":
        return _constant(node["child"])
    if node.get("class") != "CONSTANT":
        return None
    literal = node.get("literal")
    if isinstance(literal, dict):
        return str(literal.get("text"))
    value = node.get("value")
    return str(value["value"]) if isinstance(value, dict) and "value" in value else None


def bounded(ranges: Ranges, bounds: Mapping[str, int]) -> Ranges:
    """The ranges, narrowed to the offsets that a query asks for."""

    def starts(partition: TopicPartition) -> int:
        return max(ranges.starts[partition], bounds.get("start", 0))

    def ends(partition: TopicPartition) -> int:
        return min(ranges.ends[partition], bounds.get("end", ranges.ends[partition]))

    return Ranges({p: starts(p) for p in ranges.starts}, {p: ends(p) for p in ranges.ends})
