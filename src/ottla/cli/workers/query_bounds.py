"""What of a topic a query can want: bounds on partition, offset and time in its conditions.

Only conditions that AND joins count, and only for a topic that the query names
once. They narrow what is read; DuckDB still applies them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import duckdb

from ottla.cli.workers.ranges import Ranges
from ottla.cli.workers.record_columns import TEXTS
from ottla.client.cluster import Cluster
from ottla.client.offsets import LATEST, TopicPartition, find_offsets

#: Comparisons with the constant on the left, turned round.
TURNED: Final = {
    "GREATERTHAN": "LESSTHAN",
    "LESSTHAN": "GREATERTHAN",
    "GREATERTHANOREQUALTO": "LESSTHANOREQUALTO",
    "LESSTHANOREQUALTO": "GREATERTHANOREQUALTO",
}
_COPY: Final = re.compile(r"\s*COPY\s*\((.*)\)\s*TO\b", re.IGNORECASE | re.DOTALL)
#: What makes an expression depend on more than itself.
_OPEN: Final = frozenset({"COLUMN_REF", "SUBQUERY", "PARAMETER", "STAR", "WINDOW", "LAMBDA"})


class Bounds(NamedTuple):
    """Offsets from `start` to before `end`, times in ms from `since_ms` to `until_ms`."""

    start: int | None = None
    end: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    partitions: frozenset[int] | None = None

    def narrowed(self, other: Bounds) -> Bounds:
        """What both allow."""
        both = (self.partitions, other.partitions)
        given = [one for one in both if one is not None]
        return Bounds(
            _extreme(max, self.start, other.start),
            _extreme(min, self.end, other.end),
            _extreme(max, self.since_ms, other.since_ms),
            _extreme(min, self.until_ms, other.until_ms),
            frozenset.intersection(*given) if given else None,
        )


def _extreme(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def bounds_of(
    database: duckdb.DuckDBPyConnection, query: str, topics: Iterable[str]
) -> dict[str, Bounds]:
    """The bounds that a query sets for each of the topics."""
    nodes = list(_nodes(_parsed(database, query)))
    named = Counter(n["table_name"] for n in nodes if n.get("type") == "BASE_TABLE")
    own = {entry["key"] for n in nodes if "cte_map" in n for entry in n["cte_map"]["map"]}
    once = {topic for topic in topics if named[topic] == 1 and topic not in own}
    found: dict[str, Bounds] = {}
    for node in nodes:
        if node.get("type") != "SELECT_NODE":
            continue
        sources = dict(_sources(node["from_table"]))
        for qualifier, bounds in _conditions(database, node["where_clause"]):
            if not qualifier and len(sources) == 1 and node["from_table"]["type"] == "BASE_TABLE":
                topic = next(iter(sources.values()))
            else:
                topic = sources.get(qualifier, "")
            if topic in once:
                found[topic] = found.get(topic, Bounds()).narrowed(bounds)
    return found


def columns_of_records(database: duckdb.DuckDBPyConnection, query: str) -> frozenset[str]:
    """Which of key, value and headers a query can need; all where that cannot be told."""
    tree = _parsed(database, query)
    nodes = list(_nodes(tree))
    if not tree or any(
        node.get("class") == "STAR"
        or node.get("ref_type") == "NATURAL"
        or node.get("type") in ("SHOW_REF", "PIVOT")
        for node in nodes
    ):
        return TEXTS
    references = [node["column_names"] for node in nodes if node.get("class") == "COLUMN_REF"]
    tables = {node.get("alias") or node["table_name"] for node in nodes if "table_name" in node}
    if any(len(names) == 1 and names[0] in tables for names in references):
        return TEXTS  # a table's name as a column is the whole record
    joined = [node["using_columns"] for node in nodes if "using_columns" in node]
    names = {str(name).lower() for names in [*references, *joined] for name in names}
    # Any other name may be a field of the JSON.
    others = names - {"partition", "offset", "timestamp", "key", "headers"}
    return (TEXTS & names) | ({"value"} if others else set())


def records_enough(database: duckdb.DuckDBPyConnection, query: str) -> int | None:
    """How many records of its topic answer a query, whichever they are; None if all matter.

    `SELECT … FROM topic LIMIT 10` takes any ten; DESCRIBE needs some to learn fields from.
    """
    tree = _parsed(database, query)
    if not tree:
        return None
    node = tree["statements"][0]["node"]
    table = node.get("from_table", {})
    if table.get("type") == "SHOW_REF" and table.get("show_type") == "DESCRIBE":
        return 1
    counts = any(one.get("class") in ("FUNCTION", "WINDOW") for one in _nodes(node))
    others = ("where_clause", "group_expressions", "having", "qualify", "sample")
    if table.get("type") != "BASE_TABLE" or counts or any(node.get(name) for name in others):
        return None
    modifiers = node["modifiers"]
    if len(modifiers) != 1 or modifiers[0].get("limit_type") != "ROW_COUNT":
        return None
    limits = [modifiers[0][name] for name in ("limit", "offset")]
    numbers = [0 if limit is None else _integer(database, limit) for limit in limits]
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _parsed(database: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """The syntax tree of a single query, or of what a COPY copies; empty for anything else."""
    copied = _COPY.match(query)
    try:
        row = database.execute(
            "SELECT json_serialize_sql(?)", [copied[1] if copied else query]
        ).fetchone()
    except duckdb.Error:
        return {}
    tree: dict[str, Any] = json.loads(row[0]) if row else {}
    return {} if tree.get("error") or len(tree.get("statements", ())) != 1 else tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _sources(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name by which conditions speak of each topic, and the topic."""
    if table["type"] == "BASE_TABLE":
        yield table.get("alias") or table["table_name"], table["table_name"]
    elif table["type"] == "JOIN":
        yield from _sources(table["left"])
        yield from _sources(table["right"])


