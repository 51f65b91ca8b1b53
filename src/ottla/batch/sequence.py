"""Arithmetic of producer sequence numbers: 31 bits, 0 follows 2**31 - 1."""

from __future__ import annotations

from typing import Final

NO_SEQUENCE: Final = -1
MAX_SEQUENCE: Final = 0x7FFFFFFF


def add_sequence(sequence: int, increment: int) -> int:
    """The sequence `increment` records after `sequence`."""
    return (sequence + increment) & MAX_SEQUENCE


def subtract_sequence(sequence: int, decrement: int) -> int:
    """The sequence `decrement` records before `sequence`."""
    return (sequence - decrement) & MAX_SEQUENCE


def is_successor(last_sequence: int, first_sequence: int) -> bool:
    """Whether `first_sequence` is the one right after `last_sequence`."""
    return first_sequence == add_sequence(last_sequence, 1)
