"""Aborted transactions whose marker lies in one segment (`.txnindex`).

Shape: 34-byte entries, big-endian: int16 version (0), int64 producer_id,
int64 first_offset, int64 last_offset (the marker's), int64 last_stable_offset
(when the marker was written). Entries stand in the order of their markers. The
file exists only when there is an entry.
Integrity: no checksum; rebuilt from the segment behind the recovery point.
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


def decode(data: bytes) -> list[AbortedTransaction]:
    """The whole entries of a file; a torn last one is left out."""
    whole = len(data) - len(data) % ENTRY_BYTES
    return [AbortedTransaction(*fields[1:]) for fields in _ENTRY.iter_unpack(data[:whole])]
