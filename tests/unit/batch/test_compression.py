"""Every codec reads what it wrote, within limits, and refuses the rest."""

import gzip

import cramjam
import pytest

from ottla.batch import lz4_frame
from ottla.batch.compression import Codec, compress, decompress
from ottla.batch.errors import CorruptBatchError
from ottla.wire.errors import ErrorCode

PACKED = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 1_000_000])
def test_round_trip(codec: Codec, size: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    assert decompress(codec, compress(codec, memoryview(data))) == data


@pytest.mark.parametrize("codec", PACKED)
def test_bombs_stop_at_the_limit(codec: Codec) -> None:
    bomb = compress(codec, bytes(5_000_000))
    assert len(bomb) < 300_000
    assert len(decompress(codec, bomb, 5_000_000)) == 5_000_000
    with pytest.raises(CorruptBatchError) as caught:
        decompress(codec, bomb, 4_999_999)
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("codec", PACKED)
def test_truncated_and_foreign_bytes_are_refused(codec: Codec) -> None:
    whole = compress(codec, b"hello, hello, hello")
    for bad in (b"", whole[:-3], b"\xff" * 40, whole[:5]):
        with pytest.raises(CorruptBatchError):
            decompress(codec, bad)


def test_unknown_codecs_are_refused() -> None:
    for act in (compress, decompress):
        with pytest.raises(CorruptBatchError) as caught:
            act(5, b"x")
        assert caught.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_raw_snappy_is_read_as_well() -> None:
    data = b"ottla" * 100
    assert decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(data))) == data


def test_broken_snappy_streams_are_refused() -> None:
    whole = compress(Codec.SNAPPY, b"x" * 100_000)
    for bad in (whole[:12], whole[:18], whole[:-1], whole[:16] + b"\xff" * 4):
        with pytest.raises(CorruptBatchError):
            decompress(Codec.SNAPPY, bad)


def test_gzip_members_one_after_the_other_are_one_text() -> None:
    assert decompress(Codec.GZIP, gzip.compress(b"ab") + gzip.compress(b"cd")) == b"abcd"


def test_xxh32_is_the_published_one() -> None:
    assert lz4_frame.xxh32(b"") == 0x02CC5D05
    assert lz4_frame.xxh32(b"abc") == 0x32D153FF
    assert lz4_frame.xxh32(b"Nobody inspects the spammish repetition") == 0xE2293B2F


def test_both_lz4_header_checksums() -> None:
    frame = compress(Codec.LZ4, b"hello")
    old = lz4_frame.with_legacy_checksum(frame)
    assert old != frame
    assert lz4_frame.with_correct_checksum(old) == frame
    assert lz4_frame.with_correct_checksum(frame) == frame
    with pytest.raises(CorruptBatchError):
        decompress(Codec.LZ4, old)


def test_lz4_header_with_content_size_and_dictionary() -> None:
    described = lz4_frame.MAGIC + bytes([0x69, 0x40]) + bytes(12) + b"\x00rest"
    assert lz4_frame.with_correct_checksum(described)[-4:] == b"rest"
    for bad in (b"", b"\x04\x22\x4d\x18\x60", described[:18], b"x" * 30):
        with pytest.raises(CorruptBatchError):
            lz4_frame.with_correct_checksum(bad)