def _conditions(database: duckdb.DuckDBPyConnection, node: Any) -> Iterator[tuple[str, Bounds]]:
    """(name of the table or "", bounds) of each condition that is about one of our columns."""
    if not isinstance(node, dict):
        return
    if node["type"] == "CONJUNCTION_AND":
        for child in node["children"]:
            yield from _conditions(database, child)
    elif node["type"] == "COMPARE_BETWEEN":
        for comparison, limit in (
            ("GREATERTHANOREQUALTO", node["lower"]),
            ("LESSTHANOREQUALTO", node["upper"]),
        ):
            yield from _compared(database, node["input"], comparison, limit)
    elif node["type"] == "COMPARE_IN":
        column, *choices = node["children"]
        if _name_of(column)[1] == "partition":
            numbers = [_integer(database, choice) for choice in choices]
            known = frozenset(number for number in numbers if number is not None)
            if len(known) == len({*numbers}):
                yield _name_of(column)[0], Bounds(partitions=known)
    elif node.get("class") == "COMPARISON":
        comparison, left, right = node["type"].removeprefix("COMPARE_"), node["left"], node["right"]
        if _name_of(left)[1]:
            yield from _compared(database, left, comparison, right)
        else:
            yield from _compared(database, right, TURNED.get(comparison, comparison), left)


def _name_of(node: Mapping[str, Any]) -> tuple[str, str]:
    """Table, or "", and name in small letters of a column; nothing for anything else."""
    if node.get("class") != "COLUMN_REF":
        return "", ""
    *table, column = node["column_names"]
    return ".".join(table), str(column).lower()


