"""Segments and indexes are read entry by entry, and no further than they are whole."""

import struct
from pathlib import Path

import pytest

from ottla.batch.message_set import build_set
from ottla.batch.record_batch import Record, build_batch
from ottla.inspect.data_files import (
    Segment,
    base_offset_of,
    batch_at,
    index_entries,
    time_index_entries,
)

NAME = "00000000000000000100"


def write_segment(directory: Path, *parts: bytes | bytearray) -> Path:
    path = directory / f"{NAME}.log"
    path.write_bytes(b"".join(parts))
    return path


def records_from(offset: int, count: int = 2) -> list[Record]:
    return [Record(offset + n, 1_000 + n, b"k", b"v%d" % n) for n in range(count)]


def test_batches_come_with_their_places_and_records(tmp_path: Path) -> None:
    first = build_batch(records_from(100), base_offset=100)
    second = build_batch(records_from(102), base_offset=102, compression=4)
    segment = Segment(write_segment(tmp_path, first, second))
    batches = list(segment)
    assert [(batch.position, batch.size, batch.is_valid) for batch in batches] == [
        (0, len(first), True),
        (len(first), len(second), True),
    ]
    assert [record.offset for batch in batches for record in batch.records()] == [*range(100, 104)]
    assert segment.valid_bytes == segment.size


def test_a_torn_end_is_left_over(tmp_path: Path) -> None:
    whole = build_batch(records_from(100), base_offset=100)
    segment = Segment(write_segment(tmp_path, whole, whole[:-5]))
    assert len(list(segment)) == 1
    assert segment.size - segment.valid_bytes == len(whole) - 5


def test_a_wrong_checksum_is_shown_and_not_hidden(tmp_path: Path) -> None:
    batch = build_batch(records_from(100), base_offset=100)
    batch[-1] ^= 1
    assert [one.is_valid for one in Segment(write_segment(tmp_path, batch))] == [False]


def test_old_formats_are_read_too(tmp_path: Path) -> None:
    old = build_set(records_from(100), 1)
    batches = list(Segment(write_segment(tmp_path, old)))
    assert [batch.legacy.offset for batch in batches if batch.legacy] == [100, 101]
    assert [record.value for batch in batches for record in batch.records()] == [b"v0", b"v1"]


def test_an_empty_segment_has_no_batches(tmp_path: Path) -> None:
    assert list(Segment(write_segment(tmp_path))) == []


def test_a_batch_can_be_looked_up_by_its_position(tmp_path: Path) -> None:
    batch = build_batch(records_from(100), base_offset=100)
    path = write_segment(tmp_path, batch, batch)
    found = batch_at(path, len(batch))
    assert found is not None
    assert found.position == len(batch)
    assert batch_at(path, 2 * len(batch)) is None


def test_indexes_end_where_their_zeros_begin(tmp_path: Path) -> None:
    index = tmp_path / f"{NAME}.index"
    index.write_bytes(struct.pack(">iiiiii", 0, 0, 7, 4096, 0, 0))
    assert list(index_entries(index)) == [(100, 0), (107, 4096)]
    times = tmp_path / f"{NAME}.timeindex"
    times.write_bytes(struct.pack(">qiqi", 5_000, 3, 0, 0))
    assert list(time_index_entries(times)) == [(5_000, 103)]


def test_a_file_without_an_offset_in_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        base_offset_of(tmp_path / "meta.properties")
