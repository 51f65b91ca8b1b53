"""Fetched batches as columns: what a query needs of millions of records, fast.

Only the lengths of records are followed one by one, because each says where the
next begins. Everything else is read for all records of a response at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ottla.batch.compression import decompress
from ottla.batch.errors import CorruptBatchError
from ottla.batch.message_set import set_records
from ottla.batch.record_batch import (
    HEADER_BYTES,
    LOG_OVERHEAD,
    MAGIC,
    MAGIC_POSITION,
    BatchHeader,
    Record,
    read_header,
)
from ottla.wire.errors import ErrorCode

Buffer: TypeAlias = bytes | bytearray | memoryview
Integers: TypeAlias = NDArray[np.int64]

#: The columns of texts.
TEXTS: Final = frozenset({"key", "value", "headers"})
#: What may follow the last record without ending the buffer: a whole varint.
PADDING: Final = bytes(16)
NO_RECORDS: Final = np.empty(0, dtype=np.int64)


class Columns(NamedTuple):
    """Records of one partition; null keys and values are None, unwanted ones not there."""

    offsets: Integers
    timestamps: Integers
    keys: list[bytes | None]
    values: list[bytes | None]
    #: Headers as the text of a JSON object, for the records that have any.
    headers: dict[int, bytes]

    def between(self, start: int, end: int) -> Columns:
        """Those with offsets from `start` to before `end`."""
        if not len(self.offsets) or (self.offsets[0] >= start and self.offsets[-1] < end):
            return self
        first, last = (int(n) for n in np.searchsorted(self.offsets, [start, end]))
        return Columns(
            self.offsets[first:last],
            self.timestamps[first:last],
            self.keys[first:last],
            self.values[first:last],
            {row - first: text for row, text in self.headers.items() if first <= row < last},
        )


class Batches(NamedTuple):
    """The whole batches of a response: their headers and unpacked records."""

    headers: list[BatchHeader]
    bodies: list[Buffer]
    #: Records of the formats before Kafka 0.11.
    old: list[Record]
    #: The offset after them; None when there is not a single whole batch.
    next_offset: int | None


def unpacked(buffer: memoryview) -> Batches:
    """The batches of a response; one that is cut off at the end is left for the next.

    Errors: `CorruptBatchError`.
    """
    found: list[BatchHeader] = []
    bodies: list[Buffer] = []
    old: list[Record] = []
    next_offset = None
    position = 0
    while position + LOG_OVERHEAD + 5 <= len(buffer):
        length = int.from_bytes(buffer[position + 8 : position + LOG_OVERHEAD], "big")
        end = position + LOG_OVERHEAD + length
        if end > len(buffer):
            break
        if buffer[position + MAGIC_POSITION] < MAGIC:
            old += set_records(buffer[position:end])
            next_offset = old[-1].offset + 1
        else:
            header = read_header(buffer, position)
            next_offset = header.next_offset
            if header.record_count and not header.is_control:
                found.append(header)
                body = buffer[position + HEADER_BYTES : end]
                bodies.append(decompress(header.compression, body) if header.compression else body)
        position = end
    return Batches(found, bodies, old, next_offset)


def columns_of(batches: Batches, wanted: frozenset[str] = TEXTS) -> Columns:
    """The records of the batches. Errors: `CorruptBatchError`."""
    data = b"".join([*batches.bodies, PADDING])
    new = _columns(batches.headers, data, batches.bodies, wanted)
    if not batches.old:
        return new
    old = _columns_of_records(batches.old)
    return _joined(
        old._replace(
            keys=old.keys if "key" in wanted else [],
            values=old.values if "value" in wanted else [],
        ),
        new,
    )


def _columns(
    headers: list[BatchHeader], data: bytes, bodies: list[Buffer], wanted: frozenset[str]
) -> Columns:
    if not headers:
        return Columns(NO_RECORDS, NO_RECORDS, [], [], {})
    starts = _record_starts(headers, data, bodies)
    fields = _Fields(data, starts)
    fields.skip(1)  # attributes: unused
    timestamp_deltas = fields.varints()
    offset_deltas = fields.varints()
    keys = fields.texts(is_wanted="key" in wanted)
    values = fields.texts(is_wanted="value" in wanted)
    header_counts = fields.varints()
    if "headers" not in wanted:
        header_counts[:] = 0
    counts = [header.record_count for header in headers]
    append_times = [h.max_timestamp if h.is_log_append_time else -1 for h in headers]
    base_times = np.repeat([header.base_timestamp for header in headers], counts)
    fixed_times = np.repeat(append_times, counts)
    timestamps = np.where(fixed_times >= 0, fixed_times, base_times + timestamp_deltas)
    offsets = np.repeat([header.base_offset for header in headers], counts) + offset_deltas
    texts = {
        int(row): headers_json(_read_headers(data, int(fields.positions[row]), int(count)))
        for row, count in zip(
            np.flatnonzero(header_counts), header_counts[header_counts != 0], strict=True
        )
    }
    return Columns(offsets, timestamps, keys, values, texts)


def _record_starts(headers: list[BatchHeader], data: bytes, bodies: list[Buffer]) -> Integers:
    """Where each record begins, behind its length."""
    starts: list[int] = []
    add = starts.append
    end = 0
    for header, body in zip(headers, bodies, strict=True):
        position = end
        end += len(body)
        for _ in range(header.record_count):
            length = data[position]
            if length < 0x80:
                position += 1
            else:
                following = data[position + 1]
                length = length & 0x7F | (following & 0x7F) << 7
                position += 2
                if following >= 0x80:
                    shift = 14
                    while following >= 0x80 and shift < 32:
                        following = data[position]
                        length |= (following & 0x7F) << shift
                        shift += 7
                        position += 1
            add(position)
            position += length >> 1
            if position > end or length & 1:
                raise _invalid("A record runs over the end of its batch")
    return np.array(starts, dtype=np.int64)


class _Fields:
    """Reads one field of all records, then the next."""

    def __init__(self, data: bytes, positions: Integers) -> None:
        self._data = data
        self._bytes = np.frombuffer(data, dtype=np.uint8)
        self.positions = positions

    def skip(self, count: int) -> None:
        self.positions = self.positions + count

    def varints(self) -> Integers:
        """Zigzag varints."""
        first = self._at(self.positions)
        raw = first & 0x7F
        positions = self.positions + 1
        longer = np.flatnonzero(first >= 0x80)
        shift = 7
        while len(longer) and shift < 64:
            following = self._at(positions[longer])
            raw[longer] |= (following & 0x7F) << shift
            positions[longer] += 1
            longer = longer[following >= 0x80]
            shift += 7
        self.positions = positions
        return (raw >> 1) ^ -(raw & 1)

    def texts(self, *, is_wanted: bool = True) -> list[bytes | None]:
        """Bytes behind their length; None for a negative one; nothing when not wanted."""
        lengths = self.varints()
        starts = self.positions
        ends = starts + np.maximum(lengths, 0)
        if len(ends) and int(ends.max()) > len(self._data):
            raise _invalid("A key or value runs over the end of its batch")
        self.positions = ends
        if not is_wanted:
            return []
        data = self._data
        found: list[bytes | None] = [
            data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        for row in np.flatnonzero(lengths < 0).tolist():
            found[row] = None
        return found

    def _at(self, positions: Integers) -> Integers:
        try:
            return self._bytes[positions].astype(np.int64)
        except IndexError:
            raise _invalid("A record runs over the end of its batch") from None


def _read_headers(data: bytes, position: int, count: int) -> list[tuple[str, bytes | None]]:
    one = _Fields(data, np.array([position], dtype=np.int64))
    found: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        (name,), (value,) = one.texts(), one.texts()
        found.append(((name or b"").decode(errors="replace"), value))
    return found


def headers_json(headers: Iterable[tuple[str, Any]]) -> bytes:
    """Headers as a JSON object; of several with one name the last counts."""
    texts = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in headers
    }
    return json.dumps(texts, ensure_ascii=False).encode()


def _columns_of_records(records: list[Record]) -> Columns:
    return Columns(
        np.array([record.offset for record in records], dtype=np.int64),
        np.array([record.timestamp for record in records], dtype=np.int64),
        [record.key for record in records],
        [record.value for record in records],
        {},
    )


def _joined(first: Columns, second: Columns) -> Columns:
    shift = len(first.offsets)
    return Columns(
        np.concatenate([first.offsets, second.offsets]),
        np.concatenate([first.timestamps, second.timestamps]),
        first.keys + second.keys,
        first.values + second.values,
        first.headers | {row + shift: text for row, text in second.headers.items()},
    )


def _invalid(why: str) -> CorruptBatchError:
    return CorruptBatchError(ErrorCode.INVALID_RECORD, why)
