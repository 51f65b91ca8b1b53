"""Records of __consumer_offsets, by hand and by the bytes of the format."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ottla.lag.offsets_topic import OffsetKey, OffsetValue, parse_key, parse_value


def key(version: int, group: str, topic: str, partition: int) -> bytes:
    text = b"".join(struct.pack(">h", len(t)) + t for t in (group.encode(), topic.encode()))
    return struct.pack(">h", version) + text + struct.pack(">i", partition)


def test_offset_keys_of_both_versions_are_read() -> None:
    assert parse_key(key(0, "g", "t", 3)) == OffsetKey("g", "t", 3)
    assert parse_key(key(1, "größe", "t", 3)) == OffsetKey("größe", "t", 3)


def test_other_keys_are_left_alone() -> None:
    assert parse_key(key(2, "g", "t", 3)) is None
    assert parse_key(None) is None


def test_values_of_each_version_give_offset_and_time() -> None:
    metadata = struct.pack(">h", 2) + b"hi"
    v1 = struct.pack(">hq", 1, 42) + metadata + struct.pack(">qq", 1000, 2000)
    v3 = struct.pack(">hqi", 3, 42, 7) + metadata + struct.pack(">q", 1000)
    v4 = struct.pack(">hqi", 4, 42, 7) + b"\x03hi" + struct.pack(">q", 1000) + b"\x00"
    assert parse_value(v1) == parse_value(v3) == parse_value(v4) == OffsetValue(42, 1000)


@given(st.binary(max_size=80))
def test_garbage_is_no_commit_and_no_error(data: bytes) -> None:
    parse_key(data)
    parse_value(data)
