"""Producer states as of an offset (`.snapshot`, named by that offset).

Shape, big-endian, Kafka's version 1: int16 version, uint32 crc, int32 number
of entries; each entry int64 producer_id, int16 epoch, int32 last_sequence,
int64 last_offset, int32 offset_delta, int64 timestamp, int32 coordinator_epoch,
int64 first offset of the open transaction (-1: none).
Integrity: CRC-32C from the number of entries to the end.

Kafka keeps one batch per producer here. We write up to five entries for one
producer, oldest first, so that repeats are still recognised after a restart;
Kafka's reader lets the last entry win, and so sees what it would have written.
"""

from __future__ import annotations

import struct
from typing import Final

from ottla.batch.checksum import crc32c
from ottla.storage import safety
from ottla.storage.producer_state import NO_OFFSET, AppendedBatch, ProducerState, ProducerStates

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">hI")
_COUNT: Final = struct.Struct(">i")
_ENTRY: Final = struct.Struct(">qhiqiqiq")
#: A producer known only by a marker has no batch: Kafka writes sequence and offset -1.
_NO_BATCH: Final = AppendedBatch(-1, -1, 0, -1)


class BadSnapshotError(Exception):
    """The file is not a snapshot; an older one and the log itself take its place."""


def encode(producers: ProducerStates) -> bytes:
    """The file for the producers as they are now."""
    entries = bytearray()
    count = 0
    for state in producers:
        for batch in state.batches or [_NO_BATCH]:
            timestamp = state.last_seen_ms if batch is _NO_BATCH else batch.timestamp_ms
            entries += _ENTRY.pack(
                state.producer_id,
                state.epoch,
                batch.last_sequence,
                batch.last_offset,
                batch.offset_delta,
                timestamp,
                state.coordinator_epoch,
                state.transaction_first_offset,
            )
            count += 1
    body = _COUNT.pack(count) + entries
    return _HEAD.pack(_VERSION, crc32c(body)) + body


def decode(data: bytes) -> list[ProducerState]:
    """The producers a file holds. Raises `BadSnapshotError`."""
    if len(data) < _HEAD.size + _COUNT.size:
        raise BadSnapshotError("truncated")
    version, crc = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise BadSnapshotError(f"version {version}")
    body = memoryview(data)[_HEAD.size :]
    if not safety.is_snapshot_intact(body, crc):
        raise BadSnapshotError("wrong checksum")
    (count,) = _COUNT.unpack_from(body)
    if count < 0 or len(body) != _COUNT.size + count * _ENTRY.size:
        raise BadSnapshotError(f"{count} entries in {len(body)} bytes")
    states: dict[int, ProducerState] = {}
    for entry in _ENTRY.iter_unpack(body[_COUNT.size :]):
        _add_entry(states, *entry)
    return list(states.values())


def _add_entry(
    states: dict[int, ProducerState],
    producer_id: int,
    epoch: int,
    last_sequence: int,
    last_offset: int,
    offset_delta: int,
    timestamp_ms: int,
    coordinator_epoch: int,
    first_offset: int,
) -> None:
    state = states.get(producer_id)
    if state is None or state.epoch != epoch:
        state = states[producer_id] = ProducerState(producer_id, epoch)
    if last_offset >= 0:
        state.add(AppendedBatch(last_sequence, last_offset, offset_delta, timestamp_ms))
    state.coordinator_epoch = coordinator_epoch
    state.transaction_first_offset = first_offset if first_offset >= 0 else NO_OFFSET
    state.last_seen_ms = max(state.last_seen_ms, timestamp_ms)
