"""Coordinator records are Kafka's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.group_coordinator import GroupCoordinator
from ottla.coordinator.outcome import CoordinatorRecord
from ottla.coordinator.placement import java_hash, partition_for
from ottla.coordinator.records import commits, framing, offsets
from ottla.wire.errors import ProtocolError


def test_an_offset_commit_is_laid_out_as_kafka_lays_it_out() -> None:
    key = framing.encode_key(offsets.OffsetCommitKey("g", "to", 5))
    assert key.hex() == "0001" + "000167" + "0002746f" + "00000005"
    value = framing.encode_value(offsets.OffsetCommitValue(1, 2, "m", 3))
    assert value.hex() == ("0003" + "0000000000000001" + "00000002" + "00016d" + "0000000000000003")


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_a_commit_is_read(version: int) -> None:
    value = offsets.OffsetCommitValue(9, 4 if version >= 3 else -1, "meta", 77)
    if version == 1:
        value.expire_timestamp_ms = 99
    data = framing.encode_value(value, version)
    assert framing.decode_value(offsets.OffsetCommitValue, data) == value


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_group_metadata_is_read(version: int) -> None:
    member = offsets.GroupMember("m", None, "c", "/h", -1, 10_000, b"sub", b"asg")
    if version >= 1:
        member.rebalance_timeout_ms = 60_000
    if version >= 3:
        member.group_instance_id = "i"
    value = offsets.GroupMetadataValue("consumer", 3, "range", "m", -1, [member])
    if version >= 2:
        value.current_state_timestamp_ms = 5
    data = framing.encode_value(value, version)
    assert framing.decode_value(offsets.GroupMetadataValue, data) == value


def test_records_of_unknown_kinds_are_skipped() -> None:
    coordinator = GroupCoordinator(GroupConfig(), bytes)
    before = repr(coordinator.durable_state())
    coordinator.replay(CoordinatorRecord(b"\x03\xe7whatever", b"\0\0?"), 0)
    assert repr(coordinator.durable_state()) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"", b""), (b"\0", b""), (b"\0\1\0", b""), (b"\0\2\0\1g", b""), (b"\0\2\0\1g", b"\0\3\xff")],
)
def test_damaged_records_are_named_not_swallowed(key: bytes, value: bytes) -> None:
    with pytest.raises(ProtocolError):
        load(CoordinatorRecord(key, value))


def load(record: CoordinatorRecord) -> None:
    coordinator = GroupCoordinator(GroupConfig(), bytes)
    coordinator.replay(record, 0)
    coordinator.loaded(0)


def test_groups_are_placed_as_java_places_them() -> None:
    assert java_hash("") == 0
    assert java_hash("hello") == 99162322
    assert java_hash("polygenelubricants") == -(1 << 31)
    assert partition_for("polygenelubricants", 50) == 0
    assert partition_for("hello", 50) == 22


@given(
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**31 - 1),
    st.text(max_size=20),
)
def test_commits_by_hand_are_those_of_the_codec(
    group: str, topic: str, partition: int, offset: int, epoch: int, metadata: str
) -> None:
    key = framing.encode_key(offsets.OffsetCommitKey(group, topic, partition))
    assert commits.encode_commit_key(group, topic, partition) == key
    assert commits.decode_commit_key(key) == (group, topic, partition)
    value = framing.encode_value(offsets.OffsetCommitValue(offset, epoch, metadata, 7))
    assert commits.encode_commit_value(offset, epoch, metadata, 7) == value
    assert commits.decode_commit_value(value) == (offset, epoch, metadata, 7, -1)


@given(st.binary(max_size=40), st.sampled_from([b"\0\1", b"\0\3", b""]))
def test_damaged_commits_raise_nothing_else(data: bytes, start: bytes) -> None:
    for decode in (commits.decode_commit_key, commits.decode_commit_value):
        try:
            decode(start + data)
        except ProtocolError:
            continue
