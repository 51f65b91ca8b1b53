"""Numbers that must not be mistaken for one another."""

from __future__ import annotations

from typing import NewType

#: Place of a record in its partition.
Offset = NewType("Offset", int)
#: Place of a byte in a file.
BytePosition = NewType("BytePosition", int)
#: Milliseconds since 1970-01-01 UTC.
TimestampMs = NewType("TimestampMs", int)
