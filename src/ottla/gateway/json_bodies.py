"""Reading JSON request bodies, with the errors REST clients know."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection
from typing import Any, Final

import orjson
from starlette.requests import Request

from ottla.gateway.errors import RestError, bad_request, no_payload, unprocessable

MAX_INT32: Final = (1 << 31) - 1
MAX_INT64: Final = (1 << 63) - 1
#: Digits that may not fit into 64 bits: orjson would make a float of them.
_LONG_NUMBER: Final = re.compile(rb"\d{19}")


def parse_json(data: bytes) -> Any:
    """The JSON value in `data`, its numbers exact. Errors: ValueError, RecursionError."""
    if _LONG_NUMBER.search(data):
        return json.loads(data)
    return orjson.loads(data)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Errors: 413 when it is longer than `max_bytes`."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise RestError(413, 413, f"The request is longer than {max_bytes} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


async def read_object(
    request: Request, max_bytes: int, fields: Collection[str], *, optional: bool = False
) -> dict[str, Any]:
    """A JSON object that has none but the given fields; {} for an allowed empty body."""
    body = await read_body(request, max_bytes)
    if not body.strip():
        if optional:
            return {}
        if request.url.path.startswith("/v3/"):
            raise no_payload()
        raise unprocessable("Null input provided. Data is required.")
    try:
        parsed = parse_json(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The request body is not JSON: {error}") from None
    if parsed is None and optional:
        return {}
    if not isinstance(parsed, dict):
        raise bad_request("The request body must be a JSON object.")
    check_fields(parsed, fields)
    return parsed


def check_fields(value: dict[str, Any], fields: Collection[str]) -> None:
    for name in value:
        if name not in fields:
            raise unprocessable(f"Unrecognized field: {name}")


def list_of_objects(
    container: dict[str, Any], name: str, fields: Collection[str], *, required: bool = True
) -> list[dict[str, Any]]:
    """The list `container[name]`, each element an object with known fields."""
    items = container.get(name)
    if items is None and not required:
        return []
    if not isinstance(items, list) or (required and not items):
        raise unprocessable(f"{name} may not be empty")
    for item in items:
        if not isinstance(item, dict):
            raise unprocessable(f"{name} must hold JSON objects")
        check_fields(item, fields)
    return items


def is_text(value: Any) -> bool:
    """Whether it is a text that UTF-8 can carry: JSON may hold half a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_field(container: dict[str, Any], name: str) -> str:
    value = container.get(name)
    if not value or not is_text(value):
        raise unprocessable(f"{name} may not be empty and must be a text")
    return str(value)


def int_field(
    container: dict[str, Any], name: str, *, minimum: int = 0, maximum: int = MAX_INT64
) -> int:
    value = container.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise unprocessable(f"{name} must be a number")
    if not minimum <= value <= maximum:
        raise unprocessable(f"{name} must be at least {minimum} and at most {maximum}")
    return value


def partition_field(container: dict[str, Any], name: str = "partition") -> int:
    return int_field(container, name, maximum=MAX_INT32)


def compact_json(value: Any) -> bytes:
    """JSON text without spaces; numbers and broken surrogates stay what they are."""
    try:
        return orjson.dumps(value)
    except TypeError:  # longer than 64 bits, half a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()


def from_base64(value: Any, what: str) -> bytes | None:
    """Bytes of a base64 text; null stays null. Errors: 42203."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise RestError(
            422, 42203, f"Conversion of JSON to Object failed: {what} is not a base64 string"
        )
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise RestError(
            422, 42203, f"Conversion of JSON to Object failed: {what} is not valid base64"
        ) from None
