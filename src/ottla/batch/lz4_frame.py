"""The header checksum of LZ4 frames, right and as Kafka 0.8 and 0.9 clients wrote it.

Those clients computed the checksum over the frame's magic as well (KIP-57
mended it for message format v1), so that in message sets v0 the wrong
checksum is the right one, to be written, and neither may be refused.
"""

from __future__ import annotations

from typing import Final

from ottla.batch.errors import CorruptBatchError
from ottla.wire.errors import ErrorCode

MAGIC: Final = b"\x04\x22\x4d\x18"
_CONTENT_SIZE_FLAG: Final = 0x08
_DICTIONARY_FLAG: Final = 0x01

_PRIMES: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1)
_MASK: Final = 0xFFFFFFFF


def with_correct_checksum(frame: bytes) -> bytes:
    """The frame with the header checksum that LZ4 asks for, whatever it had."""
    position = _checksum_position(frame)
    return _with_byte(frame, position, _checksum(frame[len(MAGIC) : position]))


def with_legacy_checksum(frame: bytes) -> bytes:
    """The frame with the header checksum that message set v0 has."""
    position = _checksum_position(frame)
    return _with_byte(frame, position, _checksum(frame[:position]))


def _checksum_position(frame: bytes) -> int:
    if frame[:4] != MAGIC or len(frame) < 7:
        raise CorruptBatchError(ErrorCode.CORRUPT_MESSAGE, "Not an LZ4 frame")
    flags = frame[4]
    position = 6 + 8 * bool(flags & _CONTENT_SIZE_FLAG) + 4 * bool(flags & _DICTIONARY_FLAG)
    if len(frame) <= position:
        raise CorruptBatchError(ErrorCode.CORRUPT_MESSAGE, "Truncated LZ4 frame header")
    return position


def _with_byte(frame: bytes, position: int, value: int) -> bytes:
    return frame[:position] + bytes((value,)) + frame[position + 1 :]


def _checksum(descriptor: bytes) -> int:
    return xxh32(descriptor) >> 8 & 0xFF


def _rotate(value: int, bits: int) -> int:
    value &= _MASK
    return value << bits & _MASK | value >> (32 - bits)


def xxh32(data: bytes) -> int:
    """xxHash, 32 bits, seed 0; meant for a header's few bytes."""
    one, two, three, four, five = _PRIMES
    position = 0
    if len(data) >= 16:
        lanes = [one + two, two, 0, -one]
        while position + 16 <= len(data):
            for lane in range(4):
                word = int.from_bytes(data[position : position + 4], "little")
                lanes[lane] = _rotate(lanes[lane] + word * two, 13) * one
                position += 4
        hashed = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
    else:
        hashed = five
    hashed += len(data)
    while position + 4 <= len(data):
        word = int.from_bytes(data[position : position + 4], "little")
        hashed = _rotate(hashed + word * three, 17) * four
        position += 4
    for byte in data[position:]:
        hashed = _rotate(hashed + byte * five, 11) * one
    hashed &= _MASK
    hashed = (hashed ^ hashed >> 15) * two & _MASK
    hashed = (hashed ^ hashed >> 13) * three & _MASK
    return hashed ^ hashed >> 16
