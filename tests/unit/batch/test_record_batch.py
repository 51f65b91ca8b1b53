"""Batches say what they hold, and refuse what they cannot."""

import pytest

from ottla.batch.compression import Codec
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import (
    HEADER_BYTES,
    Record,
    assign,
    build_batch,
    has_valid_crc,
    headers,
    read_header,
    rebuild_batch,
    records,
)
from ottla.wire.errors import ErrorCode

SOME = [
    Record(0, 1000, b"k", b"v", (("h", b"1"), ("n", None))),
    Record(1, 999, None, b"x" * 1000),
    Record(2, 2**40, b"", None),
]


def numbered(base_offset: int) -> list[Record]:
    return [record._replace(offset=base_offset + i) for i, record in enumerate(SOME)]


@pytest.mark.parametrize("codec", list(Codec))
def test_built_batch_reads_back(codec: Codec) -> None:
    batch = build_batch(SOME, base_offset=70, compression=codec, leader_epoch=3)
    header = read_header(batch)
    assert header.size_in_bytes == len(batch)
    assert (header.base_offset, header.last_offset, header.next_offset) == (70, 72, 73)
    assert header.compression == codec
    assert header.max_timestamp == 2**40
    assert header.partition_leader_epoch == 3
    assert header.last_sequence == -1
    assert has_valid_crc(batch, 0, header)
    assert list(records(batch)) == numbered(70)


def test_flags_and_sequences() -> None:
    batch = build_batch(
        SOME, producer_id=7, producer_epoch=1, base_sequence=2**31 - 2, transactional=True
    )
    header = read_header(batch)
    assert header.is_transactional
    assert not header.is_control
    assert header.has_producer_id
    assert header.last_sequence == 0
    assert header.delete_horizon_ms is None
    assert read_header(build_batch(SOME, control=True)).is_control


def test_assign_keeps_the_crc_unless_the_time_changes() -> None:
    batch = build_batch(SOME)
    buffer = bytearray(b"before") + batch
    assign(buffer, 6, 500, 9)
    header = read_header(buffer, 6)
    assert (header.base_offset, header.partition_leader_epoch) == (500, 9)
    assert header.crc == read_header(batch).crc
    assert has_valid_crc(buffer, 6, header)
    assign(memoryview(buffer), 6, 501, 9, 12345)
    header = read_header(buffer, 6)
    assert header.is_log_append_time
    assert header.max_timestamp == 12345
    assert has_valid_crc(buffer, 6, header)
    assert {record.timestamp for record in records(buffer, 6)} == {12345}


def test_headers_walks_batches_and_refuses_a_torn_end() -> None:
    first, second = build_batch(SOME), build_batch(SOME[:1], base_offset=3)
    both = bytes(first + second)
    assert [(p, h.base_offset) for p, h in headers(both)] == [(0, 0), (len(first), 3)]
    for cut in (len(first) + 5, len(first) + 20, len(both) - 1):
        with pytest.raises(CorruptBatchError) as caught:
            list(headers(both[:cut]))
        assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


def test_a_flipped_bit_breaks_the_crc() -> None:
    batch = build_batch(SOME)
    batch[-1] ^= 1
    assert not has_valid_crc(batch, 0, read_header(batch))
    assert not has_valid_crc(batch[:-1], 0, read_header(batch))


@pytest.mark.parametrize(
    ("position", "value", "code"),
    [
        (16, b"\x01", ErrorCode.INVALID_RECORD),  # magic
        (8, b"\x00\x00\x00\x30", ErrorCode.CORRUPT_MESSAGE),  # length 48
        (8, b"\xff\xff\xff\xff", ErrorCode.CORRUPT_MESSAGE),
        (23, b"\xff\xff\xff\xff", ErrorCode.INVALID_RECORD),  # last_offset_delta
        (57, b"\xff\xff\xff\xff", ErrorCode.INVALID_RECORD),  # record_count
    ],
)
def test_impossible_headers_are_refused(position: int, value: bytes, code: ErrorCode) -> None:
    batch = build_batch(SOME)
    batch[position : position + len(value)] = value
    with pytest.raises(CorruptBatchError) as caught:
        read_header(batch)
    assert caught.value.code is code


