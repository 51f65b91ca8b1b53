from __future__ import annotations

import json

import pytest

from ottla.batch.errors import CorruptBatchError
from ottla.batch.message_set import build_set
from ottla.batch.record_batch import Record, build_batch, records
from ottla.cli.workers.record_columns import Columns, columns_of, unpacked

RECORDS = [
    Record(10, 1000, None, b"", ()),
    Record(11, 990, b"", None, (("a", b"\xc3\xa9"), ("n", None))),
    Record(12, 99_000_000_000, b"k" * 63, b"v" * 64, ()),
    Record(13, 1001, b"k", b"v" * 8191, ()),
    Record(14, 1002, b"k" * 20_000, b"v" * 3_000_000, (("a", b"1"), ("a", b"2"))),
]


def as_records(columns: Columns) -> list[Record]:
    return [
        Record(int(offset), int(time), key, value)
        for offset, time, key, value in zip(
            columns.offsets, columns.timestamps, columns.keys, columns.values, strict=True
        )
    ]


def read(data: bytes | bytearray) -> Columns:
    return columns_of(unpacked(memoryview(data)))


@pytest.mark.parametrize("codec", range(5))
def test_columns_hold_what_records_do(codec: int) -> None:
    first = build_batch(RECORDS, base_offset=10, compression=codec)
    second = build_batch([Record(20, 5, b"a", b"b")], base_offset=20)
    columns = read(first + second)
    expected = [*records(first), *records(second)]
    assert as_records(columns) == [record._replace(headers=()) for record in expected]
    assert {row: json.loads(text) for row, text in columns.headers.items()} == {
        1: {"a": "é", "n": None},
        4: {"a": "2"},
    }


def test_the_brokers_time_counts_where_it_stamps() -> None:
    data = build_batch(RECORDS, base_offset=10, log_append_time_ms=77)
    assert set(read(data).timestamps.tolist()) == {77}


def test_control_batches_are_left_out_and_move_on() -> None:
    control = build_batch([Record(3, 1, b"\0\0\0\1", b"\0" * 6)], base_offset=3, control=True)
    batches = unpacked(memoryview(control))
    assert batches.next_offset == 4
    assert as_records(columns_of(batches)) == []


def test_a_batch_that_is_cut_off_waits_for_the_next_response() -> None:
    data = build_batch(RECORDS[:2], base_offset=10)
    batches = unpacked(memoryview(data + data[:-1]))
    assert batches.next_offset == 12
    assert len(columns_of(batches).offsets) == 2
    assert unpacked(memoryview(data[:-1])).next_offset is None


@pytest.mark.parametrize("magic", [0, 1])
def test_the_formats_of_old_are_read_too(magic: int) -> None:
    old = build_set([Record(5, 50, b"k", b"v"), Record(6, 60, None, b"w")], magic)
    new = build_batch([Record(7, 70, b"k", None)], base_offset=7)
    columns = read(bytes(old) + bytes(new))
    assert columns.offsets.tolist() == [5, 6, 7]
    assert columns.keys == [b"k", None, b"k"]
    assert columns.values == [b"v", b"w", None]


def test_only_what_was_asked_for_is_kept() -> None:
    columns = read(build_batch(RECORDS, base_offset=10)).between(11, 14)
    assert columns.offsets.tolist() == [11, 12, 13]
    assert [len(value or b"") for value in columns.values] == [0, 64, 8191]
    assert list(columns.headers) == [0]


def test_a_length_that_lies_is_an_error() -> None:
    data = build_batch([Record(0, 0, None, b"value")])
    data[61] = 0x7E
    with pytest.raises(CorruptBatchError):
        read(data)
