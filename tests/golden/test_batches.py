"""Batches and message sets that other producers wrote read as what they were given."""

import json
from pathlib import Path
from typing import Any

import pytest

from ottla.batch.compression import Codec
from ottla.batch.message_set import build_set, down_convert, magic_of, set_records, up_convert
from ottla.batch.record_batch import Record, has_valid_crc, headers, read_header, records

GOLDEN = json.loads((Path(__file__).parent / "batches.json").read_text())


def unhex(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


HEADERS = tuple((key, None if v is None else v.encode()) for key, v in GOLDEN["headers"])
RECORDS = [
    Record(offset, timestamp, unhex(key), unhex(value), HEADERS)
    for offset, (timestamp, key, value) in enumerate(GOLDEN["records"])
]
PLAIN = [record._replace(headers=()) for record in RECORDS]
TIMELESS = [record._replace(timestamp=-1) for record in PLAIN]


def each(*magics: int) -> Any:
    rows = [row for row in GOLDEN["batches"] if row["magic"] in magics]
    return pytest.mark.parametrize(
        "row", rows, ids=[f"{row['producer']}-v{row['magic']}-{row['codec']}" for row in rows]
    )


@each(2)
def test_batches_read_as_they_were_written(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    ((position, header),) = headers(data)
    assert magic_of(data) == 2
    assert has_valid_crc(data, position, header)
    assert Codec(header.compression).name.lower() == row["codec"]
    assert header.max_timestamp == max(record.timestamp for record in RECORDS)
    assert list(records(data)) == RECORDS


@each(0, 1)
def test_message_sets_read_and_become_batches(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    expected = TIMELESS if row["magic"] == 0 else PLAIN
    assert magic_of(data) == row["magic"]
    found = list(set_records(data))
    # Some producers leave the wrapper's offset at 0, which puts the first records below it.
    first = found[0].offset
    assert [record._replace(offset=record.offset - first) for record in found] == expected
    batch = up_convert(data)
    header = read_header(batch)
    assert has_valid_crc(batch, 0, header)
    assert Codec(header.compression).name.lower() == row["codec"]
    assert list(records(batch)) == expected


@each(0, 1)
def test_uncompressed_sets_are_written_byte_for_byte(row: dict[str, Any]) -> None:
    if row["codec"] == "none":
        assert build_set(PLAIN, row["magic"]).hex() == row["hex"]


@each(2)
@pytest.mark.parametrize("magic", [0, 1])
def test_batches_become_sets_for_old_consumers(row: dict[str, Any], magic: int) -> None:
    data = bytes.fromhex(row["hex"])
    if row["codec"] != "zstd":
        expected = TIMELESS if magic == 0 else PLAIN
        assert list(set_records(down_convert(data, magic))) == expected
