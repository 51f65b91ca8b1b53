"""The compression codecs of record batches and message sets.

Snappy comes in two framings: the Java client's stream (a "SNAPPY" magic,
then length-prefixed raw blocks) and one raw block; both are read, the stream
is written, because every client reads it.

Bounded: nothing decompresses to more than `limit` bytes, whatever it claims.
Everything raises `CorruptBatchError` and nothing else.
"""

from __future__ import annotations

import enum
import zlib
from typing import Any, Final, TypeAlias

from ottla.batch.errors import CorruptBatchError
from ottla.wire.errors import ErrorCode

Buffer: TypeAlias = bytes | bytearray | memoryview

#: What could not have been sent uncompressed (socket.request.max.bytes) is not
#: accepted compressed either.
MAX_DECOMPRESSED_BYTES: Final = 104_857_600

_FIRST_GUESS_BYTES: Final = 65_536
_SNAPPY_STREAM_MAGIC: Final = b"\x82SNAPPY\x00"
_SNAPPY_STREAM_HEADER: Final = _SNAPPY_STREAM_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"
_SNAPPY_BLOCK_BYTES: Final = 32_768
_LZ4_MAGIC: Final = b"\x04\x22\x4d\x18"


class Codec(enum.IntEnum):
    """The lowest three bits of a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def compress(codec: int, data: Buffer) -> bytes:
    """`data` as `codec` writes it."""
    import cramjam

    if codec == Codec.NONE:
        return bytes(data)
    if codec == Codec.GZIP:
        return bytes(cramjam.gzip.compress(data))
    if codec == Codec.SNAPPY:
        return _compress_snappy(memoryview(data), cramjam)
    if codec == Codec.LZ4:
        # Java readers refuse linked blocks.
        compressor = cramjam.lz4.Compressor(content_checksum=False, block_linked=False)
        compressor.compress(bytes(data))
        return bytes(compressor.finish())
    if codec == Codec.ZSTD:
        return bytes(cramjam.zstd.compress(data))
    raise _unknown_codec(codec)


def decompress(codec: int, data: Buffer, limit: int = MAX_DECOMPRESSED_BYTES) -> bytes | bytearray:
    """What was compressed; at most `limit` bytes."""
    if codec == Codec.NONE:
        return bytes(data)
    if codec == Codec.GZIP:
        return _decompress_gzip(data, limit)
    if codec == Codec.SNAPPY:
        return _decompress_snappy(memoryview(data), limit)
    if codec == Codec.LZ4:
        return _decompress_growing(Codec.LZ4, data, limit)
    if codec == Codec.ZSTD:
        return _decompress_growing(Codec.ZSTD, data, limit)
    raise _unknown_codec(codec)


def _unknown_codec(codec: int) -> CorruptBatchError:
    return CorruptBatchError(
        ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"Unknown compression codec {codec}"
    )


def _corrupt(codec: Codec, why: object) -> CorruptBatchError:
    return CorruptBatchError(
        ErrorCode.CORRUPT_MESSAGE, f"Cannot decompress {codec.name.lower()} data: {why}"
    )


def _too_large(codec: Codec, limit: int) -> CorruptBatchError:
    return CorruptBatchError(
        ErrorCode.CORRUPT_MESSAGE,
        f"{codec.name.lower()} data decompresses to more than {limit} bytes",
    )


def _decompress_gzip(data: Buffer, limit: int) -> bytes | bytearray:
    output = bytearray()
    rest: Buffer = data
    while True:
        member = zlib.decompressobj(wbits=31)
        try:
            output += member.decompress(rest, limit + 1 - len(output))
        except zlib.error as error:
            raise _corrupt(Codec.GZIP, error) from None
        if len(output) > limit:
            raise _too_large(Codec.GZIP, limit)
        if not member.eof:
            raise _corrupt(Codec.GZIP, "truncated stream")
        rest = member.unused_data
        if not rest:
            return output


def _compress_snappy(data: memoryview, cramjam: Any) -> bytes:
    parts = [_SNAPPY_STREAM_HEADER]
    for start in range(0, len(data), _SNAPPY_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(bytes(data[start : start + _SNAPPY_BLOCK_BYTES])))
        parts.append(len(block).to_bytes(4, "big"))
        parts.append(block)
    return b"".join(parts)


def _decompress_snappy(data: memoryview, limit: int) -> bytes | bytearray:
    if bytes(data[:8]) != _SNAPPY_STREAM_MAGIC:
        return _decompress_snappy_block(data, limit)
    if len(data) < 16:
        raise _corrupt(Codec.SNAPPY, "truncated stream header")
    output = bytearray()
    position = 16
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big", signed=True)
        position += 4
        if size < 0 or position + size > len(data):
            raise _corrupt(Codec.SNAPPY, "a block runs over the end")
        output += _decompress_snappy_block(data[position : position + size], limit - len(output))
        position += size
    return output


def _decompress_snappy_block(block: memoryview, limit: int) -> bytes:
    import cramjam

    raw = bytes(block)
    try:
        size = cramjam.snappy.decompress_raw_len(raw)
        if size > limit:
            raise _too_large(Codec.SNAPPY, limit)
        return bytes(cramjam.snappy.decompress_raw(raw))
    except cramjam.DecompressionError as error:
        raise _corrupt(Codec.SNAPPY, error) from None


def _decompress_growing(codec: Codec, data: Buffer, limit: int) -> bytearray:
    """Decompress into a buffer that doubles until the output fits or the limit is met."""
    import cramjam

    module = cramjam.lz4 if codec is Codec.LZ4 else cramjam.zstd
    source = bytes(data)
    if not source:
        raise _corrupt(codec, "no data")
    size = min(limit, max(_FIRST_GUESS_BYTES, 4 * len(source)))
    while True:
        output = bytearray(size)
        try:
            written: int = module.decompress_into(source, output)
        except cramjam.DecompressionError as error:
            if "write" not in str(error):
                raise _corrupt(codec, error) from None
            if size >= limit:
                raise _too_large(codec, limit) from None
            size = min(limit, 4 * size)
            continue
        del output[written:]
        return output
