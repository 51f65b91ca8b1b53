"""CRC-32C (Castagnoli), the checksum of record batch v2."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

Buffer: TypeAlias = bytes | bytearray | memoryview

_implementation: Callable[[Buffer], int] | None = None


def crc32c(data: Buffer) -> int:
    """Unsigned 32-bit CRC-32C of `data`, without copying it."""
    implementation = _implementation
    if implementation is None:
        implementation = _load()
    return implementation(data)


def _load() -> Callable[[Buffer], int]:
    # The package pulls in importlib.metadata, 30 to 45 ms: not before the first batch.
    global _implementation  # noqa: PLW0603
    import crc32c as package

    _implementation = cast(Callable[[Buffer], int], package.crc32c)
    return _implementation
