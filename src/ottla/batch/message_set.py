"""Message sets, the formats v0 and v1 that were before the record batch (KIP-32, KIP-31).

Shape of one message (big-endian): int64 offset, int32 size (of what follows
it), uint32 crc, int8 magic, int8 attributes, in v1 int64 timestamp, then key
and value, each an int32 length (-1: null) and the bytes.
Attributes: bits 0-2 codec, bit 3 (v1) the timestamp is of the append.
Compression wraps: the value of a wrapper message is a whole set, its offset
that of its last message; inner offsets are absolute in v0, relative in v1.
Integrity: CRC-32 from `magic` to the message's end, wrapper and inner alike.

Old clients alone see these. A produced set becomes one record batch, and
stored batches become sets when an old consumer fetches; nothing is stored in
the old formats. Record headers, producer ids and transactions do not exist
there and are lost to such a consumer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from ottla.batch import lz4_frame
from ottla.batch.compression import MAX_DECOMPRESSED_BYTES, Codec, compress, decompress
from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import (
    CODEC_MASK,
    LOG_APPEND_TIME_FLAG,
    LOG_OVERHEAD,
    MAGIC_POSITION,
    NO_TIMESTAMP,
    Record,
    build_batch,
    headers,
    records,
)
from ottla.wire.errors import ErrorCode

Buffer: TypeAlias = bytes | bytearray | memoryview

_OVERHEAD: Final = struct.Struct(">qi")
_V0_HEADER: Final = struct.Struct(">IbB")
_V1_HEADER: Final = struct.Struct(">IbBq")
_LENGTH: Final = struct.Struct(">i")
_CRC_BYTES: Final = 4
#: Smallest size field: the header and two null lengths.
_MIN_SIZE: Final = (_V0_HEADER.size + 8, _V1_HEADER.size + 8)


class Message(NamedTuple):
    """One message as it stands in the bytes; a wrapper's value is a compressed set."""

    offset: int
    magic: int
    attributes: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def compression(self) -> int:
        return self.attributes & CODEC_MASK

    @property
    def is_log_append_time(self) -> bool:
        return self.magic == 1 and self.attributes & LOG_APPEND_TIME_FLAG != 0


def magic_of(buffer: Buffer, position: int = 0) -> int:
    """The format (0, 1 or 2) of what starts at `position`; all three keep it in one place."""
    if position + MAGIC_POSITION >= len(buffer):
        raise CorruptBatchError(ErrorCode.CORRUPT_MESSAGE, "Too short to be records")
    magic = buffer[position + MAGIC_POSITION]
    if magic > 2:
        raise CorruptBatchError(ErrorCode.INVALID_RECORD, f"Unknown record format {magic}")
    return magic


# Reading


def messages(buffer: Buffer) -> Iterator[Message]:
    """The outer messages of a set; CRCs are checked, wrappers are not opened.

    Raises `CorruptBatchError`, also when the buffer ends within a message.
    """
    data = bytes(buffer)
    position = 0
    while position < len(data):
        if position + LOG_OVERHEAD > len(data):
            raise _corrupt("Truncated message")
        offset, size = _OVERHEAD.unpack_from(data, position)
        position += LOG_OVERHEAD
        if size < 0 or position + size > len(data):
            raise _corrupt(f"Truncated message: {size} bytes, {len(data) - position} are there")
        yield _read_message(data[position : position + size], offset)
        position += size


def _read_message(body: bytes, offset: int) -> Message:
    if len(body) < _MIN_SIZE[0]:
        raise _corrupt(f"Message of {len(body)} bytes is below the minimum")
    crc, magic, attributes = _V0_HEADER.unpack_from(body)
    if magic not in (0, 1):
        raise _invalid(f"Message has magic {magic} in a set of the old formats")
    if len(body) < _MIN_SIZE[magic]:
        raise _corrupt(f"Message of {len(body)} bytes is below the minimum")
    if zlib.crc32(memoryview(body)[_CRC_BYTES:]) != crc:
        raise _corrupt("A message's checksum is wrong")
    timestamp = NO_TIMESTAMP
    position = _V0_HEADER.size
    if magic == 1:
        timestamp = _V1_HEADER.unpack_from(body)[3]
        position = _V1_HEADER.size
    key, position = _read_field(body, position)
    value, position = _read_field(body, position)
    if position != len(body):
        raise _corrupt("A message's size does not fit its content")
    return Message(offset, magic, attributes, timestamp, key, value)


def _read_field(body: bytes, position: int) -> tuple[bytes | None, int]:
    if position + _LENGTH.size > len(body):
        raise _corrupt("A message ends within its fields")
    (length,) = _LENGTH.unpack_from(body, position)
    position += _LENGTH.size
    if length == -1:
        return None, position
    end = position + length
    if length < 0 or end > len(body):
        raise _corrupt("A key or value runs over the end of its message")
    return body[position:end], end


def set_records(buffer: Buffer, *, limit: int = MAX_DECOMPRESSED_BYTES) -> Iterator[Record]:
    """The records of a set, wrappers opened, with absolute offsets.

    Raises `CorruptBatchError`; wrappers together decompress to at most `limit` bytes.
    """
    left = limit
    for message in messages(buffer):
        if message.compression == Codec.NONE:
            yield _as_record(message, message.offset, None)
            continue
        inner, used = _open_wrapper(message, left)
        left -= used
        # In v1 inner offsets count from the wrapper's first message.
        shift = message.offset - inner[-1].offset if message.magic == 1 else 0
        append_time = message.timestamp if message.is_log_append_time else None
        for one in inner:
            yield _as_record(one, one.offset + shift, append_time)


