"""What becomes of a fetched batch on its way: dropped, carried whole, or rebuilt.

Markers and aborted transactions are dropped. A batch is carried whole where
its bytes may stand in the target as they are: only the header's producer
fields and flags are cleared, the records stay compressed as they were. It is
rebuilt where they may not: compaction has left gaps in it (a producer may not
send those), or its time is the broker's (then each record gets that time).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ottla.batch.checksum import crc32c
from ottla.batch.control import ControlType, control_type
from ottla.batch.record_batch import (
    BatchHeader,
    assign,
    build_batch,
    has_valid_crc,
    headers,
    records,
)
from ottla.moving.errors import MoveError
from ottla.wire.message import Buffer

#: attributes at 21, crc at 17, producer id, epoch and base sequence at 43.
_ATTRIBUTES: Final = struct.Struct(">h")
_CRC: Final = struct.Struct(">I")
_PRODUCER: Final = struct.Struct(">qhi")
_CODEC_MASK: Final = 0x07
RECORDS_START: Final = 61


class Carried(NamedTuple):
    """A batch ready to be produced: its first source offset, how many records, its bytes."""

    source_offset: int
    record_count: int
    data: bytearray
    #: Source offsets of the records where they have gaps; else empty.
    offsets: tuple[int, ...] = ()

    @property
    def payload(self) -> memoryview:
        """The records as they lie in the batch, which the checksums are about."""
        return memoryview(self.data)[RECORDS_START:]

    def gaps(self) -> Iterator[tuple[int, int]]:
        """(source offset, place in the batch) of the records behind a gap."""
        for place in range(1, len(self.offsets)):
            if self.offsets[place] != self.offsets[place - 1] + 1:
                yield self.offsets[place], place


class AbortedTransactions:
    """Tells which batches of one fetched range belong to aborted transactions."""

    def __init__(self, aborted: Sequence[tuple[int, int]]) -> None:
        """`aborted`: (producer id, first offset) as a fetch response lists them."""
        self._waiting = sorted(aborted, key=lambda a: a[1])
        self._open: set[int] = set()

    def covers(self, header: BatchHeader) -> bool:
        while self._waiting and self._waiting[0][1] <= header.last_offset:
            self._open.add(self._waiting.pop(0)[0])
        return header.is_transactional and header.producer_id in self._open

    def ends(self, producer_id: int) -> None:
        """An abort marker was met."""
        self._open.discard(producer_id)


def carry_all(
    data: Buffer, start_offset: int, aborted: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, Carried | None]]:
    """(next source offset, batch to produce or None for a dropped one) for each batch.

    Records before `start_offset` are left out. Errors: `MoveError` for bytes
    that are damaged.
    """
    dropped = AbortedTransactions(aborted)
    view = memoryview(data)
    for position, header in headers(view):
        if not has_valid_crc(view, position, header):
            raise MoveError(
                f"the batch at offset {header.base_offset} of the source has a wrong checksum;"
                " run `ottla verify` on its data directory"
            )
        if header.next_offset <= start_offset:
            continue
        if header.is_control:
            marker = next(iter(records(view, position)), None)
            if marker is not None and control_type(marker) is ControlType.ABORT:
                dropped.ends(header.producer_id)
            yield header.next_offset, None
        elif dropped.covers(header):
            yield header.next_offset, None
        else:
            batch = bytearray(view[position : position + header.size_in_bytes])
            yield header.next_offset, carry(batch, header, start_offset)


def carry(batch: bytearray, header: BatchHeader, start_offset: int) -> Carried | None:
    """One batch ready to be produced; None when nothing of it is left."""
    is_dense = header.record_count == header.last_offset_delta + 1
    if is_dense and header.base_offset >= start_offset and not header.is_log_append_time:
        # Producers number from 0; a broker refuses compressed batches that do not.
        assign(batch, 0, 0, -1)
        _ATTRIBUTES.pack_into(batch, 21, header.attributes & _CODEC_MASK)
        _PRODUCER.pack_into(batch, 43, -1, -1, -1)
        with memoryview(batch) as view:
            _CRC.pack_into(batch, 17, crc32c(view[21:]))
        return Carried(header.base_offset, header.record_count, batch)
    kept = [r for r in records(batch) if r.offset >= start_offset]
    if not kept:
        return None
    rebuilt = build_batch(kept, compression=header.compression)
    # A batch that begins in a gap begins, for the offsets' mapping, with its first record.
    return Carried(kept[0].offset, len(kept), rebuilt, tuple(r.offset for r in kept))
