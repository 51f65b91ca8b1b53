"""Messages with something in every field, to begin with."""

from __future__ import annotations

from typing import Any, TypeVar

from ottla.wire import codec, frames
from ottla.wire.message import FieldSchema, Message, Request
from ottla.wire.messages import API_NAMES, API_VERSIONS

API_KEYS = sorted(API_NAMES)
#: Topic, group, user and transactional id of samples: with one name, they meet.
NAME = "text"
TOPIC_ID = b"u" * 16
_VALUES: dict[str, Any] = {
    "string": NAME,
    "bytes": b"bytes",
    "records": b"records",
    "uuid": TOPIC_ID,
    "bool": True,
    "float64": 1.5,
}


M = TypeVar("M", bound=Message)


def filled(cls: type[M], version: int, **chosen: Any) -> M:
    """A message of this version whose every field says something; `chosen` by field name."""
    message = cls()
    for field in cls.SCHEMA:
        if field.first <= version <= field.last:
            value = chosen[field.name] if field.name in chosen else _value(field, version, chosen)
            setattr(message, field.name, value)
    return message


def _value(field: FieldSchema, version: int, chosen: dict[str, Any]) -> Any:
    if not isinstance(field.type_, str):
        value: Any = filled(field.type_, version, **chosen)
    else:
        value = _VALUES.get(field.type_, 0)
    return [value] if field.is_array else value


def request_sample(api_key: int, version: int, **chosen: Any) -> Request[Any]:
    """A request of this API; `chosen` as in `filled`."""
    return filled(frames.request_class(api_key), version, **chosen)


def body(message: Request[Any], version: int) -> bytes:
    """The bytes of a request, without its header."""
    out = bytearray()
    codec.encode(message, version, frames.is_flexible(message.API_KEY, version), out)
    return bytes(out)


def versions(api_key: int) -> range:
    oldest, newest, _ = API_VERSIONS[api_key]
    return range(oldest, newest + 1)
