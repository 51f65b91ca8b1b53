"""What a power cut can make of bytes that were written and not synced.

Sectors of 512 bytes reach the disk or do not, in any order; the length of the
file is kept apart from its bytes, so that there may be zeros where bytes were
to be, or bytes missing at the end; what did reach the disk may be rubbish.
Bytes that were durable and not overwritten stay as they were.
"""

from __future__ import annotations

import random
from typing import Final

SECTOR_BYTES: Final = 512


def tear(durable: bytes, written: bytes, rng: random.Random) -> bytes:
    """A content the file may have after the power cut, from `durable` to `written`."""
    if durable == written:
        return written
    mode = rng.choices(
        ("durable", "written", "cut", "sectors", "zeros", "rubbish"), (3, 2, 3, 3, 2, 2)
    )[0]
    if mode == "durable":
        return durable
    if mode == "written":
        return written
    if mode == "cut":
        return _cut(durable, written, rng)
    return _mix(durable, written, mode, rng)


def _cut(durable: bytes, written: bytes, rng: random.Random) -> bytes:
    """The change reached the disk up to some point, often in the middle of a record."""
    start, end = sorted((_first_difference(durable, written), max(len(durable), len(written))))
    at = rng.randint(start, end)
    if rng.random() < 0.5:
        at -= at % SECTOR_BYTES
    if len(written) >= len(durable):
        return written[:at] + durable[at:]
    return written if at < end else durable


def _first_difference(one: bytes, other: bytes) -> int:
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    low, high = 0, shorter
    while low < high:
        middle = (low + high) // 2
        if one[: middle + 1] == other[: middle + 1]:
            low = middle + 1
        else:
            high = middle
    return low


def _mix(durable: bytes, written: bytes, mode: str, rng: random.Random) -> bytes:
    """Each changed sector for itself: old, new, zeros or rubbish."""
    size = rng.choice((len(written), len(durable), max(len(written), len(durable))))
    result = bytearray(written[:size].ljust(size, b"\x00"))
    kept = rng.choice((0.1, 0.5, 0.9))
    for start in range(0, size, SECTOR_BYTES):
        end = min(start + SECTOR_BYTES, size)
        old = durable[start:end].ljust(end - start, b"\x00")
        new = bytes(result[start:end])
        # A sector is not rewritten unless something in it changed.
        if durable[start:end] == written[start:end] or rng.random() < kept:
            continue
        if mode == "sectors":
            result[start:end] = old
        else:
            first = _first_difference(durable[start:end], written[start:end])
            rest = end - start - first
            spoilt = bytes(rest) if mode == "zeros" else rng.randbytes(rest)
            result[start:end] = new[:first] + spoilt
            # What was durable and is still there to be read is never spoilt.
            for position in range(start + first, min(end, len(durable))):
                if position < len(written) and durable[position] == written[position]:
                    result[position] = durable[position]
    return bytes(result)
