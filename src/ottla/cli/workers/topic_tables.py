"""Topics as tables of DuckDB: their records in full, JSON fields as columns.

Records travel into DuckDB as columns. Fields are not unpacked on the way in: a
view extracts those that a query names.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

import duckdb
import numpy as np
import orjson
from numpy.typing import NDArray

from ottla.cli.errors import CommandError
from ottla.cli.workers.column_reading import Part

#: Columns that every topic has.
COLUMNS: Final = ("partition", "offset", "timestamp", "key", "value", "headers")
#: Values looked at to learn the names and types of JSON fields: at first, and of each later round.
SAMPLE: Final = 2_000
LATER_SAMPLE: Final = 50
MAX_FIELDS: Final = 200
#: Records handed to DuckDB at once.
CHUNK: Final = 100_000
_WORDS: Final = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")*)"|([A-Za-z_][\w]*)""")
_MISSING: Final = re.compile(r"Table with name (\S+) does not exist")
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


class NoFieldsYetError(CommandError):
    """A query names a field, and what was read of a topic holds no JSON to learn fields from."""


class TopicTables:
    """An in-memory DuckDB that topics are loaded into."""

    def __init__(self) -> None:
        self.database = duckdb.connect()
        self._directory = tempfile.TemporaryDirectory(prefix="ottla-sql-")
        self.database.execute(f"SET temp_directory = '{self._directory.name}'")
        self.database.execute("SET TimeZone = 'UTC'")  # what now() is compared with
        self._fields: dict[str, dict[str, str]] = {}
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Forget everything."""
        self.database.close()
        self._directory.cleanup()

    def add(self, topic: str, rounds: Iterable[list[Part]]) -> int:
        """Append records to a topic's table, which is made when it is new; returns how many."""
        number = self._number_of(topic)
        fields = self._fields.setdefault(topic, {})
        known = dict(fields)
        count = sampled = waiting = 0
        parts: list[Part] = []
        for new in rounds:
            for part in new:
                values = part.columns.values
                waiting += len(part.columns.offsets)
                sample = max(LATER_SAMPLE, SAMPLE - sampled)
                sampled += sample
                for value in values[:: max(1, len(values) // sample)]:
                    _learn(fields, value)
            parts += new
            if waiting >= CHUNK:
                self._insert(number, parts)
                count, waiting, parts = count + waiting, 0, []
        if waiting:
            self._insert(number, parts)
        if fields != known:
            self._define_view(topic, number, fields)
        return count + waiting

    def _number_of(self, topic: str) -> int:
        number = self._numbers.get(topic)
        if number is None:
            twin = next((name for name in self._numbers if name.lower() == topic.lower()), None)
            if twin is not None:
                raise CommandError(f"SQL cannot tell {twin} from {topic}; query one at a time.")
            number = self._numbers[topic] = len(self._numbers)
            self.database.execute(
                f"CREATE TABLE records_{number} (partition INTEGER, "
                '"offset" BIGINT, "timestamp" TIMESTAMP, key VARCHAR, value VARCHAR, '
                "headers VARCHAR, is_json BOOLEAN)"
            )
            self._define_view(topic, number, {})
        return number

    def _insert(self, number: int, parts: list[Part]) -> None:
        # DuckDB finds the local variable by its name.
        incoming = _arrays(parts)
        texts = {name: _text_of(name, incoming) for name in ("key", "value", "headers")}
        # Only our own names stand in this statement.
        self.database.execute(
            f"""INSERT INTO records_{number}
            SELECT *, value IS NOT NULL AND json_valid(value) FROM (
                SELECT partition, "offset", make_timestamp(timestamp * 1000),
                    {texts["key"]}, {texts["value"]} AS value, {texts["headers"]}
                FROM incoming)"""  # noqa: S608
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

    def run(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names of the columns, and the rows.

        Errors: `CommandError` in DuckDB's words; `NoFieldsYetError`.
        """
        try:
            result = self.database.execute(query)
            if not result.description:
                return [], []
            return [column[0] for column in result.description], result.fetchall()
        except duckdb.Error as error:
            missing = _MISSING.search(str(error))
            if missing:
                sentence = f"There is no topic {missing[1]}; `ottla topics` lists them."
                raise CommandError(sentence) from None
            unlearnt = [topic for topic, fields in self._fields.items() if not fields]
            if unlearnt and "Referenced column" in str(error):
                first = str(error).partition("\n")[0]
                names = ", ".join(unlearnt)
                sentence = f"{first}\nNo JSON was read from {names}: its fields are not known."
                raise NoFieldsYetError(sentence) from None
            raise CommandError(_first_words(error)) from None


def _first_words(error: duckdb.Error) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:4]) or "The query failed."


def _arrays(parts: list[Part]) -> dict[str, NDArray[Any]]:
    """The columns of all parts, as DuckDB takes them.

    Bytes everywhere, because it looks at the first few only to learn a type;
    `has_…` says which are not null. A column of nulls is left out.
    """
    counts = [len(part.columns.offsets) for part in parts]
    headers: list[bytes | None] = []
    for part, count in zip(parts, counts, strict=True):
        known = part.columns.headers
        headers += [known.get(row) for row in range(count)] if known else [None] * count
    arrays = {
        "partition": np.repeat(np.array([part.partition for part in parts], np.int32), counts),
        "offset": np.concatenate([part.columns.offsets for part in parts]),
        "timestamp": np.maximum(np.concatenate([p.columns.timestamps for p in parts]), 0),
    }
    for name, column in (
        ("key", [key for part in parts for key in part.columns.keys]),
        ("value", [value for part in parts for value in part.columns.values]),
        ("headers", headers),
    ):
        nulls = column.count(None)
        if nulls == len(column):
            continue
        if nulls:
            arrays[f"has_{name}"] = np.array([item is not None for item in column])
            column = [item or b"" for item in column]
        arrays[name] = _objects(column)
    return arrays


def _text_of(name: str, arrays: Mapping[str, object]) -> str:
    """The SQL of a column as text: NULL where it was, with escapes where it is not UTF-8."""
    if name not in arrays:
        return "NULL"
    text = f"coalesce(TRY(decode({name})), {name}::VARCHAR)"
    return f"CASE WHEN has_{name} THEN {text} END" if f"has_{name}" in arrays else text


def _objects(items: list[Any]) -> NDArray[Any]:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _learn(fields: dict[str, str], value: bytes | None) -> None:
    """Note names and types of an object's fields; types widen as they must."""
    if not value or value[:1] != b"{":
        return
    try:
        document = orjson.loads(value)
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