def _compared(
    database: duckdb.DuckDBPyConnection,
    column: Mapping[str, Any],
    comparison: str,
    limit: Mapping[str, Any],
) -> Iterator[tuple[str, Bounds]]:
    table, name = _name_of(column)
    if name in ("offset", "partition"):
        number = _integer(database, limit)
        if number is None:
            return
        if name == "partition":
            if comparison == "EQUAL":
                yield table, Bounds(partitions=frozenset({number}))
            return
        bounds = {
            "EQUAL": Bounds(start=number, end=number + 1),
            "GREATERTHAN": Bounds(start=number + 1),
            "GREATERTHANOREQUALTO": Bounds(start=number),
            "LESSTHAN": Bounds(end=number),
            "LESSTHANOREQUALTO": Bounds(end=number + 1),
        }.get(comparison)
    elif name == "timestamp":
        moment = _milliseconds(database, limit)
        if moment is None:
            return
        bounds = {
            "EQUAL": Bounds(since_ms=moment, until_ms=moment),
            "GREATERTHAN": Bounds(since_ms=moment),
            "GREATERTHANOREQUALTO": Bounds(since_ms=moment),
            "LESSTHAN": Bounds(until_ms=moment),
            "LESSTHANOREQUALTO": Bounds(until_ms=moment),
        }.get(comparison)
    else:
        return
    if bounds is not None:
        yield table, bounds


def _integer(database: duckdb.DuckDBPyConnection, node: Mapping[str, Any]) -> int | None:
    row = _evaluated(database, node, "x, typeof(x)")
    return int(row[0]) if row and row[0] is not None and "INT" in row[1] else None


def _milliseconds(database: duckdb.DuckDBPyConnection, node: Mapping[str, Any]) -> int | None:
    row = _evaluated(database, node, "epoch_ms(CAST(x AS TIMESTAMP))")
    return int(row[0]) if row and row[0] is not None else None


def _evaluated(
    database: duckdb.DuckDBPyConnection, node: Mapping[str, Any], shown: str
) -> tuple[Any, ...] | None:
    """What DuckDB makes of an expression x that names no column."""
    if any(one.get("class") in _OPEN for one in _nodes(node)):
        return None
    row = database.execute("SELECT json_serialize_sql('SELECT 1')").fetchone()
    assert row is not None
    statement = json.loads(row[0])
    statement["statements"][0]["node"]["select_list"] = [node]
    try:
        text = database.execute("SELECT json_deserialize_sql(?)", [json.dumps(statement)])
        (inner,) = text.fetchone() or ("",)
        return database.execute(f"SELECT {shown} FROM ({inner}) AS one(x)").fetchone()  # noqa: S608
    except duckdb.Error:
        return None


def narrowed(
    cluster: Cluster, ranges: Ranges, bounds: Bounds, *, is_time_ascending: bool
) -> Ranges:
    """The ranges, narrowed to what the bounds want.

    Records are found by time only where later ones are not earlier: the end
    of a time counts if `is_time_ascending`, as with LogAppendTime.
    """
    starts, ends = dict(ranges.starts), dict(ranges.ends)
    for partition, start in ranges.starts.items():
        starts[partition] = max(start, bounds.start or 0)
        if bounds.end is not None:
            ends[partition] = min(ends[partition], bounds.end)
        if bounds.partitions is not None and partition[1] not in bounds.partitions:
            ends[partition] = start
    if bounds.since_ms is not None:
        for partition, offset in _since(cluster, starts, bounds.since_ms).items():
            starts[partition] = max(starts[partition], offset)
    if bounds.until_ms is not None and is_time_ascending:
        for partition, offset in _since(cluster, starts, bounds.until_ms + 1).items():
            ends[partition] = min(ends[partition], offset)
    return Ranges(starts, {p: max(end, starts[p]) for p, end in ends.items()})


def _since(
    cluster: Cluster, partitions: Iterable[TopicPartition], moment_ms: int
) -> dict[TopicPartition, int]:
    """The first offset of each partition at or after a moment; its end without one."""
    found = find_offsets(cluster, dict.fromkeys(partitions, max(moment_ms, 0)))
    missing = [p for p, one in found.items() if one.offset < 0 and not one.error_code]
    ends = find_offsets(cluster, dict.fromkeys(missing, LATEST)) if missing else {}
    return {p: ends.get(p, one).offset for p, one in found.items() if not one.error_code}
