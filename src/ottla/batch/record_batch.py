"""Record batch, format v2 (KIP-98): the unit that is produced, stored and fetched.

Shape (big-endian), 61 bytes and then the records:
    int64 base_offset, int32 batch_length (of what follows it),
    int32 partition_leader_epoch, int8 magic (2), uint32 crc, int16 attributes,
    int32 last_offset_delta, int64 base_timestamp, int64 max_timestamp,
    int64 producer_id, int16 producer_epoch, int32 base_sequence, int32 record_count
Attributes: bits 0-2 codec, 3 timestamps are of the append, 4 transactional,
    5 control, 6 base_timestamp is the delete horizon (KIP-534).
Integrity: CRC-32C from `attributes` to the end, so that base_offset and the
leader epoch can be set without computing it again.

A broker never unpacks records on the way in; `records` is for the few places
where the protocol demands it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from ottla.batch.checksum import crc32c
from ottla.batch.compression import MAX_DECOMPRESSED_BYTES, compress, decompress
from ottla.batch.errors import CorruptBatchError
from ottla.batch.sequence import NO_SEQUENCE, add_sequence
from ottla.wire.errors import ErrorCode

Buffer: TypeAlias = bytes | bytearray | memoryview
#: One record header: its key and its value. Bytes that are not UTF-8 survive a round trip.
RecordHeader: TypeAlias = tuple[str, bytes | None]

HEADER_BYTES: Final = 61
#: base_offset and batch_length, which batch_length does not count.
LOG_OVERHEAD: Final = 12
MAGIC: Final = 2
MAGIC_POSITION: Final = 16
NO_TIMESTAMP: Final = -1
NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1
NO_LEADER_EPOCH: Final = -1

CODEC_MASK: Final = 0x07
LOG_APPEND_TIME_FLAG: Final = 0x08
TRANSACTIONAL_FLAG: Final = 0x10
CONTROL_FLAG: Final = 0x20
DELETE_HORIZON_FLAG: Final = 0x40

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_BASE_OFFSET: Final = struct.Struct(">q")
_LEADER_EPOCH: Final = struct.Struct(">i")
_CRC: Final = struct.Struct(">I")
_ATTRIBUTES: Final = struct.Struct(">h")
_MAX_TIMESTAMP: Final = struct.Struct(">q")
_LEADER_EPOCH_POSITION: Final = 12
_CRC_POSITION: Final = 17
_CRC_START: Final = 21
_MAX_TIMESTAMP_POSITION: Final = 35
_MIN_INT64: Final = -(2**63)
_MAX_INT64: Final = 2**63 - 1
_MIN_LENGTH: Final = HEADER_BYTES - LOG_OVERHEAD


class BatchHeader(NamedTuple):
    """The header, as it stands in the bytes."""

    base_offset: int
    batch_length: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def size_in_bytes(self) -> int:
        return LOG_OVERHEAD + self.batch_length

    @property
    def compression(self) -> int:
        """The codec's number, 0 to 4 (5 to 7 mean nothing)."""
        return self.attributes & CODEC_MASK

    @property
    def is_log_append_time(self) -> bool:
        return self.attributes & LOG_APPEND_TIME_FLAG != 0

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_FLAG != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_FLAG != 0

    @property
    def delete_horizon_ms(self) -> int | None:
        """When tombstones and markers of this compacted batch may go; None when not set."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_FLAG else None

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id > NO_PRODUCER_ID

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record; -1 for a batch without sequences."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return add_sequence(self.base_sequence, self.last_offset_delta)


class Record(NamedTuple):
    """One record; `offset` is absolute, `timestamp` in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[RecordHeader, ...] = ()


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`; the records behind it need not be in the buffer.

    Raises `CorruptBatchError` when fewer than 61 bytes are there, the magic is
    not 2, or a length or count is impossible. Checks no CRC.
    """
    if position < 0 or position + HEADER_BYTES > len(buffer):
        if len(buffer) > position + MAGIC_POSITION >= 0:
            _check_magic(buffer[position + MAGIC_POSITION])
        raise CorruptBatchError(ErrorCode.CORRUPT_MESSAGE, "Truncated batch header")
    header = BatchHeader._make(_HEADER.unpack_from(buffer, position))
    if header.magic != MAGIC:
        _check_magic(header.magic)
    if header.batch_length < _MIN_LENGTH:
        raise CorruptBatchError(
            ErrorCode.CORRUPT_MESSAGE,
            f"Batch length {header.batch_length} is below the minimum {_MIN_LENGTH}",
        )
    if header.last_offset_delta < 0 or header.record_count < 0:
        raise CorruptBatchError(
            ErrorCode.INVALID_RECORD,
            f"Impossible batch: last offset delta {header.last_offset_delta}, "
            f"{header.record_count} records",
        )
    return header


def _check_magic(magic: int) -> None:
    if magic != MAGIC:
        raise CorruptBatchError(
            ErrorCode.INVALID_RECORD, f"Batch has magic {magic}, only {MAGIC} is accepted here"
        )


def headers(buffer: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each batch in the buffer.

    Raises `CorruptBatchError` when the buffer does not end where a batch ends.
    """
    position = 0
    end = len(buffer)
    while position < end:
        header = read_header(buffer, position)
        following = position + LOG_OVERHEAD + header.batch_length
        if following > end:
            raise CorruptBatchError(
                ErrorCode.CORRUPT_MESSAGE,
                f"Truncated batch: {header.size_in_bytes} bytes, {end - position} are there",
            )
        yield position, header
        position = following


def has_valid_crc(buffer: Buffer, position: int, header: BatchHeader) -> bool:
    """Whether the whole batch is in the buffer and its checksum is right."""
    end = position + LOG_OVERHEAD + header.batch_length
    if end > len(buffer):
        return False
    view = buffer if isinstance(buffer, memoryview) else memoryview(buffer)
    return crc32c(view[position + _CRC_START : end]) == header.crc


def assign(
    buffer: bytearray | memoryview,
    position: int,
    base_offset: int,
    leader_epoch: int,
    log_append_time_ms: int | None = None,
) -> None:
    """Set the offset and the leader epoch of the batch at `position`, in place.

    With `log_append_time_ms` also its timestamps, and the CRC with them; the
    batch must be whole and sound then.
    """
    _BASE_OFFSET.pack_into(buffer, position, base_offset)
    _LEADER_EPOCH.pack_into(buffer, position + _LEADER_EPOCH_POSITION, leader_epoch)
    if log_append_time_ms is None:
        return
    (attributes,) = _ATTRIBUTES.unpack_from(buffer, position + _CRC_START)
    _ATTRIBUTES.pack_into(buffer, position + _CRC_START, attributes | LOG_APPEND_TIME_FLAG)
    _MAX_TIMESTAMP.pack_into(buffer, position + _MAX_TIMESTAMP_POSITION, log_append_time_ms)
    (batch_length,) = _LEADER_EPOCH.unpack_from(buffer, position + 8)
    _set_crc(buffer, position, batch_length)


def _set_crc(buffer: bytearray | memoryview, position: int, batch_length: int) -> None:
    with memoryview(buffer) as view:
        crc = crc32c(view[position + _CRC_START : position + LOG_OVERHEAD + batch_length])
    _CRC.pack_into(buffer, position + _CRC_POSITION, crc)


# Reading records


def records(
    buffer: Buffer, position: int = 0, *, limit: int = MAX_DECOMPRESSED_BYTES
) -> Iterator[Record]:
    """The records of the batch at `position`, decompressed (to at most `limit` bytes).

    Raises `CorruptBatchError`; checks no CRC.
    """
    header = read_header(buffer, position)
    end = position + header.size_in_bytes
    if end > len(buffer):
        raise CorruptBatchError(ErrorCode.CORRUPT_MESSAGE, "Truncated batch")
    if header.last_offset > _MAX_INT64:
        raise _invalid("Offsets run over the largest offset")
    with memoryview(buffer) as view:
        body = decompress(header.compression, view[position + HEADER_BYTES : end], limit)
    return _decode_records(header, bytes(body))


_NO_HEADERS: Final[tuple[RecordHeader, ...]] = ()


def _decode_records(header: BatchHeader, body: bytes) -> Iterator[Record]:
    append_time = header.max_timestamp if header.is_log_append_time else None
    base_offset = header.base_offset
    base_timestamp = header.base_timestamp
    last_allowed = header.last_offset_delta
    size = len(body)
    new_tuple = tuple.__new__
    position = 0
    last_delta = -1
    # Nearly every integer in here fits one byte, of which an even one is not negative: those are
    # taken where they stand, the others by calls, which cost as much as all the rest.
    try:
        for _ in range(header.record_count):
            byte = body[position]
            if byte & 0x81:
                length, position = _read_varint(body, position)
            else:
                length, position = byte >> 1, position + 1
            end = position + length
            if length < 0 or end > size:
                raise _invalid("A record runs over the end of its batch")
            position += 1  # attributes: unused
            byte = body[position]
            if byte & 0x81:
                timestamp, position = _read_varint(body, position, 63)
            else:
                timestamp, position = byte >> 1, position + 1
            byte = body[position]
            if byte & 0x81:
                delta, position = _read_varint(body, position)
            else:
                delta, position = byte >> 1, position + 1
            byte = body[position]
            key_end = position + 1 + (byte >> 1)
            if byte & 0x81 or key_end > size:
                key, position = _read_bytes(body, position)
            else:
                key, position = body[position + 1 : key_end], key_end
            byte = body[position]
            value_end = position + 1 + (byte >> 1)
            if byte & 0x81 or value_end > size:
                value, position = _read_bytes(body, position)
            else:
                value, position = body[position + 1 : value_end], value_end
            record_headers, position = _NO_HEADERS, position + 1
            if body[position - 1]:
                record_headers, position = _read_record_headers(body, position - 1)
            if position != end:
                raise _invalid("A record's length does not fit its content")
            if not last_delta < delta <= last_allowed:
                raise _invalid(f"Record offsets do not ascend within the batch: {delta}")
            last_delta = delta
            timestamp = base_timestamp + timestamp if append_time is None else append_time
            if not _MIN_INT64 <= timestamp <= _MAX_INT64:
                raise _invalid("A timestamp runs over the largest timestamp")
            yield new_tuple(Record, (base_offset + delta, timestamp, key, value, record_headers))
    except IndexError:
        raise _invalid("A record runs over the end of its batch") from None
    if position != size:
        raise _invalid(f"{size - position} bytes are left behind the last record")


def _invalid(why: str) -> CorruptBatchError:
    return CorruptBatchError(ErrorCode.INVALID_RECORD, why)


def _read_varint(body: bytes, position: int, max_shift: int = 28) -> tuple[int, int]:
    """A zigzag varint and the position behind it; IndexError at the end of the body."""
    byte = body[position]
    position += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position
    raw = byte & 0x7F
    shift = 7
    while True:
        byte = body[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > max_shift:
            raise _invalid("A variable-length integer is too long")
    raw &= 0xFFFFFFFF if max_shift == 28 else 0xFFFFFFFFFFFFFFFF
    return (raw >> 1) ^ -(raw & 1), position


def _read_bytes(body: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = _read_varint(body, position)
    if length < 0:
        if length != -1:
            raise _invalid(f"Impossible length {length}")
        return None, position
    end = position + length
    if end > len(body):
        raise _invalid("A key or value runs over the end of its batch")
    return body[position:end], end


def _read_record_headers(body: bytes, position: int) -> tuple[tuple[RecordHeader, ...], int]:
    count, position = _read_varint(body, position)
    if count < 0 or count > len(body) - position:
        raise _invalid(f"Impossible number of headers {count}")
    result: list[RecordHeader] = []
    for _ in range(count):
        key, position = _read_bytes(body, position)
        if key is None:
            raise _invalid("A header without a key")
        value, position = _read_bytes(body, position)
        result.append((key.decode("utf-8", "surrogateescape"), value))
    return tuple(result), position


# Writing batches


def build_batch(
    batch_records: Iterable[Record],
    *,
    base_offset: int = 0,
    compression: int = 0,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    transactional: bool = False,
    control: bool = False,
    leader_epoch: int = NO_LEADER_EPOCH,
    log_append_time_ms: int | None = None,
) -> bytearray:
    """One batch of the records, numbered one by one from `base_offset`.

    The records' own offsets are ignored. Timestamps are theirs (CreateTime)
    unless `log_append_time_ms` is given. At least one record.
    """
    numbered = [
        record._replace(offset=base_offset + delta) for delta, record in enumerate(batch_records)
    ]
    assert numbered, "a batch has at least one record"
    attributes = compression
    if transactional:
        attributes |= TRANSACTIONAL_FLAG
    if control:
        attributes |= CONTROL_FLAG
    if log_append_time_ms is None:
        max_timestamp = max(record.timestamp for record in numbered)
    else:
        attributes |= LOG_APPEND_TIME_FLAG
        max_timestamp = log_append_time_ms
    header = BatchHeader(
        base_offset=base_offset,
        batch_length=0,
        partition_leader_epoch=leader_epoch,
        magic=MAGIC,
        crc=0,
        attributes=attributes,
        last_offset_delta=len(numbered) - 1,
        base_timestamp=numbered[0].timestamp,
        max_timestamp=max_timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        record_count=len(numbered),
    )
    return _encode_batch(header, numbered)


def rebuild_batch(
    header: BatchHeader, kept: list[Record], *, delete_horizon_ms: int | None = None
) -> bytearray:
    """The batch with only the records in `kept`, as compaction leaves it.

    Offsets, the offset range, epoch, producer, sequence and codec stay; the
    maximum timestamp is that of what is kept. Nothing kept leaves an empty
    batch, which still tells the producer's last sequence. `delete_horizon_ms`
    sets the horizon; one already set stays (KIP-534).
    """
    attributes = header.attributes
    base_timestamp = header.base_timestamp
    if delete_horizon_ms is not None and header.delete_horizon_ms is None:
        attributes |= DELETE_HORIZON_FLAG
        base_timestamp = delete_horizon_ms
    max_timestamp = header.max_timestamp
    if not header.is_log_append_time:
        max_timestamp = max((record.timestamp for record in kept), default=NO_TIMESTAMP)
    changed = header._replace(
        attributes=attributes,
        base_timestamp=base_timestamp,
        max_timestamp=max_timestamp,
        record_count=len(kept),
    )
    return _encode_batch(changed, kept)


def _encode_batch(header: BatchHeader, batch_records: list[Record]) -> bytearray:
    """The header's batch around the records; its length, count and CRC are computed."""
    body = bytearray()
    for record in batch_records:
        encoded = _encode_record(record, header.base_offset, header.base_timestamp)
        _write_varint(body, len(encoded))
        body += encoded
    payload: Buffer = body
    # An empty body stays empty, as Kafka writes it.
    if header.compression and batch_records:
        payload = compress(header.compression, body)
    batch = bytearray(HEADER_BYTES)
    batch += payload
    sized = header._replace(batch_length=len(batch) - LOG_OVERHEAD, crc=0)
    _HEADER.pack_into(batch, 0, *sized)
    _set_crc(batch, 0, sized.batch_length)
    return batch


def _encode_record(record: Record, base_offset: int, base_timestamp: int) -> bytearray:
    encoded = bytearray(1)  # attributes: unused
    _write_varint(encoded, record.timestamp - base_timestamp)
    _write_varint(encoded, record.offset - base_offset)
    _write_bytes(encoded, record.key)
    _write_bytes(encoded, record.value)
    _write_varint(encoded, len(record.headers))
    for key, value in record.headers:
        _write_bytes(encoded, key.encode("utf-8", "surrogateescape"))
        _write_bytes(encoded, value)
    return encoded


def _write_bytes(target: bytearray, value: Buffer | None) -> None:
    if value is None:
        target.append(1)  # zigzag of -1
        return
    _write_varint(target, len(value))
    target += value


def _write_varint(target: bytearray, value: int) -> None:
    raw = value << 1 if value >= 0 else (-value << 1) - 1
    while raw > 0x7F:
        target.append(raw & 0x7F | 0x80)
        raw >>= 7
    target.append(raw)
