"""Records of Kafka's internal topics as JSON, named as Kafka names their fields."""

from __future__ import annotations

import base64
import importlib
import inspect
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Final

from ottla.coordinator import consumer_protocol
from ottla.coordinator.records import offsets
from ottla.coordinator.records.framing import (
    INT16,
    RecordKey,
    RecordValue,
    decode_key,
    decode_value,
    key_type,
)
from ottla.wire.errors import ProtocolError
from ottla.wire.message import ZERO_UUID, Buffer, FieldSchema, Message, Schema

#: Topic → modules that define its records.
GROUPS: Final = ("offsets", "consumer_groups", "share_groups", "streams_groups")
TRANSACTIONS: Final = ("transactions",)
SHARE_STATE: Final = ("share_state",)
#: Kinds of record among those of groups.
OFFSET_COMMIT: Final = 1
GROUP_METADATA: Final = 2

#: Classes whose times Kafka names without their unit.
WITHOUT_UNITS: Final = frozenset(
    {
        "ConsumerGroupTargetAssignmentMetadataValue",
        "GroupMember",
        "GroupMetadataValue",
        "OffsetCommitValue",
        "ShareGroupTargetAssignmentMetadataValue",
        "ShareSnapshotValue",
        "StreamsGroupTargetAssignmentMetadataValue",
    }
)


class UnknownRecordError(Exception):
    """The key names a kind of record that is not known here."""

    def __init__(self, kind: int) -> None:
        super().__init__(kind)
        self.kind = kind


class OffsetCommitValue(offsets.OffsetCommitValue):
    """As Kafka 4 writes it: version 4 also knows the topic's id (KIP-848)."""

    __slots__ = ("topic_id",)
    SCHEMA: ClassVar[Schema] = (
        *offsets.OffsetCommitValue.SCHEMA,
        FieldSchema("topic_id", "uuid", False, 4, 32767, 32767, -1, 0, 4),
    )

    def __init__(self, *values: Any, topic_id: bytes = ZERO_UUID, **named: Any) -> None:
        super().__init__(*values, **named)
        self.topic_id = topic_id


@cache
def _kinds(modules: tuple[str, ...]) -> dict[int, tuple[type[RecordKey], type[RecordValue]]]:
    """Number of a kind of record → classes of its key and value."""
    kinds: dict[int, tuple[type[RecordKey], type[RecordValue]]] = {}
    for name in modules:
        try:
            module: ModuleType = importlib.import_module(f"ottla.coordinator.records.{name}")
        except ModuleNotFoundError:
            continue
        for class_name, key in inspect.getmembers(module, inspect.isclass):
            if not issubclass(key, RecordKey) or key is RecordKey:
                continue
            value = getattr(module, class_name.removesuffix("Key") + "Value", None)
            if value is not None:
                kinds[key.KEY_TYPE] = (key, value)
    if "offsets" in modules:
        kinds[OFFSET_COMMIT] = (kinds[OFFSET_COMMIT][0], OffsetCommitValue)
    return kinds


def decode(
    modules: tuple[str, ...], key: bytes, value: bytes | None, *, opens_members: bool = True
) -> tuple[int, dict[str, Any], int | None, dict[str, Any] | None]:
    """(kind, key's fields, value's version, value's fields); the last two None for a deletion.

    `opens_members` shows what is in the subscriptions and assignments of
    classic consumers instead of their bytes.
    Raises `UnknownRecordError`, and `ProtocolError` for bytes that do not decode.
    """
    kind = key_type(key)
    classes = _kinds(modules).get(kind)
    if classes is None and kind == 0 and modules == GROUPS:
        # Offsets were once committed under kind 0, with the same fields.
        classes = _kinds(modules)[OFFSET_COMMIT]
    if classes is None:
        raise UnknownRecordError(kind)
    key_fields = fields(decode_key(classes[0], key), kind)
    if value is None:
        return kind, key_fields, None, None
    message = decode_value(classes[1], value)
    version: int = INT16.unpack_from(value)[0]
    value_fields = fields(message, version)
    if opens_members and value_fields.get("protocolType") == consumer_protocol.PROTOCOL_TYPE:
        for member in value_fields.get("members", []):
            _open_consumer_protocol(member)
    return kind, key_fields, version, value_fields


def fields(message: Message, version: int) -> dict[str, Any]:
    """The fields a message has in one version, as JSON values."""
    drops_units = type(message).__name__ in WITHOUT_UNITS
    untouched = type(message)()

    def is_shown(field: FieldSchema) -> bool:
        # A tagged field that was left alone is not in the bytes (KIP-482).
        return field.tag < 0 or getattr(message, field.name) != getattr(untouched, field.name)

    return {
        camel_case(field.name.removesuffix("_ms") if drops_units else field.name): _value(
            getattr(message, field.name), version, field.type_ == "uuid"
        )
        for field in message.SCHEMA
        if field.first <= version <= field.last and is_shown(field)
    }


def camel_case(name: str) -> str:
    """`member_id` → `memberId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _value(value: Any, version: int, is_uuid: bool = False) -> Any:
    if isinstance(value, Message):
        return fields(value, version)
    if isinstance(value, list):
        return [_value(item, version, is_uuid) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return _uuid_text(value) if is_uuid else base64.b64encode(value).decode()
    return value


def _uuid_text(data: Buffer) -> str:
    """A UUID as Kafka writes one."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _open_consumer_protocol(member: dict[str, Any]) -> None:
    """Replace a member's opaque subscription and assignment by what they say."""
    for name, cls in (
        ("subscription", consumer_protocol.Subscription),
        ("assignment", consumer_protocol.Assignment),
    ):
        text = member.get(name)
        if not text:
            continue
        try:
            raw = base64.b64decode(text)
            version = consumer_protocol.version_of(raw)
            if cls is consumer_protocol.Subscription:
                message: Message = consumer_protocol.decode_subscription(raw)[1]
            else:
                message = consumer_protocol.decode_assignment(raw)
        except (ProtocolError, ValueError):
            continue
        member[name] = fields(message, version)
