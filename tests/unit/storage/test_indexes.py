"""Offset and time indexes find what a plain search finds, in memory and in their files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.storage import time_index, transaction_index
from ottla.storage.offset_index import OffsetIndex, SealedOffsetIndex
from ottla.storage.offset_map import OffsetMap
from ottla.storage.time_index import NOTHING, TimeIndex, TimestampOffset
from ottla.storage.transaction_index import AbortedTransaction

BASE = 1_000


def reader(data: bytes):
    return lambda size, position: data[position : position + size]


def an_index(entries: int) -> OffsetIndex:
    index = OffsetIndex(BASE)
    for i in range(entries):
        index.append(BASE + 10 * i + 9, 4_096 * i)
    return index


@pytest.mark.parametrize("entries", [0, 1, 2, 511, 512, 513, 5_000])
def test_memory_and_file_agree_on_every_floor(entries: int) -> None:
    index = an_index(entries)
    data = index.encode()
    sealed = SealedOffsetIndex(BASE, len(data))
    for offset in [*range(BASE - 1, BASE + 200), *range(BASE, BASE + 10 * entries + 20, 97)]:
        at = (offset - BASE - 9) // 10
        expected = 4_096 * min(at, entries - 1) if at >= 0 and entries else 0
        assert index.floor_by_offset(offset) == expected
        assert sealed.floor_by_offset(offset, reader(data)) == expected
    for position in [*range(0, 20_000, 1_000), *range(0, 4_096 * entries + 10_000, 99_991)]:
        expected = 4_096 * min(position // 4_096, entries - 1) if entries else 0
        assert index.floor_by_position(position) == expected
        assert sealed.floor_by_position(position, reader(data)) == expected


def test_a_sealed_index_looks_again_only_outside_of_the_block_at_hand() -> None:
    data = an_index(5_000).encode()
    reads = []

    def read(size: int, position: int) -> bytes:
        reads.append(size)
        return data[position : position + size]

    sealed = SealedOffsetIndex(BASE, len(data))
    sealed.floor_by_offset(BASE + 20_000, read)
    seen = len(reads)
    for offset in range(BASE + 20_000, BASE + 20_500, 10):
        sealed.floor_by_offset(offset, read)
    assert len(reads) == seen
    sealed.floor_by_offset(BASE + 40_000, read)
    assert len(reads) > seen


def test_a_file_cut_short_under_a_sealed_index_does_no_harm() -> None:
    data = an_index(5_000).encode()
    sealed = SealedOffsetIndex(BASE, len(data))
    assert sealed.floor_by_offset(BASE + 40_000, reader(data[:801])) <= 100 * 4_096


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_entries_that_ascend(data: bytes) -> None:
    index = OffsetIndex.decode(BASE, data)
    again = OffsetIndex.decode(BASE, index.encode())
    assert again.encode() == index.encode() == data[: len(index) * 8]
    times = TimeIndex.decode(BASE, data)
    assert TimeIndex.decode(BASE, times.encode()).encode() == times.encode()
    last = times.last()
    assert last == NOTHING or last.offset >= BASE


def test_entries_behind_the_recovery_point_are_cut() -> None:
    index = an_index(10)
    index.cut(BASE + 39, 1 << 30)
    assert len(index) == 3
    assert index.last_position() == 2 * 4_096
    index.cut(1 << 30, 4_096)
    assert len(index) == 1
    index.cut(0, 0)
    assert (len(index), index.last_position()) == (0, 0)
    index.cut(0, 0)


def test_an_index_is_written_in_parts() -> None:
    index = an_index(10)
    assert index.encode(0)[:32] + index.encode(4) == index.encode()
    assert index.encode(10) == b""


def some_times() -> TimeIndex:
    times = TimeIndex(BASE)
    for timestamp, offset in ((100, 1_004), (100, 1_005), (90, 1_009), (150, 1_020), (-1, 1_030)):
        times.append_if_later(timestamp, offset)
    return times


def test_only_later_timestamps_are_entered() -> None:
    times = some_times()
    assert len(times) == 2
    assert times.last() == TimestampOffset(150, 1_020)
    assert TimeIndex(BASE).last() == NOTHING


@pytest.mark.parametrize(
    ("timestamp", "floor"), [(0, BASE), (100, BASE), (101, 1_004), (150, 1_004), (151, 1_020)]
)
def test_everything_before_the_floor_is_earlier(timestamp: int, floor: int) -> None:
    times = some_times()
    data = times.encode()
    assert times.floor(timestamp) == floor
    assert time_index.floor_in_file(BASE, len(data), timestamp, reader(data)) == floor


def test_the_last_entry_of_a_file_is_the_maximum() -> None:
    data = some_times().encode()
    assert time_index.last_in_file(BASE, len(data), reader(data)) == TimestampOffset(150, 1_020)
    assert time_index.last_in_file(BASE, 0, reader(b"")) == NOTHING
    assert time_index.last_in_file(BASE, 24, reader(b"")) == NOTHING
    assert time_index.floor_in_file(BASE, 24, 5, reader(b"")) == BASE


def test_times_behind_the_recovery_point_are_cut() -> None:
    times = some_times()
    times.cut(1_020)
    assert times.last() == TimestampOffset(100, 1_004)


def test_kafka_may_repeat_its_last_time_entry() -> None:
    data = some_times().encode()
    assert len(TimeIndex.decode(BASE, data + data[-12:])) == 2


def test_a_transaction_index_ends_at_its_first_impossible_entry() -> None:
    good = [AbortedTransaction(1, 2, 13, 4), AbortedTransaction(5, 6, 17, 18)]
    data = transaction_index.encode(good)
    assert len(data) == 68
    assert transaction_index.decode(data, 10) == good
    assert transaction_index.decode(data[:-1], 10) == good[:1]
    assert transaction_index.decode(data + bytes(34), 10) == good
    for bad in (
        AbortedTransaction(5, 6, 13, 8),  # not behind the one before
        AbortedTransaction(5, 20, 20, 8),  # no room for a record
        AbortedTransaction(5, -6, 20, 8),
        AbortedTransaction(-5, 6, 20, 8),
        AbortedTransaction(5, 6, 20, 22),
        AbortedTransaction(5, 6, 20, -1),
    ):
        assert transaction_index.decode(transaction_index.encode([good[0], bad]), 10) == good[:1]
    assert transaction_index.decode(data, 14) == []
    assert transaction_index.decode(b"\0\1" + data[2:], 10) == []


@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 1_000)), max_size=60))
def test_the_offset_map_is_a_dictionary(puts: list[tuple[bytes, int]]) -> None:
    offsets = OffsetMap()
    model: dict[bytes, int] = {}
    for key, offset in puts:
        offsets.put(key, offset)
        model[key] = offset
    assert len(offsets) == len(model)
    for key, offset in model.items():
        assert offsets.is_superseded(key, offset - 1)
        assert not offsets.is_superseded(key, offset)
    assert not offsets.is_superseded(b"never seen, and longer than a digest", 0)


def test_the_offset_map_has_a_limit_but_takes_one_batch() -> None:
    offsets = OffsetMap(max_keys=3)
    assert offsets.has_room(10)
    offsets.put(b"a", 0)
    assert offsets.has_room(2)
    assert not offsets.has_room(3)
