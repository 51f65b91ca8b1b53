"""The base of every message class, and the vocabulary of their schemas.

A message class is neutral: it has the fields of *all* versions of its message,
each with Kafka's default. `SCHEMA` says which versions carry which field;
`ottla.wire.codec` turns that into one encoder and one decoder per version, so
that nothing above `wire/` needs to know about versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Generic, NamedTuple, TypeAlias, TypeVar

#: Anything that holds bytes. Decoded `bytes` and `records` fields are
#: zero-copy memoryviews into the frame, valid while the frame is.
Buffer: TypeAlias = bytes | bytearray | memoryview

#: Record batches to send: one buffer, or several that follow one another.
Records: TypeAlias = Buffer | Sequence[Buffer]

#: "No topic id": sixteen zero bytes. UUIDs travel as 16 bytes everywhere.
ZERO_UUID: Final = bytes(16)


class FieldSchema(NamedTuple):
    """One field of a message: its type and the versions that carry it.

    All version bounds are inclusive; 32767 as upper bound means "and later".
    A field is never null where `null_from > null_to`, and never tagged
    (KIP-482) where `tag` is -1.
    """

    name: str
    type_: str | type[Message]
    is_array: bool
    first: int
    last: int
    null_from: int
    null_to: int
    tag: int
    tag_from: int


Schema: TypeAlias = tuple[FieldSchema, ...]


class Message:
    """A Kafka message or a structure within one; equal when its fields are."""

    __slots__ = ()
    SCHEMA: ClassVar[Schema] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in self.SCHEMA)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in self.SCHEMA)
        return f"{type(self).__name__}({fields})"


R = TypeVar("R", bound=Message)


class Request(Message, Generic[R]):
    """A whole request; its type names the type of its response."""

    __slots__ = ()
    API_KEY: ClassVar[int] = -1