def _as_record(message: Message, offset: int, append_time: int | None) -> Record:
    timestamp = message.timestamp if append_time is None else append_time
    return Record(offset, timestamp, message.key, message.value)


def _open_wrapper(wrapper: Message, limit: int) -> tuple[list[Message], int]:
    """The messages in a wrapper, at least one, and the bytes they took decompressed."""
    if wrapper.value is None:
        raise _invalid("A compressed message without a value")
    if wrapper.compression == Codec.ZSTD:
        raise CorruptBatchError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
            f"zstd is not part of message format v{wrapper.magic}",
        )
    compressed = wrapper.value
    if wrapper.compression == Codec.LZ4 and wrapper.magic == 0:
        compressed = lz4_frame.with_correct_checksum(compressed)
    body = decompress(wrapper.compression, compressed, limit)
    inner = list(messages(body))
    if not inner:
        raise _invalid("A compressed message without messages in it")
    for message in inner:
        if message.magic != wrapper.magic:
            raise _invalid("A compressed message holds messages of another format")
        if message.compression != Codec.NONE:
            raise _invalid("A compressed message within a compressed message")
    return inner, len(body)


def up_convert(buffer: Buffer, *, limit: int = MAX_DECOMPRESSED_BYTES) -> bytearray:
    """A produced set as one record batch with offsets from 0, compressed as the set was.

    Offsets in the set are ignored, as producers' offsets always are. Records
    of v0 have no timestamp (-1). Raises `CorruptBatchError`.
    """
    codec = Codec.NONE
    for message in messages(buffer):
        if message.compression != Codec.NONE:
            codec = _known_codec(message.compression)
        if message.is_log_append_time:
            raise CorruptBatchError(
                ErrorCode.INVALID_TIMESTAMP, "A producer cannot set the append time"
            )
    found = list(set_records(buffer, limit=limit))
    if not found:
        raise _invalid("A message set without messages")
    return build_batch(found, compression=codec)


def _known_codec(number: int) -> Codec:
    try:
        return Codec(number)
    except ValueError:
        raise CorruptBatchError(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"Unknown compression codec {number}"
        ) from None


# Writing


def down_convert(buffer: Buffer, magic: int, first_offset: int = 0) -> bytes:
    """Stored batches as a message set of format `magic` (0 or 1).

    Control batches are left out, uncompressed records below `first_offset`
    too. The result may be empty. Raises `CorruptBatchError`, with
    UNSUPPORTED_COMPRESSION_TYPE for zstd, which old consumers cannot read.
    """
    assert magic in (0, 1)
    parts: list[bytes] = []
    for position, header in headers(buffer):
        if header.is_control:
            continue
        codec = _known_codec(header.compression)
        if codec is Codec.ZSTD:
            raise CorruptBatchError(
                ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
                f"zstd batches cannot be converted to message format v{magic}",
            )
        wanted = [
            record
            for record in records(buffer, position)
            if codec is not Codec.NONE or record.offset >= first_offset
        ]
        if wanted:
            parts.append(build_set(wanted, magic, codec, header.is_log_append_time))
    return b"".join(parts)


def build_set(
    set_of_records: Iterable[Record],
    magic: int,
    compression: int = Codec.NONE,
    is_log_append_time: bool = False,
) -> bytes:
    """The records, with their offsets, as a message set; compressed, as one wrapper."""
    listed = list(set_of_records)
    time_flag = LOG_APPEND_TIME_FLAG if is_log_append_time and magic == 1 else 0
    base_offset = listed[0].offset if compression and magic == 1 else 0
    inner = b"".join(
        _encode_message(
            magic,
            record.offset - base_offset,
            time_flag,
            record.timestamp,
            record.key,
            record.value,
        )
        for record in listed
    )
    if not compression:
        return inner
    value = compress(compression, inner)
    if compression == Codec.LZ4 and magic == 0:
        value = lz4_frame.with_legacy_checksum(value)
    max_timestamp = max(record.timestamp for record in listed)
    return _encode_message(
        magic, listed[-1].offset, compression | time_flag, max_timestamp, None, value
    )


def _encode_message(
    magic: int,
    offset: int,
    attributes: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
) -> bytes:
    if magic == 1:
        header = _V1_HEADER.pack(0, magic, attributes, timestamp)
    else:
        header = _V0_HEADER.pack(0, magic, attributes)
    body = header[_CRC_BYTES:] + _encode_field(key) + _encode_field(value)
    return (
        _OVERHEAD.pack(offset, len(body) + _CRC_BYTES)
        + zlib.crc32(body).to_bytes(_CRC_BYTES, "big")
        + body
    )


def _encode_field(value: bytes | None) -> bytes:
    return _LENGTH.pack(-1) if value is None else _LENGTH.pack(len(value)) + value


def _corrupt(why: str) -> CorruptBatchError:
    return CorruptBatchError(ErrorCode.CORRUPT_MESSAGE, why)


def _invalid(why: str) -> CorruptBatchError:
    return CorruptBatchError(ErrorCode.INVALID_RECORD, why)
