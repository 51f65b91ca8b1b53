"""What is guessed of a topic's JSON, and what is counted of its records."""

from __future__ import annotations

from ottla.console.messages import RecordView
from ottla.console.schema_guess import guess
from ottla.console.topic_statistics import DistinctKeys, Statistics, rounded


def test_the_shape_of_json() -> None:
    found = guess([b'{"a": 1, "b": {"c": ["x"]}}', b'{"a": 2.5, "b": null}', b"no json", None])
    assert (found.samples, found.json) == (4, 2)
    fields = {one.path: one for one in found.fields}
    assert list(fields) == ["$", "$.a", "$.b", "$.b.c", "$.b.c[]"]
    assert dict(fields["$.a"].types) == {"integer": 1, "number": 1}
    assert (fields["$.a"].low, fields["$.a"].high) == (1, 2.5)
    assert fields["$.b.c[]"].examples == ['"x"']
    assert fields["$.b.c"].seen == 1


def test_a_value_with_endless_names_is_bounded() -> None:
    wide = "{" + ",".join(f'"k{n}": 1' for n in range(5_000)) + "}"
    assert len(guess([wide.encode()]).fields) == 200


def test_counts_of_records() -> None:
    found = Statistics()
    for n in range(100):
        key = None if n % 4 == 0 else f"k{n % 10}".encode()
        found.add(RecordView(n % 2, n, 0, key, b"x" * n, []))
    assert (found.records, found.null_keys) == (100, 25)
    assert found.keys.count == 10
    assert found.by_partition == {0: 50, 1: 50}
    assert 50 <= found.percentile(50) <= 54
    assert found.percentile(100) >= 99


def test_distinct_keys_beyond_the_capacity_are_estimated() -> None:
    keys = DistinctKeys(capacity=1_000)
    for n in range(20_000):
        keys.add(f"key-{n}".encode())
    assert not keys.is_exact
    assert 16_000 < keys.count < 24_000


def test_sizes_are_rounded_up_by_at_most_four_percent() -> None:
    assert [rounded(n) for n in (0, 1, 31)] == [0, 1, 31]
    assert all(n <= rounded(n) <= n * 1.04 + 1 for n in range(1, 100_000, 37))
