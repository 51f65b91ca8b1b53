"""Damage is named by file and byte; a directory in order has none."""

from pathlib import Path

import pytest

from ottla.batch.record_batch import Record, build_batch
from ottla.inspect.verification import Findings, verify

SEGMENT = "00000000000000000000.log"


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    """A partition of two batches with two records each."""
    directory = tmp_path / "orders-0"
    directory.mkdir()
    data = b"".join(
        build_batch([Record(n, 1_000, None, b"x"), Record(n + 1, 1_000, None, b"y")], base_offset=n)
        for n in (0, 2)
    )
    (directory / SEGMENT).write_bytes(data)
    return directory


def look_at(partition: Path) -> Findings:
    findings = Findings()
    for _ in verify(partition.parent, findings, is_deep=True):
        pass
    return findings


def test_an_intact_partition_is_counted_and_in_order(partition: Path) -> None:
    findings = look_at(partition)
    assert (findings.partitions, findings.segments, findings.batches) == (1, 1, 2)
    assert findings.records == 4
    assert findings.problems == []


def test_a_flipped_byte_is_named_with_its_batch(partition: Path) -> None:
    path = partition / SEGMENT
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (problem,) = look_at(partition).problems
    assert str(problem) == (
        f"{path} at byte {len(data) // 2}: the checksum of the batch with offset 2 is wrong."
    )


def test_a_torn_end_is_named(partition: Path) -> None:
    path = partition / SEGMENT
    path.write_bytes(path.read_bytes()[:-3])
    (problem,) = look_at(partition).problems
    assert "no whole batch" in problem.sentence


def test_repeated_offsets_are_named(partition: Path) -> None:
    path = partition / SEGMENT
    path.write_bytes(path.read_bytes() * 2)
    assert [p.sentence for p in look_at(partition).problems] == [
        "offset 0 comes again; 4 was due.",
        "offset 2 comes again; 4 was due.",
    ]


def test_an_index_that_leads_astray_is_named(partition: Path) -> None:
    (partition / SEGMENT).with_suffix(".index").write_bytes(b"\0\0\0\1" + b"\0\0\0\7")
    (problem,) = look_at(partition).problems
    assert problem.sentence == "offset 1 is not at byte 7 of the log."


def test_deleted_partitions_are_left_alone(partition: Path) -> None:
    partition.rename(partition.with_name("orders-0.abc-delete"))
    assert look_at(partition).partitions == 0
