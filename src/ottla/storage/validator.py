"""What is checked before a batch may be appended, and what is changed on its way in.

The header and the CRC always; records are unpacked only where a rule speaks
of single records: keyless records on a compacted topic, timestamps out of
bounds, another codec than the topic asks for. Nothing has been changed when
`AppendError` is raised. Source: Kafka's produce semantics, KIP-98, KIP-32,
KIP-467 (errors per record).
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from ottla.batch.compression import Codec
from ottla.batch.control import TransactionMarker, transaction_marker
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import (
    CODEC_MASK,
    CONTROL_FLAG,
    LOG_OVERHEAD,
    NO_PRODUCER_ID,
    NO_TIMESTAMP,
    TRANSACTIONAL_FLAG,
    BatchHeader,
    Record,
    build_batch,
    has_valid_crc,
    headers,
    read_header,
    records,
)
from ottla.storage.errors import AppendError, RecordError
from ottla.storage.log_config import MAX_LONG, LogConfig
from ottla.wire.errors import ErrorCode

#: What one answer names at most; a batch can hold a million guilty records.
MAX_RECORD_ERRORS: Final = 100

_CODECS: Final = {
    "uncompressed": Codec.NONE,
    "none": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}


class Origin(enum.Enum):
    """Who appends."""

    #: A producer: exactly one batch, everything is checked.
    CLIENT = enum.auto()
    #: A producer of an old format, whose message set we converted: as many batches as it took.
    CONVERTED = enum.auto()
    #: Our own coordinators: batches we built ourselves, markers among them.
    COORDINATOR = enum.auto()


class Checked(NamedTuple):
    """Batches fit to be appended."""

    data: bytearray | memoryview
    #: Position and header of each, and the marker in those of ours that hold one.
    batches: list[tuple[int, BatchHeader, TransactionMarker | None]]


def check(data: bytearray | memoryview, config: LogConfig, origin: Origin, wall_ms: int) -> Checked:
    """The batches in `data`, or in what replaces it. Raises `AppendError`."""
    try:
        checked = Checked(data, _batches(data, origin))
        if origin is not Origin.COORDINATOR:
            for position, header, _ in checked.batches:
                if origin is Origin.CLIENT and header.base_offset != 0:
                    raise _invalid(f"The base offset of the batch is {header.base_offset}, not 0")
                _check_size(header, config)
                _check_client_batch(data, position, header, config, wall_ms)
            if config.compression_type != "producer":
                checked = _with_codec(checked, _CODECS[config.compression_type])
    except CorruptBatchError as error:
        raise AppendError(error.code, error.message) from None
    if checked.data is not data or origin is Origin.COORDINATOR:
        for _, header, _ in checked.batches:
            _check_size(header, config)
    if len(checked.data) > config.segment_bytes:
        raise AppendError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"{len(checked.data)} bytes do not fit into a segment of {config.segment_bytes}",
        )
    return checked


def _batches(
    data: bytearray | memoryview, origin: Origin
) -> list[tuple[int, BatchHeader, TransactionMarker | None]]:
    """At least one batch, and not more than the origin may send."""
    if origin is Origin.COORDINATOR:
        return [(p, h, _marker(data, p, h)) for p, h in headers(data)]
    if origin is Origin.CLIENT and data:
        # Nearly every append is just this.
        header = read_header(data)
        if header.batch_length + LOG_OVERHEAD == len(data):
            return [(0, header, None)]
    batches: list[tuple[int, BatchHeader, TransactionMarker | None]] = [
        (p, h, None) for p, h in headers(data)
    ]
    if not batches:
        raise _invalid("There is no batch to append")
    if origin is Origin.CLIENT and len(batches) > 1:
        raise _invalid("A partition's records must be exactly one record batch")
    return batches


def _marker(
    data: bytearray | memoryview, position: int, header: BatchHeader
) -> TransactionMarker | None:
    if not header.is_control:
        return None
    first = next(records(data, position), None)
    return None if first is None else transaction_marker(first)


def _check_size(header: BatchHeader, config: LogConfig) -> None:
    size = header.size_in_bytes
    if size > config.max_message_bytes:
        raise AppendError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The record batch has {size} bytes, max.message.bytes allows "
            f"{config.max_message_bytes}",
        )


def _check_client_batch(
    data: bytearray | memoryview,
    position: int,
    header: BatchHeader,
    config: LogConfig,
    wall_ms: int,
) -> None:
    if not has_valid_crc(data, position, header):
        raise AppendError(ErrorCode.CORRUPT_MESSAGE, "The record batch has a wrong CRC")
    attributes = header.attributes
    if attributes & CONTROL_FLAG:
        raise _invalid("Clients may not write control batches")
    if header.record_count < 1 or header.record_count != header.last_offset_delta + 1:
        raise _invalid(
            f"The batch claims {header.record_count} records and a last offset delta of "
            f"{header.last_offset_delta}"
        )
    if attributes & CODEC_MASK > Codec.ZSTD:
        raise _invalid(f"Unknown compression codec {header.compression}")
    if header.producer_id > NO_PRODUCER_ID:
        if header.base_sequence < 0:
            raise _invalid(
                f"Sequence {header.base_sequence} of producer {header.producer_id} is negative"
            )
    elif attributes & TRANSACTIONAL_FLAG:
        raise _invalid("A transactional batch needs a producer id")
    if not config.is_log_append_time:
        _check_timestamps(data, position, header, config, wall_ms)
    if config.is_compacted:
        _check_keys(data, position)


def _invalid(why: str) -> AppendError:
    return AppendError(ErrorCode.INVALID_RECORD, why)


def _check_timestamps(
    data: bytearray | memoryview,
    position: int,
    header: BatchHeader,
    config: LogConfig,
    wall_ms: int,
) -> None:
    if header.is_log_append_time:
        raise AppendError(
            ErrorCode.INVALID_TIMESTAMP, "Producers may not set the timestamp type LogAppendTime"
        )
    latest = wall_ms + config.message_timestamp_after_max_ms
    has_lower_limit = config.message_timestamp_before_max_ms != MAX_LONG
    if header.max_timestamp <= latest and not has_lower_limit:
        return
    # The header knows the maximum only, and cannot say which record it is.
    earliest = wall_ms - config.message_timestamp_before_max_ms
    guilty = []
    for index, record in enumerate(records(data, position)):
        if record.timestamp != NO_TIMESTAMP and not earliest <= record.timestamp <= latest:
            guilty.append(
                RecordError(
                    index,
                    f"Timestamp {record.timestamp} is out of range: "
                    f"it must be between {earliest} and {latest}",
                )
            )
            if len(guilty) == MAX_RECORD_ERRORS:
                break
    if guilty:
        raise AppendError(
            ErrorCode.INVALID_TIMESTAMP,
            "One or more records have been rejected due to invalid timestamp",
            tuple(guilty),
        )


def _check_keys(data: bytearray | memoryview, position: int) -> None:
    guilty = []
    for index, record in enumerate(records(data, position)):
        if record.key is None:
            guilty.append(RecordError(index, "Compacted topic cannot accept message without key"))
            if len(guilty) == MAX_RECORD_ERRORS:
                break
    if guilty:
        raise AppendError(
            ErrorCode.INVALID_RECORD,
            "One or more records have been rejected: a compacted topic needs keys",
            tuple(guilty),
        )


def _with_codec(checked: Checked, codec: Codec) -> Checked:
    """The batches compressed as the topic asks."""
    if all(header.compression == codec for _, header, _ in checked.batches):
        return checked
    parts = [
        checked.data[position : position + header.size_in_bytes]
        if header.compression == codec
        else _recompressed(header, list(records(checked.data, position)), codec)
        for position, header, _ in checked.batches
    ]
    replaced = bytearray().join(parts)
    return Checked(replaced, [(p, h, None) for p, h in headers(replaced)])


def _recompressed(header: BatchHeader, unpacked: list[Record], codec: Codec) -> bytearray:
    return build_batch(
        unpacked,
        compression=codec,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        transactional=header.is_transactional,
    )
