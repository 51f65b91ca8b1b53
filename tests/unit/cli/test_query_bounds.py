from __future__ import annotations

import duckdb
import pytest

from ottla.cli.workers.query_bounds import (
    Bounds,
    bounds_of,
    columns_of_records,
    records_enough,
)

MOMENT = 1_780_185_600_000  # 2026-05-31


@pytest.mark.parametrize(
    ("condition", "bounds"),
    [
        ('"offset" >= 5', Bounds(start=5)),
        ('5 < "offset"', Bounds(start=6)),
        ('"offset" BETWEEN 3 AND 4 + 3', Bounds(start=3, end=8)),
        ("\"offset\" = 7 AND value LIKE '%x%'", Bounds(start=7, end=8)),
        ("partition = 1", Bounds(partitions=frozenset({1}))),
        (
            'partition IN (1, 2) AND partition >= 0 AND "offset" < 9',
            Bounds(end=9, partitions=frozenset({1, 2})),
        ),
        ("timestamp > '2026-05-31'", Bounds(since_ms=MOMENT)),
        ("timestamp <= TIMESTAMP '2026-05-31 00:00:01'", Bounds(until_ms=MOMENT + 1000)),
        (
            "timestamp BETWEEN '2026-05-31' AND DATE '2026-05-31' + INTERVAL 1 DAY",
            Bounds(since_ms=MOMENT, until_ms=MOMENT + 86_400_000),
        ),
    ],
)
def test_conditions_become_bounds(condition: str, bounds: Bounds) -> None:
    query = f"SELECT count(*) FROM t WHERE {condition}"
    assert bounds_of(duckdb.connect(), query, ["t"]) == {"t": bounds}


def test_a_time_ago_counts_from_now() -> None:
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    query = "FROM t WHERE timestamp > now() - INTERVAL 1 HOUR"
    since = bounds_of(database, query, ["t"])["t"].since_ms
    (now,) = database.execute("SELECT epoch_ms(now()::TIMESTAMP)").fetchone() or (0,)
    assert since is not None
    assert 0 <= now - since - 3_600_000 < 60_000


@pytest.mark.parametrize(
    "query",
    [
        'SELECT * FROM t WHERE "offset" > 5 OR partition = 1',
        'SELECT * FROM t WHERE NOT "offset" > 5',
        'SELECT * FROM t WHERE "offset" > 2.5',
        'SELECT * FROM t WHERE "offset" > (SELECT max("offset") FROM u)',
        'SELECT * FROM t WHERE "offset" > partition',
        'SELECT * FROM t a JOIN t b USING (key) WHERE a."offset" > 5',
        'WITH t AS (SELECT 7 AS "offset") SELECT * FROM t WHERE "offset" > 5',
        "SELECT * FROM t",
        "SELECT nonsense FROM FROM",
        "DESCRIBE t",
    ],
)
def test_what_is_no_bound_leaves_everything(query: str) -> None:
    assert bounds_of(duckdb.connect(), query, ["t"]) == {}


def test_each_side_of_a_join_has_its_own() -> None:
    query = (
        'SELECT * FROM t AS o LEFT JOIN u ON o.key = u.key WHERE o."offset" > 5 AND u.partition = 3'
    )
    assert bounds_of(duckdb.connect(), query, ["t", "u"]) == {
        "t": Bounds(start=6),
        "u": Bounds(partitions=frozenset({3})),
    }


def test_copy_and_subqueries_are_looked_into() -> None:
    query = "COPY (SELECT key FROM (SELECT * FROM t WHERE \"offset\" > 5) x) TO 'f.parquet'"
    assert bounds_of(duckdb.connect(), query, ["t"]) == {"t": Bounds(start=6)}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("SELECT * FROM t", {"key", "value", "headers"}),
        ("FROM t", {"key", "value", "headers"}),
        ("SELECT t FROM t", {"key", "value", "headers"}),
        ("SUMMARIZE t", {"key", "value", "headers"}),
        ("SELECT count(*), max(timestamp) FROM t", set()),
        ("SELECT count(*) FROM t WHERE key = 'a'", {"key"}),
        ("SELECT country FROM t JOIN u USING (key)", {"key", "value"}),
        ("SELECT a.Headers FROM t a", {"headers", "value"}),
        ("COPY (SELECT json FROM t) TO 'x'", {"value"}),
        ("COPY t TO 'x.parquet'", {"key", "value", "headers"}),
        ("COPY (SELECT key FROM t) TO 'x.parquet'", {"key"}),
        ("CREATE TABLE u AS SELECT value FROM t", {"key", "value", "headers"}),
        ("SELECT count(*) FROM t; SELECT value FROM t", {"key", "value", "headers"}),
    ],
)
def test_only_columns_that_are_named_are_read(query: str, wanted: set[str]) -> None:
    assert columns_of_records(duckdb.connect(), query) == wanted


@pytest.mark.parametrize(
    ("query", "enough"),
    [
        ("SELECT * FROM t LIMIT 3", 3),
        ("SELECT key, value FROM t LIMIT 3 OFFSET 2", 5),
        ("DESCRIBE t", 1),
        ("SELECT * FROM t", None),
        ("SELECT count(*) FROM t LIMIT 3", None),
        ("SELECT * FROM t WHERE key = 'a' LIMIT 3", None),
        ("SELECT * FROM t ORDER BY key LIMIT 3", None),
        ("SELECT DISTINCT key FROM t LIMIT 3", None),
        ("SELECT * FROM t JOIN u USING (key) LIMIT 3", None),
        ("SELECT * FROM t LIMIT 10 PERCENT", None),
        ("SUMMARIZE t", None),
    ],
)
def test_a_limit_ends_reading_where_any_records_will_do(query: str, enough: int | None) -> None:
    assert records_enough(duckdb.connect(), query) == enough
