"""Server-side assignors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ottla.coordinator.assignors import (
    NOTHING,
    AssignmentMember,
    Partitions,
    assign_range,
    assign_simple,
    assign_uniform,
    slots_of,
    to_partitions,
)

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def member(
    name: str, *topics: bytes, owned: Partitions = NOTHING, instance: str | None = None
) -> AssignmentMember:
    return AssignmentMember(name, instance, frozenset(topics), owned)


def test_range_gives_contiguous_ranges_in_member_order() -> None:
    members = [member("2", A, B), member("1", A, B), member("9", A, instance="x")]
    result = assign_range(members, {A: 5, B: 2})
    assert result == {
        "9": {A: frozenset({0, 1})},
        "1": {A: frozenset({2, 3}), B: frozenset({0})},
        "2": {A: frozenset({4}), B: frozenset({1})},
    }


def test_uniform_keeps_what_members_have() -> None:
    owned = {A: frozenset({0, 3})}
    members = [member("1", A, owned=owned), member("2", A)]
    result = assign_uniform(members, {A: 4})
    assert result["1"] == owned
    assert result["2"] == {A: frozenset({1, 2})}


def test_uniform_gives_to_who_wants_little() -> None:
    members = [member("1", A, B), member("2", A)]
    result = assign_uniform(members, {A: 2, B: 2})
    assert {m: len(slots_of(p)) for m, p in result.items()} == {"1": 2, "2": 2}
    assert result["1"] == {B: frozenset({0, 1})}


def test_simple_shares_partitions_when_members_are_many() -> None:
    members = [member(str(i), A) for i in range(5)]
    result = assign_simple(members, {A: 2})
    assert [sorted(result[str(i)][A]) for i in range(5)] == [[0], [1], [0], [1], [0]]
    few = assign_simple(members[:2], {A: 5})
    assert [sorted(few[str(i)][A]) for i in range(2)] == [[0, 2, 4], [1, 3]]


groups = st.dictionaries(
    st.sampled_from("uvwxyz"),
    st.tuples(
        st.frozensets(st.sampled_from([A, B, C])),
        st.frozensets(st.tuples(st.sampled_from([A, B, C]), st.integers(0, 8))),
    ),
    max_size=6,
)
counts = st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 7))


@given(groups, counts)
def test_every_wanted_partition_has_exactly_one_taker_who_wants_it(
    group: dict[str, tuple[frozenset[bytes], frozenset[tuple[bytes, int]]]],
    partition_counts: dict[bytes, int],
) -> None:
    members = [
        AssignmentMember(name, None, topics, to_partitions(owned))
        for name, (topics, owned) in group.items()
    ]
    wanted = {t for m in members for t in m.topics}
    slots = {(t, p) for t, n in partition_counts.items() if t in wanted for p in range(n)}
    for assign in (assign_uniform, assign_range):
        result = assign(members, partition_counts)
        assert set(result) == set(group)
        given_out = [s for found in result.values() for s in slots_of(found)]
        assert sorted(given_out) == sorted(slots)
        for m in members:
            assert set(result[m.member_id]) <= m.topics
        if assign is assign_uniform and len({m.topics for m in members}) == 1:
            sizes = [len(slots_of(found)) for found in result.values()]
            assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 5))
def test_uniform_moves_only_what_it_must(size: int, partitions: int, leaver: int) -> None:
    names = [str(i) for i in range(size + 1)]
    first = assign_uniform([member(n, A) for n in names], {A: partitions})
    rest = [n for i, n in enumerate(names) if i != leaver % len(names)]
    second = assign_uniform([member(n, A, owned=first[n]) for n in rest], {A: partitions})
    for name in rest:
        assert slots_of(first[name]) <= slots_of(second[name])
