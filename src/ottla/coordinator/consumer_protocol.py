"""The embedded protocol of classic consumers: subscriptions and assignments.

Classic consumers put these into JoinGroup and SyncGroup; the broker treats
them as opaque bytes except to learn which topics a group is subscribed to
(KIP-211, OffsetDelete) and to let classic members live in a KIP-848 group.
Shape: int16 version, then the fields; version 0 is a prefix of all later ones.
Errors: `ProtocolError` for bytes that are not of this protocol.
"""

from __future__ import annotations

import struct
from typing import Final

from ottla.wire.codec import decode, encode
from ottla.wire.errors import ProtocolError
from ottla.wire.message import Buffer, FieldSchema, Message

PROTOCOL_TYPE: Final = "consumer"
HIGHEST_VERSION: Final = 3


class TopicPartitions(Message):
    __slots__ = ("partitions", "topic")
    SCHEMA = (
        FieldSchema("topic", "string", False, 0, 32767, 32767, -1, -1, 32767),
        FieldSchema("partitions", "int32", True, 0, 32767, 32767, -1, -1, 32767),
    )

    def __init__(self, topic: str = "", partitions: list[int] | None = None) -> None:
        self.topic = topic
        self.partitions = partitions or []


class Subscription(Message):
    """What a consumer wants: topics, and what it still owns."""

    __slots__ = ("generation_id", "owned_partitions", "rack_id", "topics", "user_data")
    SCHEMA = (
        FieldSchema("topics", "string", True, 0, 32767, 32767, -1, -1, 32767),
        FieldSchema("user_data", "bytes", False, 0, 32767, 0, 32767, -1, 32767),
        FieldSchema("owned_partitions", TopicPartitions, True, 1, 32767, 32767, -1, -1, 32767),
        FieldSchema("generation_id", "int32", False, 2, 32767, 32767, -1, -1, 32767),
        FieldSchema("rack_id", "string", False, 3, 32767, 3, 32767, -1, 32767),
    )

    def __init__(
        self,
        topics: list[str] | None = None,
        user_data: Buffer | None = None,
        owned_partitions: list[TopicPartitions] | None = None,
        generation_id: int = -1,
        rack_id: str | None = None,
    ) -> None:
        self.topics = topics or []
        self.user_data = user_data
        self.owned_partitions = owned_partitions or []
        self.generation_id = generation_id
        self.rack_id = rack_id


class Assignment(Message):
    """What a consumer gets."""

    __slots__ = ("assigned_partitions", "user_data")
    SCHEMA = (
        FieldSchema("assigned_partitions", TopicPartitions, True, 0, 32767, 32767, -1, -1, 32767),
        FieldSchema("user_data", "bytes", False, 0, 32767, 0, 32767, -1, 32767),
    )

    def __init__(
        self,
        assigned_partitions: list[TopicPartitions] | None = None,
        user_data: Buffer | None = None,
    ) -> None:
        self.assigned_partitions = assigned_partitions or []
        self.user_data = user_data


def version_of(data: bytes) -> int:
    if len(data) < 2:
        raise ProtocolError("consumer protocol data is too short")
    version: int = struct.unpack_from(">h", data)[0]
    if version < 0:
        raise ProtocolError(f"consumer protocol version {version}")
    return version


def decode_subscription(data: bytes) -> tuple[int, Subscription]:
    """The version and the subscription; fields of versions after 3 are ignored."""
    version = version_of(data)
    known = min(version, HIGHEST_VERSION)
    return version, decode(Subscription, known, data, 2, False)


def subscribed_topics(data: bytes) -> list[str]:
    """The topics of a subscription, read as version 0."""
    version_of(data)
    return decode(Subscription, 0, data, 2, False).topics


def encode_subscription(subscription: Subscription, version: int = HIGHEST_VERSION) -> bytes:
    out = bytearray(struct.pack(">h", version))
    encode(subscription, min(version, HIGHEST_VERSION), False, out)
    return bytes(out)


def encode_assignment(assignment: Assignment, version: int = HIGHEST_VERSION) -> bytes:
    out = bytearray(struct.pack(">h", version))
    encode(assignment, min(version, HIGHEST_VERSION), False, out)
    return bytes(out)


def decode_assignment(data: bytes) -> Assignment:
    version = version_of(data)
    return decode(Assignment, min(version, HIGHEST_VERSION), data, 2, False)
