"""The events both services speak of, and the headers they travel with."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Final

NEW_USER_CREATED: Final = "new-user-created"
ISSUED_TOKEN: Final = "issued-token"  # noqa: S105 - a topic's name

EVENT_ID: Final = "event-id"
CORRELATION_ID: Final = "correlation-id"

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class NewUserCreated:
    """A user has registered. Unkeyed: these spread over the partitions."""

    user_id: str
    name: str
    email: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token was issued to a user. Keyed by user: their order is kept."""

    user_id: str
    token_id: str
    expires_at_ms: int
    issued_at_ms: int


@dataclass(slots=True)
class Outgoing:
    """An event on its way into a topic."""

    topic: str
    key: str | None
    payload: dict[str, Any]
    headers: Headers


def now_ms() -> int:
    return int(time.time() * 1000)


def outgoing(event: NewUserCreated | IssuedToken, correlation_id: str) -> Outgoing:
    """The event with its topic, key and headers; its id is made here, once."""
    topic = NEW_USER_CREATED if isinstance(event, NewUserCreated) else ISSUED_TOKEN
    key = event.user_id if isinstance(event, IssuedToken) else None
    headers = {EVENT_ID: str(uuid.uuid4()), CORRELATION_ID: correlation_id}
    return Outgoing(topic, key, asdict(event), headers)


def encode(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def decode(value: bytes | None) -> dict[str, Any]:
    """The payload of a record. Errors: `ValueError` when it is not a JSON object."""
    payload = json.loads(value or b"")
    if not isinstance(payload, dict):
        raise ValueError("the value is not a JSON object")  # noqa: TRY004
    return payload


def header_dict(pairs: Any) -> Headers:
    """Headers as text; a repeated name keeps its last value."""
    found = pairs.items() if isinstance(pairs, dict) else pairs or []
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
        for name, value in found
    }
