"""Which APIs are served, at which versions, by which module.

One row per API; the module of a row, `ottla.handlers.<name>`, and that of its
messages, `ottla.wire.messages.<name>`, are loaded by the first request for it,
because a broker that is ready in a tenth of a second cannot load them all.

A handler module has `handle(broker, request, message)`, which returns a
response or a `Parked`. It may have `decode(buffer, position, version)` and
`encode(response, version)` where the compiled codec is not fast enough, a
`shortcut(broker, connection, frame, header, mono_ms)` that says whether it has
carried out a request by itself, and `IS_CACHEABLE` where equal requests from the
same place get equal responses until the cluster's metadata changes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeAlias

from ottla.broker.request import BodyEncoder, Parked
from ottla.wire.message import Buffer, Message

Handler: TypeAlias = Callable[[Any, Any, Any], Message | Parked]
Decoder: TypeAlias = Callable[[Buffer, int, int], Message]
Shortcut: TypeAlias = Callable[[Any, Any, memoryview, Any, int], bool]


class Row(NamedTuple):
    """An API with the versions served, both inclusive.

    Versions below `strict_from` are those that Apache Kafka 4 dropped (KIP-896);
    `ottla.protocol=strict` drops them, too.
    """

    name: str
    min_version: int
    max_version: int
    strict_from: int = 0


ROWS: Final[dict[int, Row]] = {
    0: Row("produce", 0, 13, strict_from=3),
    1: Row("fetch", 0, 18, strict_from=4),
    2: Row("list_offsets", 0, 11, strict_from=1),
    3: Row("metadata", 0, 13),
    8: Row("offset_commit", 0, 10, strict_from=2),
    9: Row("offset_fetch", 0, 10, strict_from=1),
    10: Row("find_coordinator", 0, 6),
    11: Row("join_group", 0, 9),
    12: Row("heartbeat", 0, 4),
    13: Row("leave_group", 0, 5),
    14: Row("sync_group", 0, 5),
    15: Row("describe_groups", 0, 6),
    16: Row("list_groups", 0, 5),
    17: Row("sasl_handshake", 0, 1),
    18: Row("api_versions", 0, 4),
    19: Row("create_topics", 0, 7, strict_from=2),
    20: Row("delete_topics", 0, 6, strict_from=1),
    21: Row("delete_records", 0, 2),
    22: Row("init_producer_id", 0, 5),
    23: Row("offset_for_leader_epoch", 0, 4, strict_from=2),
    24: Row("add_partitions_to_txn", 0, 5),
    25: Row("add_offsets_to_txn", 0, 4),
    26: Row("end_txn", 0, 5),
    27: Row("write_txn_markers", 1, 2),
    28: Row("txn_offset_commit", 0, 5),
    29: Row("describe_acls", 0, 3, strict_from=1),
    30: Row("create_acls", 0, 3, strict_from=1),
    31: Row("delete_acls", 0, 3, strict_from=1),
    32: Row("describe_configs", 0, 4, strict_from=1),
    33: Row("alter_configs", 0, 2),
    34: Row("alter_replica_log_dirs", 0, 2, strict_from=1),
    35: Row("describe_log_dirs", 0, 5, strict_from=1),
    36: Row("sasl_authenticate", 0, 2),
    37: Row("create_partitions", 0, 3),
    38: Row("create_delegation_token", 1, 3),
    39: Row("renew_delegation_token", 1, 2),
    40: Row("expire_delegation_token", 1, 2),
    41: Row("describe_delegation_token", 1, 3),
    42: Row("delete_groups", 0, 2),
    43: Row("elect_leaders", 0, 2),
    44: Row("incremental_alter_configs", 0, 1),
    45: Row("alter_partition_reassignments", 0, 1),
    46: Row("list_partition_reassignments", 0, 0),
    47: Row("offset_delete", 0, 0),
    48: Row("describe_client_quotas", 0, 1),
    49: Row("alter_client_quotas", 0, 1),
    50: Row("describe_user_scram_credentials", 0, 0),
    51: Row("alter_user_scram_credentials", 0, 0),
    55: Row("describe_quorum", 0, 2),
    57: Row("update_features", 0, 2),
    60: Row("describe_cluster", 0, 2),
    61: Row("describe_producers", 0, 0),
    65: Row("describe_transactions", 0, 0),
    66: Row("list_transactions", 0, 2),
    68: Row("consumer_group_heartbeat", 0, 1),
    69: Row("consumer_group_describe", 0, 1),
    74: Row("list_config_resources", 0, 1),
    75: Row("describe_topic_partitions", 0, 0),
    76: Row("share_group_heartbeat", 1, 1),
    77: Row("share_group_describe", 1, 1),
    78: Row("share_fetch", 1, 2),
    79: Row("share_acknowledge", 1, 2),
    90: Row("describe_share_group_offsets", 0, 1),
    91: Row("alter_share_group_offsets", 0, 0),
    92: Row("delete_share_group_offsets", 0, 0),
}

#: librdkafka stops compressing unless Produce is advertised from 0 (KAFKA-18659).
ADVERTISED_FROM_ZERO: Final = frozenset({0})


def oldest_version(row: Row, is_strict: bool) -> int:
    """The oldest version of an API that is served."""
    return max(row.min_version, row.strict_from) if is_strict else row.min_version


class Api:
    """A loaded row: everything dispatch needs for one request."""

    __slots__ = (
        "decode",
        "encode",
        "flexible_from",
        "handle",
        "is_cacheable",
        "key",
        "max_version",
        "min_version",
        "name",
        "request_class",
        "response_class",
        "shortcut",
        "strict_from",
    )

    def __init__(self, key: int, row: Row) -> None:
        messages = import_module(f"ottla.wire.messages.{row.name}")
        module = import_module(f"ottla.handlers.{row.name}")
        self.key = key
        self.name = row.name
        self.min_version = row.min_version
        self.max_version = row.max_version
        self.strict_from = oldest_version(row, is_strict=True)
        self.flexible_from: int = messages.FLEXIBLE_FROM
        self.request_class: type[Message] = messages.REQUEST
        self.response_class: type[Message] = messages.RESPONSE
        self.handle: Handler = module.handle
        self.is_cacheable: bool = getattr(module, "IS_CACHEABLE", False)
        self.decode: Decoder | None = getattr(module, "decode", None)
        self.encode: BodyEncoder | None = getattr(module, "encode", None)
        self.shortcut: Shortcut | None = getattr(module, "shortcut", None)


_loaded: dict[int, Api] = {}


def find_api(key: int) -> Api | None:
    """The API with this key, or None when it is not served."""
    api = _loaded.get(key)
    if api is None:
        row = ROWS.get(key)
        if row is None:
            return None
        api = _loaded[key] = Api(key, row)
    return api
