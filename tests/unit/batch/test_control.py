"""Markers read back, and other control records are not mistaken for them."""

import pytest

from ottla.batch.control import (
    ControlType,
    TransactionMarker,
    build_marker_batch,
    control_type,
    transaction_marker,
)
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import Record, has_valid_crc, read_header, records


@pytest.mark.parametrize("is_commit", [True, False])
def test_markers_read_back(is_commit: bool) -> None:
    marker = TransactionMarker(is_commit, coordinator_epoch=12)
    batch = build_marker_batch(
        marker, producer_id=4, producer_epoch=2, timestamp_ms=99, base_offset=7, leader_epoch=1
    )
    header = read_header(batch)
    assert header.is_control
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (4, 2, -1)
    assert has_valid_crc(batch, 0, header)
    (record,) = records(batch)
    assert (record.offset, record.timestamp) == (7, 99)
    assert transaction_marker(record) == marker


def test_later_versions_are_read_by_their_beginning() -> None:
    record = Record(0, 0, b"\x00\x01\x00\x01more", b"\x00\x02\x00\x00\x00\x05more")
    assert transaction_marker(record) == TransactionMarker(True, 5)


def test_other_types_are_no_markers() -> None:
    leader_change = Record(0, 0, b"\x00\x00\x00\x02", b"")
    assert control_type(leader_change) is ControlType.LEADER_CHANGE
    assert transaction_marker(leader_change) is None
    assert control_type(Record(0, 0, b"\x00\x00\x00\x63", b"")) is ControlType.UNKNOWN


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b""),
        (b"\x00\x00\x00", b""),
        (b"\xff\xff\x00\x01", b"\x00\x00\x00\x00\x00\x05"),
        (b"\x00\x00\x00\x01", None),
        (b"\x00\x00\x00\x01", b"\x00\x00\x00\x00\x00"),
        (b"\x00\x00\x00\x01", b"\xff\xff\x00\x00\x00\x05"),
    ],
)
def test_broken_control_records_are_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(CorruptBatchError):
        transaction_marker(Record(0, 0, key, value))
