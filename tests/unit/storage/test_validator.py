"""What may be appended, and what happens to it on the way in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.storage.harness import NOW_MS, LogFactory, batch

from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.record_batch import Record, build_batch, headers, records
from ottla.storage.errors import AppendError
from ottla.storage.log_config import LOG_APPEND_TIME, LogConfig
from ottla.storage.validator import MAX_RECORD_ERRORS, Checked, Origin, check
from ottla.wire.errors import ErrorCode

CONFIG = LogConfig()
HOUR_MS = 3_600_000


def accepted(
    data: bytearray, config: LogConfig = CONFIG, origin: Origin = Origin.CLIENT
) -> Checked:
    return check(data, config, origin, NOW_MS)


def refused(
    data: bytearray, config: LogConfig = CONFIG, origin: Origin = Origin.CLIENT
) -> AppendError:
    with pytest.raises(AppendError) as error:
        check(data, config, origin, NOW_MS)
    return error.value


def marker() -> bytearray:
    return build_marker_batch(
        TransactionMarker(True, 4), producer_id=1, producer_epoch=0, timestamp_ms=NOW_MS
    )


def patched(data: bytearray, position: int, value: bytes) -> bytearray:
    """With other bytes, and the CRC that fits them."""
    from ottla.batch.checksum import crc32c

    data[position : position + len(value)] = value
    data[17:21] = crc32c(memoryview(data)[21:]).to_bytes(4, "big")
    return data


def test_a_sound_batch_is_left_as_it_is() -> None:
    data = batch(3)
    before = bytes(data)
    checked = accepted(data)
    assert checked.data is data
    assert bytes(data) == before
    assert [(position, header.record_count) for position, header, _ in checked.batches] == [(0, 3)]


@pytest.mark.parametrize("position", [21, 30, 61, -1])
def test_a_flipped_bit_is_a_corrupt_message(position: int) -> None:
    data = batch(3)
    data[position] ^= 0x40
    assert refused(data).code in (ErrorCode.CORRUPT_MESSAGE, ErrorCode.INVALID_RECORD)


def test_a_wrong_crc_is_a_corrupt_message() -> None:
    data = batch()
    data[17] ^= 1
    assert refused(data).code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("cut", [1, 30, 70])
def test_a_truncated_batch_is_a_corrupt_message(cut: int) -> None:
    assert refused(batch()[:-cut]).code is ErrorCode.CORRUPT_MESSAGE


def test_no_batch_at_all_is_refused() -> None:
    assert refused(bytearray()).code is ErrorCode.INVALID_RECORD


def test_a_client_sends_exactly_one_batch() -> None:
    two = batch() + batch()
    assert refused(two).code is ErrorCode.INVALID_RECORD
    assert len(accepted(two, origin=Origin.CONVERTED).batches) == 2


def test_old_formats_are_refused() -> None:
    data = batch()
    data[16] = 1
    assert refused(data).code is ErrorCode.INVALID_RECORD


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (57, b"\0\0\0\2"),  # more records than offsets
        (57, b"\0\0\0\0"),  # none at all
        (21, b"\0\x05"),  # a codec there is none of
        (21, b"\0\x20"),  # a control batch
        (21, b"\0\x10"),  # transactional without a producer
    ],
)
def test_impossible_headers_are_invalid_records(position: int, value: bytes) -> None:
    assert refused(patched(batch(), position, value)).code is ErrorCode.INVALID_RECORD


def test_a_producer_needs_a_sequence() -> None:
    data = batch(producer_id=1, producer_epoch=0, base_sequence=-1)
    assert refused(data).code is ErrorCode.INVALID_RECORD


def test_only_coordinators_write_markers() -> None:
    assert refused(marker()).code is ErrorCode.INVALID_RECORD
    checked = accepted(marker(), origin=Origin.COORDINATOR)
    assert checked.batches[0][2] == TransactionMarker(True, 4)


def test_a_marker_that_is_none_is_refused() -> None:
    data = build_batch([Record(0, NOW_MS, b"", b"")], control=True, producer_id=1)
    assert refused(data, origin=Origin.COORDINATOR).code is ErrorCode.INVALID_RECORD
    empty = patched(bytearray(data[:61]), 57, b"\0\0\0\0")
    empty = patched(empty, 8, (49).to_bytes(4, "big"))
    assert accepted(empty, origin=Origin.COORDINATOR).batches[0][2] is None


def test_coordinators_write_plain_batches_too() -> None:
    assert accepted(batch(), origin=Origin.COORDINATOR).batches[0][2] is None


def test_large_batches_are_refused_as_they_arrive() -> None:
    data = batch(value=bytes(200))
    config = replace(CONFIG, max_message_bytes=len(data) - 1)
    for origin in Origin:
        assert refused(data, config, origin).code is ErrorCode.MESSAGE_TOO_LARGE
    assert accepted(data, replace(CONFIG, max_message_bytes=len(data)))


def test_what_fits_no_segment_is_refused() -> None:
    data = batch(value=bytes(200))
    error = refused(data, replace(CONFIG, segment_bytes=len(data) - 1))
    assert error.code is ErrorCode.RECORD_LIST_TOO_LARGE


def test_timestamps_too_far_ahead_name_their_records() -> None:
    data = build_batch(
        [Record(0, NOW_MS + ahead, b"k", None) for ahead in (0, HOUR_MS, HOUR_MS + 1, -5)]
    )
    error = refused(data)
    assert error.code is ErrorCode.INVALID_TIMESTAMP
    assert [record.batch_index for record in error.record_errors] == [2]
    assert str(NOW_MS + HOUR_MS + 1) in error.record_errors[0].message


def test_timestamps_too_far_back_are_refused_when_that_is_limited() -> None:
    data = build_batch([Record(0, NOW_MS - back, b"k", None) for back in (0, 1_001, 1_000)])
    assert accepted(data)
    error = refused(data, replace(CONFIG, message_timestamp_before_max_ms=1_000))
    assert [record.batch_index for record in error.record_errors] == [1]
    assert accepted(batch(), replace(CONFIG, message_timestamp_before_max_ms=1_000))


def test_a_record_without_timestamp_is_never_out_of_range() -> None:
    data = build_batch([Record(0, -1, b"k", None)])
    assert accepted(data, replace(CONFIG, message_timestamp_before_max_ms=1_000))


def test_only_so_many_records_are_named() -> None:
    late = [Record(0, NOW_MS + 2 * HOUR_MS, None, None)] * (MAX_RECORD_ERRORS + 50)
    assert len(refused(build_batch(late)).record_errors) == MAX_RECORD_ERRORS
    keyless = [Record(0, NOW_MS, None, None)] * (MAX_RECORD_ERRORS + 50)
    compacted = replace(CONFIG, cleanup_policy=frozenset({"compact"}))
    assert len(refused(build_batch(keyless), compacted).record_errors) == MAX_RECORD_ERRORS


def test_producers_may_not_say_that_the_broker_stamped() -> None:
    data = build_batch([Record(0, NOW_MS, b"k", None)], log_append_time_ms=NOW_MS)
    assert refused(data).code is ErrorCode.INVALID_TIMESTAMP
    assert accepted(data, replace(CONFIG, message_timestamp_type=LOG_APPEND_TIME))


@pytest.mark.parametrize("codec", range(5))
def test_a_compacted_topic_needs_keys(codec: int) -> None:
    config = replace(CONFIG, cleanup_policy=frozenset({"compact", "delete"}))
    data = build_batch(
        [Record(0, NOW_MS, key, b"v") for key in (b"a", None, b"", None)], compression=codec
    )
    error = refused(data, config)
    assert error.code is ErrorCode.INVALID_RECORD
    assert [record.batch_index for record in error.record_errors] == [1, 3]
    assert accepted(batch(3, compression=codec), config)


@pytest.mark.parametrize("codec", range(5))
@pytest.mark.parametrize(
    ("name", "number"),
    [("uncompressed", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4), ("producer", None)],
)
def test_a_topic_may_ask_for_another_codec(codec: int, name: str, number: int | None) -> None:
    data = batch(
        5, compression=codec, producer_id=3, producer_epoch=2, base_sequence=9, transactional=True
    )
    before = list(records(data))
    checked = accepted(data, replace(CONFIG, compression_type=name))
    header = checked.batches[0][1]
    assert header.compression == (codec if number is None else number)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (3, 2, 9)
    assert header.is_transactional
    assert list(records(checked.data)) == before
    if header.compression == codec:
        assert checked.data is data


def test_of_several_batches_only_the_others_are_compressed_again() -> None:
    data = batch(2, compression=1) + batch(3)
    checked = accepted(data, replace(CONFIG, compression_type="gzip"), Origin.CONVERTED)
    assert [header.compression for _, header in headers(checked.data)] == [1, 1]
    assert bytes(checked.data).startswith(bytes(batch(2, compression=1)))


def test_records_that_cannot_be_unpacked_are_refused() -> None:
    data = batch(5, compression=1)
    broken = patched(data, 70, b"\0\0\0")
    assert refused(broken, replace(CONFIG, compression_type="zstd")).code in (
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.INVALID_RECORD,
    )


def test_the_broker_stamps_where_the_topic_says_so(logs: LogFactory) -> None:
    log = logs.open(message_timestamp_type=LOG_APPEND_TIME)
    info = log.append(batch(3, timestamp=5), leader_epoch=0, wall_ms=NOW_MS)
    assert info.log_append_time_ms == info.max_timestamp_ms == NOW_MS
    stored = log.read(0, 1_000, 3)
    for record in records(stored.buffers[0]):  # type: ignore[union-attr]
        assert record.timestamp == NOW_MS
    found = log.offset_for_timestamp(NOW_MS)
    assert found is not None
    assert found.offset == 0
