"""Records of Apache Kafka's metadata log (KRaft, KIP-500) as JSON, named as Kafka names them.

Shape of a record's value: varint 1, varint kind, varint version, then the fields
of that version in the flexible encoding (KIP-482). The table below says in a
line per kind which fields there are: `name type`, a version from which it is
there, `?` where it may be null, and `#n` for the number of a tagged field.
Ottla writes no such log; its own metadata journal is another format.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

FRAME_VERSION: Final = 1

_ENDPOINT: Final = "(name string, host string, port uint16, securityProtocol int16)"
_FEATURE: Final = "(name string, minSupportedVersion int16, maxSupportedVersion int16)"

#: Kind → its name in Kafka, and its fields.
KINDS: Final = {
    0: (
        "REGISTER_BROKER_RECORD",
        (
            "brokerId int32, isMigratingZkBroker bool 2, incarnationId uuid, brokerEpoch int64, "
            f"endPoints []{_ENDPOINT}, features []{_FEATURE}, rack string ?, fenced bool, "
            "inControlledShutdown bool 1, logDirs []uuid 3 #0, cordonedLogDirs []uuid 4 ? #1"
        ),
    ),
    1: ("UNREGISTER_BROKER_RECORD", "brokerId int32, brokerEpoch int64"),
    2: ("TOPIC_RECORD", "name string, topicId uuid"),
    3: (
        "PARTITION_RECORD",
        (
            "partitionId int32, topicId uuid, replicas []int32, isr []int32, "
            "removingReplicas []int32, addingReplicas []int32, leader int32, "
            "leaderRecoveryState int8 #0, leaderEpoch int32, partitionEpoch int32, "
            "directories []uuid 1, eligibleLeaderReplicas []int32 2 ? #1, "
            "lastKnownElr []int32 2 ? #2"
        ),
    ),
    4: ("CONFIG_RECORD", "resourceType int8, resourceName string, name string, value string ?"),
    5: (
        "PARTITION_CHANGE_RECORD",
        (
            "partitionId int32, topicId uuid, isr []int32 ? #0, leader int32 #1, "
            "replicas []int32 ? #2, removingReplicas []int32 ? #3, addingReplicas []int32 ? #4, "
            "leaderRecoveryState int8 #5, directories []uuid 1 ? #8, "
            "eligibleLeaderReplicas []int32 2 ? #6, lastKnownElr []int32 2 ? #7"
        ),
    ),
    7: ("FENCE_BROKER_RECORD", "id int32, epoch int64"),
    8: ("UNFENCE_BROKER_RECORD", "id int32, epoch int64"),
    9: ("REMOVE_TOPIC_RECORD", "topicId uuid"),
    10: (
        "DELEGATION_TOKEN_RECORD",
        (
            "owner string, requester string, renewers []string, issueTimestamp int64, "
            "maxTimestamp int64, expirationTimestamp int64, tokenId string"
        ),
    ),
    11: (
        "USER_SCRAM_CREDENTIAL_RECORD",
        (
            "name string, mechanism int8, salt bytes, storedKey bytes, serverKey bytes, "
            "iterations int32"
        ),
    ),
    12: ("FEATURE_LEVEL_RECORD", "name string, featureLevel int16"),
    14: (
        "CLIENT_QUOTA_RECORD",
        "entity [](entityType string, entityName string ?), key string, value float64, remove bool",
    ),
    15: ("PRODUCER_IDS_RECORD", "brokerId int32, brokerEpoch int64, nextProducerId int64"),
    17: (
        "BROKER_REGISTRATION_CHANGE_RECORD",
        (
            "brokerId int32, brokerEpoch int64, fenced int8 #0, inControlledShutdown int8 1 #1, "
            "logDirs []uuid 2 #2, cordonedLogDirs []uuid 3 ? #3"
        ),
    ),
    18: (
        "ACCESS_CONTROL_ENTRY_RECORD",
        (
            "id uuid, resourceType int8, resourceName string, patternType int8, principal string, "
            "host string, operation int8, permissionType int8"
        ),
    ),
    19: ("REMOVE_ACCESS_CONTROL_ENTRY_RECORD", "id uuid"),
    20: ("NO_OP_RECORD", ""),
    21: ("ZK_MIGRATION_STATE_RECORD", "zkMigrationState int8"),
    22: ("REMOVE_USER_SCRAM_CREDENTIAL_RECORD", "name string, mechanism int8"),
    23: ("BEGIN_TRANSACTION_RECORD", "name string ? #0"),
    24: ("END_TRANSACTION_RECORD", ""),
    25: ("ABORT_TRANSACTION_RECORD", "reason string ? #0"),
    26: ("REMOVE_DELEGATION_TOKEN_RECORD", "tokenId string"),
    27: (
        "REGISTER_CONTROLLER_RECORD",
        (
            "controllerId int32, incarnationId uuid, zkMigrationReady bool, "
            f"endPoints []{_ENDPOINT}, features []{_FEATURE}"
        ),
    ),
    28: ("CLEAR_ELR_RECORD", "topicName string"),
}
#: Structures by name, for those with structures inside.
STRUCTURES: Final = {
    "Voter": "voterId int32, voterDirectoryId uuid 1",
    "KRaftVoter": "voterId int32, voterDirectoryId uuid, "
    "endpoints [](name string, host string, port uint16), kRaftVersionFeature Range",
    "Range": "minSupportedVersion int16, maxSupportedVersion int16",
    "TopicIdPartition": "name string, id uuid, partition int32",
    "SegmentId": "topicIdPartition TopicIdPartition, id uuid",
}
#: Number of a control record → how Kafka begins its line, and its fields; the first is its version.
CONTROLS: Final = {
    2: ("LeaderChange:", "version int16, leaderId int32, voters []Voter, grantingVoters []Voter"),
    3: ("SnapshotHeader", "version int16, lastContainedLogTimestamp int64"),
    4: ("SnapshotFooter", "version int16"),
    5: ("KRaftVersion", "version int16, kRaftVersion int16"),
    6: ("KRaftVoters", "version int16, voters []KRaftVoter"),
}
_NUMBERS: Final = {
    "int8": ">b",
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "int64": ">q",
    "float64": ">d",
}
_FIELD: Final = re.compile(
    r"(?P<name>\w+) (?P<array>\[\])?(?:\((?P<nested>[^)]*)\)|(?P<type>\w+))"
    r"(?: (?P<since>\d+))?(?P<null> \?)?(?: #(?P<tag>\d+))?(?:, |$)"
)


class UnknownMetadataError(Exception):
    """The bytes are no metadata record that is known here."""


class _Field(NamedTuple):
    name: str
    type: str
    is_array: bool
    nested: tuple[_Field, ...]
    since: int
    tag: int | None


def decode(
    value: bytes, kinds: Mapping[int, tuple[str, str]] = KINDS
) -> tuple[str, int, dict[str, Any]]:
    """(Kafka's name of the kind, version, fields). Errors: `UnknownMetadataError`.

    Other logs have the same frame around kinds of their own.
    """
    reader = _Reader(value)
    try:
        if reader.varint() != FRAME_VERSION:
            raise UnknownMetadataError("the frame's version is not 1")
        kind, version = reader.varint(), reader.varint()
        if kind not in kinds:
            raise UnknownMetadataError(f"there is no kind {kind}")
        name, text = kinds[kind]
        return name, version, reader.structure(_fields(text), version)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise UnknownMetadataError("its bytes end too early, or are no text") from None


def decode_control(kind: int, value: bytes) -> tuple[str, dict[str, Any]] | None:
    """(how Kafka begins its line, fields) of a control record of a log of the quorum."""
    if kind not in CONTROLS:
        return None
    title, text = CONTROLS[kind]
    try:
        version = int.from_bytes(value[:2], "big")
        return title, _Reader(value).structure(_fields(text), version)
    except (IndexError, struct.error, UnicodeDecodeError):
        return None


@cache
def _fields(text: str) -> tuple[_Field, ...]:
    return tuple(
        _Field(
            match["name"],
            match["type"] or "",
            bool(match["array"]),
            _fields(match["nested"] or STRUCTURES.get(match["type"] or "", "")),
            int(match["since"] or 0),
            None if match["tag"] is None else int(match["tag"]),
        )
        for match in _FIELD.finditer(text)
    )


class _Reader:
    """Reads the flexible encoding from the front; IndexError and struct.error at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self._position]
            self._position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def structure(self, fields: tuple[_Field, ...], version: int) -> dict[str, Any]:
        """Field → value; tagged fields only where the bytes have them, as Kafka shows them."""
        shown = [field for field in fields if field.since <= version]
        found = {field.name: self._value(field, version) for field in shown if field.tag is None}
        tagged = {field.tag: field for field in shown if field.tag is not None}
        for _ in range(self.varint()):
            tag, size = self.varint(), self.varint()
            end = self._position + size
            field = tagged.get(tag)
            if field is not None:
                found[field.name] = self._value(field, version)
            self._position = end
        return {field.name: found[field.name] for field in shown if field.name in found}

    def _value(self, field: _Field, version: int) -> Any:
        if field.is_array:
            count = self.varint() - 1
            return None if count < 0 else [self._one(field, version) for _ in range(count)]
        return self._one(field, version)

    def _one(self, field: _Field, version: int) -> Any:
        if field.nested:
            return self.structure(field.nested, version)
        if field.type in _NUMBERS:
            return self._unpack(_NUMBERS[field.type])
        if field.type == "bool":
            return bool(self._unpack(">b"))
        if field.type == "uuid":
            return base64.urlsafe_b64encode(self._take(16)).rstrip(b"=").decode()
        size = self.varint() - 1
        if size < 0:
            return None
        data = self._take(size)
        return data.decode() if field.type == "string" else base64.b64encode(data).decode()

    def _unpack(self, shape: str) -> Any:
        (value,) = struct.unpack(shape, self._take(struct.calcsize(shape)))
        return value

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise IndexError
        data = self._data[self._position : end]
        self._position = end
        return data
