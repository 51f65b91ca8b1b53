"""The old formats: read, refused, and converted both ways by Kafka's rules."""

import struct
import zlib

import pytest

from ottla.batch.compression import Codec, compress
from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.errors import CorruptBatchError
from ottla.batch.message_set import (
    build_set,
    down_convert,
    magic_of,
    messages,
    set_records,
    up_convert,
)
from ottla.batch.record_batch import Record, build_batch, read_header, rebuild_batch, records
from ottla.wire.errors import ErrorCode

OLD_CODECS = [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4]
SOME = [
    Record(20, 1000, b"a", b"1"),
    Record(21, 3000, None, b"2" * 500),
    Record(24, 2000, b"c", None),
]
TIMELESS = [record._replace(timestamp=-1) for record in SOME]


def message(magic: int, attributes: int, value: bytes | None, offset: int = 0) -> bytes:
    body = struct.pack(">bB", magic, attributes)
    if magic == 1:
        body += struct.pack(">q", 5)
    body += struct.pack(">i", -1)
    body += struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
    return struct.pack(">qiI", offset, len(body) + 4, zlib.crc32(body)) + body


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", OLD_CODECS)
def test_sets_keep_offsets_even_with_gaps(magic: int, codec: Codec) -> None:
    data = build_set(SOME, magic, codec)
    assert magic_of(data) == magic
    assert list(set_records(data)) == (TIMELESS if magic == 0 else SOME)
    outer = list(messages(data))
    assert len(outer) == (1 if codec else 3)
    assert outer[-1].offset == 24
    if codec and magic == 1:
        assert outer[0].timestamp == 3000


def test_append_time_counts_for_the_whole_wrapper() -> None:
    appended = [record._replace(timestamp=7000) for record in SOME]
    data = build_set(appended, 1, Codec.GZIP, is_log_append_time=True)
    assert next(messages(data)).is_log_append_time
    assert list(set_records(data)) == appended
    with pytest.raises(CorruptBatchError) as caught:
        up_convert(data)
    assert caught.value.code is ErrorCode.INVALID_TIMESTAMP


@pytest.mark.parametrize("magic", [0, 1])
def test_a_set_of_wrappers_and_plain_messages_becomes_one_batch(magic: int) -> None:
    data = build_set(SOME[:1], magic) + build_set(SOME[1:], magic, Codec.LZ4)
    batch = up_convert(data)
    header = read_header(batch)
    assert header.compression == Codec.LZ4
    assert (header.base_offset, header.record_count) == (0, 3)
    assert [record.value for record in records(batch)] == [record.value for record in SOME]


def refused(data: bytes) -> ErrorCode:
    with pytest.raises(CorruptBatchError) as caught:
        up_convert(data)
    return caught.value.code


def test_broken_framing_is_corrupt() -> None:
    whole = build_set(SOME, 1)
    for bad in (whole[:5], whole[:-1], whole[:30], bytes(12), b"\x00" * 8 + b"\xff" * 40):
        assert refused(bad) is ErrorCode.CORRUPT_MESSAGE
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    assert refused(bytes(flipped)) is ErrorCode.CORRUPT_MESSAGE


def test_fields_that_do_not_fit_are_corrupt() -> None:
    def framed(body: bytes) -> bytes:
        return struct.pack(">qiI", 0, len(body) + 4, zlib.crc32(body)) + body

    start = struct.pack(">bB", 0, 0)
    null = struct.pack(">i", -1)
    for rest in (
        struct.pack(">i", 100) + bytes(20),  # key runs over the end
        struct.pack(">i", -2) + bytes(20),
        struct.pack(">i", 6) + bytes(6),  # no room for the value's length
        null + null + b"more",
    ):
        assert refused(framed(start + rest)) is ErrorCode.CORRUPT_MESSAGE
    assert refused(framed(struct.pack(">bB", 1, 0) + null + null)) is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("magic", [0, 1])
def test_impossible_wrappers_are_invalid(magic: int) -> None:
    gzip = Codec.GZIP
    other = build_set(SOME, 1 - magic)
    assert refused(message(magic, gzip, None)) is ErrorCode.INVALID_RECORD
    assert refused(message(magic, gzip, compress(gzip, b""))) is ErrorCode.INVALID_RECORD
    assert refused(message(magic, gzip, compress(gzip, other))) is ErrorCode.INVALID_RECORD
    nested = compress(gzip, build_set(SOME, magic, gzip))
    assert refused(message(magic, gzip, nested)) is ErrorCode.INVALID_RECORD
    assert refused(b"") is ErrorCode.INVALID_RECORD
    zstd = message(magic, Codec.ZSTD, compress(Codec.ZSTD, build_set(SOME, magic)))
    assert refused(zstd) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert refused(message(magic, 7, b"x")) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_wrappers_share_one_limit() -> None:
    one = build_set([Record(0, 0, None, bytes(100_000))], 1, Codec.GZIP)
    assert len(list(set_records(one + one, limit=210_000))) == 2
    with pytest.raises(CorruptBatchError):
        list(set_records(one + one, limit=150_000))


def test_new_magic_is_refused_within_a_set() -> None:
    assert refused(bytes(build_batch(SOME))) is ErrorCode.INVALID_RECORD
    with pytest.raises(CorruptBatchError):
        magic_of(bytes(16))
    with pytest.raises(CorruptBatchError):
        magic_of(b"\x09" * 20)


@pytest.mark.parametrize("magic", [0, 1])
def test_down_conversion_drops_what_the_format_lacks(magic: int) -> None:
    plain = build_batch(
        [Record(0, 10, b"k", b"v", (("h", b"x"),)), Record(0, 11, None, b"w")], base_offset=100
    )
    marker = build_marker_batch(
        TransactionMarker(True, 0),
        producer_id=1,
        producer_epoch=0,
        timestamp_ms=12,
        base_offset=102,
    )
    packed = build_batch(
        [Record(0, 13, b"a", b"b"), Record(0, 14, b"c", b"d")], base_offset=103, compression=2
    )
    stored = plain + marker + packed
    found = list(set_records(down_convert(stored, magic, first_offset=101)))
    # Plain records below the wanted offset go, wrappers stay whole.
    assert [record.offset for record in found] == [101, 103, 104]
    assert [record.timestamp for record in found] == ([-1] * 3 if magic == 0 else [11, 13, 14])
    assert [record.headers for record in found] == [()] * 3
    assert down_convert(plain, magic, first_offset=102) == b""


def test_down_conversion_keeps_the_append_time_and_skips_emptied_batches() -> None:
    appended = build_batch([Record(0, 10, b"k", b"v")], log_append_time_ms=777)
    data = down_convert(appended, 1)
    assert next(messages(data)).is_log_append_time
    assert [record.timestamp for record in set_records(data)] == [777]
    emptied = rebuild_batch(read_header(appended), [])
    assert down_convert(emptied, 1) == b""


def test_zstd_cannot_be_converted_down() -> None:
    with pytest.raises(CorruptBatchError) as caught:
        down_convert(build_batch(SOME, compression=Codec.ZSTD), 1)
    assert caught.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
