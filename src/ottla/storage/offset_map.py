"""The last offset of each key, for one round of compaction.

Memory: a fixed number of keys; long keys are kept as their BLAKE2b digest.
Where the map is full the round ends, and the next one goes on from there.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

DEFAULT_MAX_KEYS: Final = 1_000_000
#: Digests are longer than any key kept as it is, so the two never meet.
_MAX_PLAIN_KEY_BYTES: Final = 16
_DIGEST_BYTES: Final = 17


class OffsetMap:
    """Keys and their last offsets, up to `end_offset`."""

    __slots__ = ("_max_keys", "_offsets", "end_offset")

    def __init__(self, max_keys: int = DEFAULT_MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._offsets: dict[bytes, int] = {}
        #: The map speaks of records below this offset.
        self.end_offset = 0

    def __len__(self) -> int:
        return len(self._offsets)

    def has_room(self, keys: int) -> bool:
        """Whether `keys` more keys fit. An empty map takes any single batch."""
        return not self._offsets or len(self._offsets) + keys <= self._max_keys

    def put(self, key: bytes, offset: int) -> None:
        self._offsets[_short(key)] = offset

    def is_superseded(self, key: bytes, offset: int) -> bool:
        """Whether a later record has the same key."""
        return self._offsets.get(_short(key), -1) > offset


def _short(key: bytes) -> bytes:
    if len(key) <= _MAX_PLAIN_KEY_BYTES:
        return key
    return blake2b(key, digest_size=_DIGEST_BYTES).digest()
