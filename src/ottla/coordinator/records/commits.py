"""Committed offsets read and written by hand: start-up reads millions of them.

The same bytes as `OffsetCommitKey` and `OffsetCommitValue` version 3 through
the compiled codec, several times faster; a test holds the two together.
Errors: `ProtocolError` for bytes that are not such a record.
"""

from __future__ import annotations

import struct
from typing import Final

from ottla.coordinator.records.framing import decode_value
from ottla.coordinator.records.offsets import OffsetCommitValue
from ottla.wire.errors import ProtocolError

_KEY_START: Final = struct.Struct(">hh")
_LENGTH: Final = struct.Struct(">h")
_PARTITION: Final = struct.Struct(">i")
_VALUE_START: Final = struct.Struct(">hqih")
_TIMESTAMP: Final = struct.Struct(">q")

KEY_TYPE: Final = 1
VALUE_VERSION: Final = 3


def encode_commit_key(group_id: str, topic: str, partition: int) -> bytes:
    group, name = group_id.encode(), topic.encode()
    return b"".join(
        (
            _KEY_START.pack(KEY_TYPE, len(group)),
            group,
            _LENGTH.pack(len(name)),
            name,
            _PARTITION.pack(partition),
        )
    )


def encode_commit_value(
    offset: int, leader_epoch: int, metadata: str, commit_timestamp_ms: int
) -> bytes:
    text = metadata.encode()
    return (
        _VALUE_START.pack(VALUE_VERSION, offset, leader_epoch, len(text))
        + text
        + _TIMESTAMP.pack(commit_timestamp_ms)
    )


def decode_commit_key(key: bytes) -> tuple[str, str, int]:
    """Group, topic and partition."""
    try:
        _, length = _KEY_START.unpack_from(key)
        end = 4 + length
        (topic_length,) = _LENGTH.unpack_from(key, end)
        topic_end = end + 2 + topic_length
        (partition,) = _PARTITION.unpack_from(key, topic_end)
        if length < 0 or topic_length < 0:
            raise ProtocolError("a committed offset's key has a negative length")
        return str(key[4:end], "utf-8"), str(key[end + 2 : topic_end], "utf-8"), partition
    except (struct.error, UnicodeDecodeError) as error:
        raise ProtocolError(f"a committed offset's key: {error}") from None


def decode_commit_value(value: bytes) -> tuple[int, int, str, int, int]:
    """Offset, leader epoch, metadata, and the times of commit and expiry (or -1)."""
    try:
        version, offset, leader_epoch, length = _VALUE_START.unpack_from(value)
        if version == VALUE_VERSION and length >= 0:
            end = _VALUE_START.size + length
            (timestamp_ms,) = _TIMESTAMP.unpack_from(value, end)
            metadata = str(value[_VALUE_START.size : end], "utf-8") if length else ""
            return offset, leader_epoch, metadata, timestamp_ms, -1
    except (struct.error, UnicodeDecodeError):
        pass  # Another version, or damage: the general decoder says which.
    old = decode_value(OffsetCommitValue, value)
    return (
        old.offset,
        old.leader_epoch,
        old.metadata,
        old.commit_timestamp_ms,
        old.expire_timestamp_ms,
    )