def test_old_format_is_named_even_when_shorter_than_a_header() -> None:
    with pytest.raises(CorruptBatchError) as caught:
        read_header(bytes(26))
    assert caught.value.code is ErrorCode.INVALID_RECORD
    with pytest.raises(CorruptBatchError) as caught:
        read_header(bytes(10))
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("count", [2, 4])
def test_wrong_record_count_is_refused(count: int) -> None:
    batch = build_batch(SOME)
    batch[57:61] = count.to_bytes(4, "big")
    with pytest.raises(CorruptBatchError):
        list(records(batch))


def test_unknown_codec_is_refused() -> None:
    batch = build_batch(SOME)
    batch[22] |= 7
    with pytest.raises(CorruptBatchError) as caught:
        list(records(batch))
    assert caught.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_rebuilt_batch_keeps_its_range_and_gains_a_horizon() -> None:
    batch = build_batch(
        SOME, base_offset=10, producer_id=7, producer_epoch=0, base_sequence=4, compression=3
    )
    header = read_header(batch)
    kept = [list(records(batch))[1]]
    rebuilt = rebuild_batch(header, kept, delete_horizon_ms=5000)
    changed = read_header(rebuilt)
    assert has_valid_crc(rebuilt, 0, changed)
    assert (changed.base_offset, changed.last_offset) == (10, 12)
    assert changed.last_sequence == header.last_sequence
    assert changed.delete_horizon_ms == 5000
    assert changed.max_timestamp == 999
    assert list(records(rebuilt)) == kept
    again = read_header(rebuild_batch(changed, kept, delete_horizon_ms=9000))
    assert again.delete_horizon_ms == 5000


def test_emptied_batch_still_tells_the_sequence() -> None:
    header = read_header(build_batch(SOME, producer_id=7, producer_epoch=0, base_sequence=4))
    rebuilt = rebuild_batch(header, [])
    assert len(rebuilt) == HEADER_BYTES
    assert read_header(rebuilt).last_sequence == 6
    assert list(records(rebuilt)) == []


def batch_of(body: bytes, count: int = 1) -> bytes:
    """A batch whose records are these bytes."""
    batch = bytearray(build_batch(SOME[:1])[:HEADER_BYTES]) + body
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[57:61] = count.to_bytes(4, "big")
    return bytes(batch)


# A record: length, attributes, timestamp delta, offset delta, key, value, header count.
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x0c\x00\x00\x00\x01\x01\x00"[:-1],  # ends early
        b"\x0b\x00\x00\x00\x01\x01\x00",  # negative length
        b"\xff\xff\xff\xff\x0f",  # negative length of five bytes
        b"\xff\xff\xff\xff\xff\x0f",  # six bytes
        b"\x0e\x00\x00\x00\x01\x01\x00\x00",  # longer than its content
        b"\x0c\x00\x00\x00\x01\x01\x00\x00",  # a byte behind it
        b"\x0c\x00\x00\x02\x01\x01\x00",  # offset beyond the last
        b"\x0c\x00\x00\x00\x03\x01\x00",  # key of length -2
        b"\x0c\x00\x00\x00\x10\x01\x00",  # key runs over the end
        b"\x0c\x00\x00\x00\x01\x01\x01",  # negative number of headers
        b"\x0c\x00\x00\x00\x01\x01\x20",  # more headers than bytes
        b"\x10\x00\x00\x00\x01\x01\x02\x01\x01",  # header without a key
    ],
)
def test_broken_records_are_refused(body: bytes) -> None:
    with pytest.raises(CorruptBatchError) as caught:
        list(records(batch_of(body)))
    assert caught.value.code is ErrorCode.INVALID_RECORD


def test_offsets_within_a_batch_must_ascend() -> None:
    one = b"\x0c\x00\x00\x00\x01\x01\x00"
    with pytest.raises(CorruptBatchError):
        list(records(batch_of(one + one, count=2)))


def test_numbers_beyond_64_bits_are_refused() -> None:
    late = build_batch([Record(0, 2**63 - 1, None, None), Record(0, 0, None, None)])
    late[35 - 8 : 35] = (-5).to_bytes(8, "big", signed=True)
    with pytest.raises(CorruptBatchError):
        list(records(late))
    far = build_batch(SOME)
    assign(far, 0, 2**63 - 2, 0)
    with pytest.raises(CorruptBatchError):
        records(far)


def test_truncated_records_are_refused() -> None:
    with pytest.raises(CorruptBatchError) as caught:
        records(build_batch(SOME)[:-1])
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE
