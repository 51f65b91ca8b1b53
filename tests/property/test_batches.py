"""Batches and message sets: round trips hold, and any bytes raise only the one error."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ottla.batch.compression import Codec, decompress
from ottla.batch.errors import CorruptBatchError
from ottla.batch.message_set import build_set, down_convert, set_records, up_convert
from ottla.batch.record_batch import (
    Record,
    build_batch,
    has_valid_crc,
    headers,
    read_header,
    rebuild_batch,
    records,
)

timestamps = st.integers(min_value=-1, max_value=2**62)
fields = st.none() | st.binary(max_size=200)
record_headers = st.lists(
    st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=20)), max_size=3
).map(tuple)
record_lists = st.lists(
    st.builds(Record, st.just(0), timestamps, fields, fields, record_headers),
    min_size=1,
    max_size=8,
)
codecs = st.sampled_from(list(Codec))
old_codecs = st.sampled_from([Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4])
magics = st.sampled_from([0, 1])


@given(record_lists, codecs, st.integers(0, 2**62))
def test_batches_round_trip(some: list[Record], codec: Codec, base_offset: int) -> None:
    batch = build_batch(some, base_offset=base_offset, compression=codec)
    expected = [record._replace(offset=base_offset + i) for i, record in enumerate(some)]
    header = read_header(batch)
    assert has_valid_crc(batch, 0, header)
    assert list(records(batch)) == expected
    kept = expected[::2]
    assert list(records(rebuild_batch(header, kept))) == kept


@given(record_lists, old_codecs, magics)
def test_message_sets_round_trip(some: list[Record], codec: Codec, magic: int) -> None:
    plain = [record._replace(offset=i, headers=()) for i, record in enumerate(some)]
    if magic == 0:
        plain = [record._replace(timestamp=-1) for record in plain]
    data = build_set(plain, magic, codec)
    assert list(set_records(data)) == plain
    batch = up_convert(data)
    assert list(records(batch)) == plain
    assert list(set_records(down_convert(batch, magic))) == plain


def read_everything(data: bytes) -> None:
    with contextlib.suppress(CorruptBatchError):
        for position, header in headers(data):
            has_valid_crc(data, position, header)
            list(records(data, position, limit=1_000_000))
    with contextlib.suppress(CorruptBatchError):
        list(set_records(data, limit=1_000_000))
    with contextlib.suppress(CorruptBatchError):
        up_convert(data, limit=1_000_000)
    for magic in (0, 1):
        with contextlib.suppress(CorruptBatchError):
            down_convert(data, magic)


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_the_one_error(data: bytes) -> None:
    read_everything(data)


@given(
    record_lists,
    codecs,
    st.sampled_from([0, 1, 2]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    st.integers(0, 5000),
)
def test_damaged_bytes_raise_only_the_one_error(
    some: list[Record], codec: Codec, magic: int, damage: list[tuple[int, int]], cut: int
) -> None:
    if magic == 2 or codec is Codec.ZSTD:
        data = build_batch(some, compression=codec)
    else:
        data = bytearray(build_set(some, magic, codec))
    for position, value in damage:
        data[position % len(data)] = value
    read_everything(bytes(data[: max(cut, 1)]))


@given(codecs, st.binary(max_size=300))
def test_codecs_raise_only_the_one_error(codec: Codec, data: bytes) -> None:
    with contextlib.suppress(CorruptBatchError):
        assert len(decompress(codec, data, 1_000_000)) <= 1_000_000 or codec is Codec.NONE
