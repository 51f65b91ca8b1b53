"""Aborted transactions whose marker lies in one segment (`.txnindex`).

Shape: 34-byte entries, big-endian: int16 version (0), int64 producer_id,
int64 first_offset, int64 last_offset (the marker's), int64 last_stable_offset
(when the marker was written). Entries stand in the order of their markers. The
file exists only when there is an entry.
Integrity: no checksum; rebuilt from the segment behind the recovery point. What a
power cut left behind the durable entries is told by its contents.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

ENTRY_BYTES: Final = 34
_ENTRY: Final = struct.Struct(">hqqqq")
_VERSION: Final = 0


class AbortedTransaction(NamedTuple):
    """One producer's records from first_offset to last_offset are not to be seen."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def encode(transactions: list[AbortedTransaction]) -> bytes:
    return b"".join(_ENTRY.pack(_VERSION, *transaction) for transaction in transactions)


def decode(data: bytes, base_offset: int = 0) -> list[AbortedTransaction]:
    """The entries of a file, up to the first that cannot be right."""
    found: list[AbortedTransaction] = []
    last_offset = base_offset - 1
    whole = len(data) - len(data) % ENTRY_BYTES
    for version, *fields in _ENTRY.iter_unpack(data[:whole]):
        entry = AbortedTransaction(*fields)
        if version != _VERSION or not last_offset < entry.last_offset:
            break
        if not 0 <= entry.first_offset < entry.last_offset:
            break
        if entry.producer_id < 0 or not 0 <= entry.last_stable_offset <= entry.last_offset + 1:
            break
        found.append(entry)
        last_offset = entry.last_offset
    return found
