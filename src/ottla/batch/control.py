"""Control records: what the broker itself writes between the producers' records (KIP-98).

Shape of the key: int16 version (0), int16 type. Shape of a transaction
marker's value: int16 version (0), int32 coordinator_epoch. Later versions
only append fields, so a longer key or value is read by its beginning.
"""

from __future__ import annotations

import enum
import struct
from typing import Final, NamedTuple

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import NO_LEADER_EPOCH, Record, build_batch
from ottla.wire.errors import ErrorCode

_KEY: Final = struct.Struct(">hh")
_MARKER_VALUE: Final = struct.Struct(">hi")


class ControlType(enum.IntEnum):
    """What a control record says; types we do not know are UNKNOWN."""

    UNKNOWN = -1
    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class TransactionMarker(NamedTuple):
    """The end of one producer's transaction in one partition."""

    is_commit: bool
    coordinator_epoch: int


def build_marker_batch(
    marker: TransactionMarker,
    *,
    producer_id: int,
    producer_epoch: int,
    timestamp_ms: int,
    base_offset: int = 0,
    leader_epoch: int = NO_LEADER_EPOCH,
) -> bytearray:
    """A control batch that holds just the marker."""
    control_type = ControlType.COMMIT if marker.is_commit else ControlType.ABORT
    record = Record(
        base_offset,
        timestamp_ms,
        _KEY.pack(0, control_type),
        _MARKER_VALUE.pack(0, marker.coordinator_epoch),
    )
    return build_batch(
        [record],
        base_offset=base_offset,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
        leader_epoch=leader_epoch,
    )


def control_type(record: Record) -> ControlType:
    """The type of a control record; raises `CorruptBatchError` when its key is none."""
    version, number = _unpack(_KEY, record.key, "control record key")
    if version < 0:
        raise _invalid(f"Control record key of version {version}")
    try:
        return ControlType(number)
    except ValueError:
        return ControlType.UNKNOWN


def transaction_marker(record: Record) -> TransactionMarker | None:
    """The marker in a control record, or None for a control record of another type."""
    found = control_type(record)
    if found not in (ControlType.ABORT, ControlType.COMMIT):
        return None
    version, coordinator_epoch = _unpack(_MARKER_VALUE, record.value, "transaction marker")
    if version < 0:
        raise _invalid(f"Transaction marker of version {version}")
    return TransactionMarker(found is ControlType.COMMIT, coordinator_epoch)


def _unpack(shape: struct.Struct, data: bytes | None, what: str) -> tuple[int, int]:
    if data is None or len(data) < shape.size:
        raise _invalid(f"Truncated {what}")
    first, second = shape.unpack_from(data)
    return int(first), int(second)


def _invalid(why: str) -> CorruptBatchError:
    return CorruptBatchError(ErrorCode.INVALID_RECORD, why)
