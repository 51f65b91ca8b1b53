"""Embedded formats of API v2 and the media types that carry them.

`binary` is base64 in JSON, `json` is JSON in JSON. The formats that need a
schema registry are known, so that asking for them gets the clear error.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from ottla.gateway.errors import RestError, cannot_serialize, no_schema_registry
from ottla.gateway.json_bodies import compact_json, from_base64

FORMATS: Final = ("binary", "json", "avro", "jsonschema", "protobuf")
SCHEMA_FIELDS: Final = ("key_schema", "key_schema_id", "value_schema", "value_schema_id")
SCHEMA_FORMATS: Final = frozenset({"avro", "jsonschema", "protobuf"})
PLAIN_TYPES: Final = frozenset(
    {"application/vnd.kafka.v2+json", "application/vnd.kafka+json", "application/json"}
)
_EMBEDDED: Final = {f"application/vnd.kafka.{name}.v2+json": name for name in FORMATS}


def media_type(name: str) -> str:
    return f"application/vnd.kafka.{name}.v2+json"


def _essence(part: str) -> str:
    return part.split(";", 1)[0].strip().lower()


def produce_format(content_type: str | None) -> str:
    """The embedded format a produce request's Content-Type names (binary by default).

    Errors: 415 for a type that is not ours.
    """
    essence = _essence(content_type or "")
    if essence in _EMBEDDED:
        return _EMBEDDED[essence]
    if essence in PLAIN_TYPES or essence in ("", "application/octet-stream"):
        return "binary"
    raise RestError(415, 415, "HTTP 415 Unsupported Media Type")


def check_schemas(format_: str, body: dict[str, Any]) -> None:
    """As the original without a schema registry: it sooner misses the schema, later the bytes.

    Errors: 42206 for a schema format with a schema, 42207 without.
    """
    if format_ in SCHEMA_FORMATS:
        given = any(body.get(name) is not None for name in SCHEMA_FIELDS)
        raise no_schema_registry() if given else cannot_serialize()


def check_plain_content_type(content_type: str | None) -> None:
    """Errors: 415 unless the request says it carries (plain) JSON, or says nothing."""
    essence = _essence(content_type or "")
    if essence and essence not in PLAIN_TYPES and essence not in _EMBEDDED:
        raise RestError(415, 415, "HTTP 415 Unsupported Media Type")


def accepted_read_format(accept: str | None) -> str | None:
    """The embedded format that a read's Accept header names; None: any.

    Errors: 406 when the header allows nothing that we can answer.
    """
    if not accept or not accept.strip():
        return None
    wildcard = False
    for part in accept.split(","):
        essence = _essence(part)
        if essence in _EMBEDDED:
            return _EMBEDDED[essence]
        if essence in PLAIN_TYPES or essence in ("*/*", "application/*"):
            wildcard = True
    if wildcard:
        return None
    raise RestError(406, 406, "HTTP 406 Not Acceptable")


def check_plain_accept(accept: str | None) -> None:
    """Errors: 406 when an Accept header rules out API v2's plain JSON."""
    if not accept or not accept.strip():
        return
    for part in accept.split(","):
        essence = _essence(part)
        if essence in PLAIN_TYPES or essence in ("*/*", "application/*"):
            return
    raise RestError(406, 406, "HTTP 406 Not Acceptable")


def encode_embedded(format_: str, value: Any, what: str) -> bytes | None:
    """Bytes to store for a key or value of a produce request."""
    if value is None:
        return None
    if format_ == "binary":
        return from_base64(value, what)
    return compact_json(value)


def decode_embedded(format_: str, data: bytes | None) -> tuple[Any, str | None]:
    """(JSON value to answer with, or None; what is wrong with it, or None)."""
    if data is None:
        return None, None
    if format_ == "binary":
        return base64.b64encode(data).decode(), None
    try:
        return json.loads(data), None
    except (ValueError, RecursionError) as error:
        return None, str(error)
