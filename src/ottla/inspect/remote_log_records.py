"""Records of Apache Kafka's `__remote_log_metadata` (KIP-405), as its tool prints them.

They have the frame of the metadata log's. Ottla writes no such topic.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from ottla.inspect.metadata_records import UnknownMetadataError, decode

#: Kind → Java's class, and its fields.
KINDS: Final = {
    0: (
        "RemoteLogSegmentMetadata",
        (
            "remoteLogSegmentId SegmentId, startOffset int64, endOffset int64, brokerId int32, "
            "maxTimestampMs int64, eventTimestampMs int64, "
            "segmentLeaderEpochs [](epoch int32, offset int64), segmentSizeInBytes int32, "
            "customMetadata bytes ?, state int8, txnIdxEmpty bool #0"
        ),
    ),
    1: (
        "RemoteLogSegmentMetadataUpdate",
        (
            "remoteLogSegmentId SegmentId, brokerId int32, eventTimestampMs int64, "
            "customMetadata bytes ?, state int8"
        ),
    ),
    2: (
        "RemotePartitionDeleteMetadata",
        "topicPartition TopicIdPartition, brokerId int32, eventTimestampMs int64, state int8",
    ),
}
SEGMENT_STATES: Final = (
    "COPY_SEGMENT_STARTED",
    "COPY_SEGMENT_FINISHED",
    "DELETE_SEGMENT_STARTED",
    "DELETE_SEGMENT_FINISHED",
)
PARTITION_STATES: Final = (
    "DELETE_PARTITION_MARKED",
    "DELETE_PARTITION_STARTED",
    "DELETE_PARTITION_FINISHED",
)
#: Java's class → the order in which it tells its fields.
_SHOWN: Final = {
    "RemoteLogSegmentMetadata": (
        *("remoteLogSegmentId", "startOffset", "endOffset", "brokerId", "maxTimestampMs"),
        *("eventTimestampMs", "segmentLeaderEpochs", "segmentSizeInBytes", "customMetadata"),
        *("state", "txnIdxEmpty"),
    ),
    "RemoteLogSegmentMetadataUpdate": (
        *("remoteLogSegmentId", "customMetadata", "state", "eventTimestampMs", "brokerId"),
    ),
    "RemotePartitionDeleteMetadata": ("topicPartition", "state", "eventTimestampMs", "brokerId"),
}


def text_of(value: bytes) -> str:
    """A record as Java's `toString` shows it. Errors: `UnknownMetadataError`."""
    name, _, fields = decode(value, KINDS)
    states = PARTITION_STATES if "topicPartition" in fields else SEGMENT_STATES
    try:
        fields["state"] = states[fields["state"]]
    except IndexError:
        raise UnknownMetadataError(f"there is no state {fields['state']}") from None
    fields.setdefault("txnIdxEmpty", False)
    shown = ", ".join(f"{field}={_text(field, fields[field])}" for field in _SHOWN[name])
    return f"{name}{{{shown}}}"


def _text(field: str, value: Any) -> str:
    if field == "remoteLogSegmentId":
        partition = _partition(value["topicIdPartition"])
        return f"RemoteLogSegmentId{{topicIdPartition={partition}, id={value['id']}}}"
    if field == "topicPartition":
        return _partition(value)
    if field == "segmentLeaderEpochs":
        pairs = sorted((entry["epoch"], entry["offset"]) for entry in value)
        return "{" + ", ".join(f"{epoch}={offset}" for epoch, offset in pairs) + "}"
    if field == "customMetadata":
        if value is None:
            return "Optional.empty"
        return f"Optional[CustomMetadata{{{len(base64.b64decode(value))} bytes}}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _partition(value: dict[str, Any]) -> str:
    return f"{value['id']}:{value['name']}-{value['partition']}"
