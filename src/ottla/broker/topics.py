"""Topics and the rest of the cluster's metadata, as records and as state.

A change is decided first (`decide_*` returns records and changes nothing),
then journalled, then replayed; `replay` alone changes durable state, live and
at restart alike.

Shape of a change: JSON, UTF-8, `{"version": 1, "records": [{"type": ...}, ...]}`.
Its records are applied together or, if a crash tore it, not at all. Unknown
types and versions above 1 are refused: a newer Ottla wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ottla.broker.acls import Acl, AclStore
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import ZERO_UUID

if TYPE_CHECKING:
    from ottla.broker.partitions import Partition

Record: TypeAlias = dict[str, Any]

RECORD_VERSION: Final = 1
MAX_TOPIC_NAME_LENGTH: Final = 249
_LEGAL_NAME: Final = re.compile(r"[a-zA-Z0-9._-]+")

GROUP_METADATA_TOPIC: Final = "__consumer_offsets"
TRANSACTION_STATE_TOPIC: Final = "__transaction_state"
SHARE_STATE_TOPIC: Final = "__share_group_state"
INTERNAL_TOPICS: Final = frozenset(
    {GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC, SHARE_STATE_TOPIC}
)

#: Kinds of configuration resources, as the protocol numbers them (KIP-226, KIP-714, KIP-848).
RESOURCE_TOPIC: Final = 2
RESOURCE_BROKER: Final = 4
RESOURCE_BROKER_LOGGER: Final = 8
RESOURCE_CLIENT_METRICS: Final = 16
RESOURCE_GROUP: Final = 32


class MetadataFormatError(Exception):
    """A journal record that this version of Ottla cannot read."""


def check_topic_name(name: str) -> str | None:
    """Why this name is illegal, in a sentence; None when it is legal."""
    if not name:
        return "Topic name is invalid: the empty string is not allowed"
    if name in (".", ".."):
        return "Topic name is invalid: '.' or '..' is not allowed"
    if len(name) > MAX_TOPIC_NAME_LENGTH:
        return (
            f"Topic name is invalid: the length of '{name}' is longer than the max allowed "
            f"length {MAX_TOPIC_NAME_LENGTH}"
        )
    if _LEGAL_NAME.fullmatch(name) is None:
        return (
            f"Topic name is invalid: '{name}' contains one or more characters other than "
            "ASCII alphanumerics, '.', '_' and '-'"
        )
    return None


def collision_key(name: str) -> str:
    """Names with the same key make the same metric names: only one may exist."""
    return name.replace(".", "_")


class Topic:
    """One topic: durable facts, and its partitions while the broker runs."""

    __slots__ = (
        "configs",
        "first_start",
        "id",
        "is_deleted",
        "is_internal",
        "name",
        "partition_count",
        "partitions",
    )

    def __init__(
        self, name: str, id_: bytes, partition_count: int, configs: dict[str, str], first_start: int
    ) -> None:
        self.name = name
        self.id = id_
        self.partition_count = partition_count
        #: Overrides only, as text.
        self.configs = configs
        #: The broker's start number when the topic was created; leader epochs count from it.
        self.first_start = first_start
        self.is_internal = name in INTERNAL_TOPICS
        self.is_deleted = False
        self.partitions: list[Partition] = []

    def __repr__(self) -> str:
        return f"<Topic {self.name} {self.id.hex()} of {self.partition_count}>"


class ScramCredential(NamedTuple):
    """What is kept of a user's password for one mechanism (RFC 5802)."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


