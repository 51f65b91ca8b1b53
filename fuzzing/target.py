"""What a target is, and how it takes its input apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One surface that takes bytes from strangers."""

    name: str
    what: str
    #: Inputs to begin with, made anew each time; together they reach every corner once.
    seeds: Callable[[], Iterable[bytes]]
    #: Raises whatever must not be raised.
    run: Callable[[bytes], None]


class Input:
    """Reads choices off the front of an input; an exhausted one reads as zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def byte(self) -> int:
        found = self._data[self._position : self._position + 1]
        self._position += 1
        return found[0] if found else 0

    def number(self) -> int:
        """Sixteen bits."""
        return self.byte() << 8 | self.byte()

    def take(self, size: int) -> bytes:
        """At most `size` bytes."""
        found = self._data[self._position : self._position + size]
        self._position += size
        return found

    def rest(self) -> bytes:
        return self.take(len(self._data))
