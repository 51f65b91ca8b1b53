"""How coordinator records become the key and the value of a log record.

Shape: both begin with a big-endian int16. In a key it names the *kind* of the
record (`KEY_TYPE`), in a value the version of its schema; the fields follow.
Keys are never flexible (KIP-482); a value is from its `FLEXIBLE_FROM` on.
Errors: `ProtocolError` for bytes that are not such a record.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar, Final, TypeVar

from ottla.wire.codec import decode, encode
from ottla.wire.errors import ProtocolError
from ottla.wire.message import Message

INT16: Final = struct.Struct(">h")
#: Stands for a tagged field that is left out: Kafka then reads an empty one, where null says null.
ABSENT: Final[Any] = object()


class RecordKey(Message):
    """The key of a coordinator record; its kind is the number it starts with."""

    __slots__ = ()
    KEY_TYPE: ClassVar[int] = -1


class RecordValue(Message):
    """The value of a coordinator record."""

    __slots__ = ()
    WRITTEN_VERSION: ClassVar[int] = 0
    FLEXIBLE_FROM: ClassVar[int] = 0


K = TypeVar("K", bound=RecordKey)
V = TypeVar("V", bound=RecordValue)


def encode_key(key: RecordKey) -> bytes:
    out = bytearray(INT16.pack(key.KEY_TYPE))
    encode(key, key.KEY_TYPE, False, out)
    return bytes(out)


def encode_value(value: RecordValue, version: int | None = None) -> bytes:
    """The value at the version Kafka writes, or at `version`."""
    if version is None:
        version = value.WRITTEN_VERSION
    out = bytearray(INT16.pack(version))
    encode(value, version, version >= value.FLEXIBLE_FROM, out)
    return bytes(out)


def key_type(key: bytes) -> int:
    """The kind of record that a key names; unknown kinds are to be skipped."""
    if len(key) < INT16.size:
        raise ProtocolError("a coordinator record's key is too short")
    kind: int = INT16.unpack_from(key)[0]
    return kind


def decode_key(cls: type[K], key: bytes) -> K:
    return decode(cls, key_type(key), key, INT16.size, False)


def decode_value(cls: type[V], value: bytes) -> V:
    if len(value) < INT16.size:
        raise ProtocolError("a coordinator record's value is too short")
    version: int = INT16.unpack_from(value)[0]
    return decode(cls, version, value, INT16.size, version >= cls.FLEXIBLE_FROM)