class ClusterMetadata:
    """Everything durable that is not in a log: topics, ids, configurations, counters."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        #: (resource type, resource name) -> overrides, for all but topics.
        self.configs: dict[tuple[int, str], dict[str, str]] = {}
        #: Client quotas: sorted ((entity type, name or None for the default), ...) -> limits.
        self.quotas: dict[tuple[tuple[str, str | None], ...], dict[str, float]] = {}
        #: Finalised features that were changed from this version's own levels.
        self.features: dict[str, int] = {}
        #: (user, mechanism number) -> credential.
        self.scram_credentials: dict[tuple[str, int], ScramCredential] = {}
        self.acls = AclStore()
        self.next_producer_id = 0
        #: How many times the broker has started with this metadata, this time included.
        self.starts = 0
        #: Changes with every replayed record; caches compare it.
        self.epoch = 0
        #: Changes with every topic that comes, goes or grows.
        self.topics_epoch = 0
        self._collisions: dict[str, str] = {}

    # --- deciding ---------------------------------------------------------

    def decide_start(self) -> list[Record]:
        return [{"type": "start", "number": self.starts + 1}]

    def decide_create_topic(
        self, name: str, topic_id: bytes, partition_count: int, configs: Mapping[str, str]
    ) -> list[Record]:
        """A new topic; raises `RequestError` when the name is illegal or taken."""
        reason = check_topic_name(name)
        if reason is not None:
            raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
        if name in self.topics:
            raise RequestError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        other = self._collisions.get(collision_key(name))
        if other is not None:
            raise RequestError(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"Topic '{name}' collides with existing topic: {other}",
            )
        assert topic_id != ZERO_UUID
        assert topic_id not in self.topics_by_id
        return [
            {
                "type": "topic",
                "name": name,
                "id": topic_id.hex(),
                "partitions": partition_count,
                "configs": dict(configs),
                "start": self.starts,
            }
        ]

    def decide_create_partitions(self, topic: Topic, partition_count: int) -> list[Record]:
        return [{"type": "partitions", "id": topic.id.hex(), "count": partition_count}]

    def decide_delete_topic(self, topic: Topic) -> list[Record]:
        return [{"type": "delete-topic", "id": topic.id.hex()}]

    def decide_configs(
        self, resource_type: int, name: str, changes: Mapping[str, str | None]
    ) -> list[Record]:
        """Set the keys with a value, drop those without."""
        return [{"type": "config", "resource": resource_type, "name": name, "set": dict(changes)}]

    def decide_producer_ids(self, count: int) -> list[Record]:
        """Reserve `count` producer ids from `next_producer_id` on."""
        return [{"type": "producer-ids", "next": self.next_producer_id + count}]

    def decide_quota(
        self,
        entity: tuple[tuple[str, str | None], ...],
        changes: Mapping[str, float | None],
    ) -> list[Record]:
        return [{"type": "quota", "entity": [list(p) for p in entity], "set": dict(changes)}]

    def decide_feature(self, name: str, level: int) -> list[Record]:
        return [{"type": "feature", "name": name, "level": level}]

    def decide_scram_credential(
        self, user: str, mechanism: int, credential: ScramCredential | None
    ) -> list[Record]:
        """Set a user's credential, or remove it."""
        return [_scram_record(user, mechanism, credential)]

    def decide_acls(self, added: Iterable[Acl], removed: Iterable[Acl]) -> list[Record]:
        """Add and remove entries of the access control lists."""
        return [
            {
                "type": "acls",
                "added": [list(acl) for acl in added],
                "removed": [list(acl) for acl in removed],
            }
        ]

    # --- records ----------------------------------------------------------

    def replay_change(self, change: bytes) -> None:
        """Apply the records of one entry of the journal. Raises `MetadataFormatError` when
        they make no sense, although their checksum is right."""
        for record in decode_change(change):
            try:
                self.replay(record)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise MetadataFormatError(
                    f"metadata record {str(record)[:200]} makes no sense: {error!r}"
                ) from error

    def replay(self, record: Record) -> None:
        """Apply one record. Records are applied once, in the order they were journalled."""
        kind = record["type"]
        apply = getattr(self, "_apply_" + str(kind).replace("-", "_"), None)
        if apply is None:
            raise MetadataFormatError(f"metadata record of unknown type {kind!r}")
        apply(record)
        self.epoch += 1

    def _apply_start(self, record: Record) -> None:
        self.starts = record["number"]

    def _apply_topic(self, record: Record) -> None:
        topic = Topic(
            record["name"],
            bytes.fromhex(record["id"]),
            record["partitions"],
            dict(record["configs"]),
            record["start"],
        )
        self.topics[topic.name] = topic
        self.topics_by_id[topic.id] = topic
        self._collisions[collision_key(topic.name)] = topic.name
        self.topics_epoch += 1

    def _apply_partitions(self, record: Record) -> None:
        self.topics_by_id[bytes.fromhex(record["id"])].partition_count = record["count"]
        self.topics_epoch += 1

    def _apply_delete_topic(self, record: Record) -> None:
        topic = self.topics_by_id.pop(bytes.fromhex(record["id"]))
        del self.topics[topic.name]
        del self._collisions[collision_key(topic.name)]
        topic.is_deleted = True
        self.topics_epoch += 1

    def _apply_config(self, record: Record) -> None:
        resource, name = record["resource"], record["name"]
        if resource == RESOURCE_TOPIC:
            target = self.topics[name].configs
        else:
            target = self.configs.setdefault((resource, name), {})
        for key, value in record["set"].items():
            if value is None:
                target.pop(key, None)
            else:
                target[key] = value
        if not target and resource != RESOURCE_TOPIC:
            del self.configs[resource, name]

    def _apply_producer_ids(self, record: Record) -> None:
        self.next_producer_id = record["next"]

    def _apply_quota(self, record: Record) -> None:
        entity = tuple((kind, name) for kind, name in record["entity"])
        target = self.quotas.setdefault(entity, {})
        for key, value in record["set"].items():
            if value is None:
                target.pop(key, None)
            else:
                target[key] = value
        if not target:
            del self.quotas[entity]

    def _apply_feature(self, record: Record) -> None:
        self.features[record["name"]] = record["level"]

    def _apply_scram(self, record: Record) -> None:
        key = (record["user"], record["mechanism"])
        if record["iterations"] is None:
            self.scram_credentials.pop(key, None)
            return
        salt, stored, server = (
            bytes.fromhex(record[name]) for name in ("salt", "stored_key", "server_key")
        )
        self.scram_credentials[key] = ScramCredential(record["iterations"], salt, stored, server)

    def _apply_acls(self, record: Record) -> None:
        for fields in record["removed"]:
            self.acls.remove(Acl(*fields))
        for fields in record["added"]:
            self.acls.add(Acl(*fields))

    def snapshot(self) -> Iterator[Record]:
        """Records that rebuild this state from nothing."""
        yield {"type": "start", "number": self.starts}
        yield {"type": "producer-ids", "next": self.next_producer_id}
        for topic in self.topics.values():
            yield {
                "type": "topic",
                "name": topic.name,
                "id": topic.id.hex(),
                "partitions": topic.partition_count,
                "configs": topic.configs,
                "start": topic.first_start,
            }
        for (resource, name), configs in self.configs.items():
            yield {"type": "config", "resource": resource, "name": name, "set": configs}
        for entity, limits in self.quotas.items():
            yield {"type": "quota", "entity": [list(p) for p in entity], "set": limits}
        for name, level in self.features.items():
            yield {"type": "feature", "name": name, "level": level}
        for (user, mechanism), credential in self.scram_credentials.items():
            yield _scram_record(user, mechanism, credential)
        yield from self.decide_acls(self.acls, ())


def _scram_record(user: str, mechanism: int, credential: ScramCredential | None) -> Record:
    record: Record = {"type": "scram", "user": user, "mechanism": mechanism, "iterations": None}
    if credential is not None:
        record["iterations"] = credential.iterations
        record["salt"] = credential.salt.hex()
        record["stored_key"] = credential.stored_key.hex()
        record["server_key"] = credential.server_key.hex()
    return record


def encode_change(records: list[Record]) -> bytes:
    """Records that belong together, as one entry of the journal."""
    return json.dumps(
        {"version": RECORD_VERSION, "records": records}, separators=(",", ":")
    ).encode()


def decode_change(data: bytes) -> list[Record]:
    """Raises `MetadataFormatError` on what this version cannot read."""
    try:
        change = json.loads(data)
        version, records = change["version"], change["records"]
    except (ValueError, KeyError, TypeError) as error:
        raise MetadataFormatError(f"unreadable metadata record: {error}") from None
    if version != RECORD_VERSION:
        raise MetadataFormatError(f"metadata record of version {version}: a newer Ottla wrote it")
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise MetadataFormatError("a metadata change is no list of records")
    return records
