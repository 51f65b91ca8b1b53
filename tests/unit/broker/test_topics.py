from __future__ import annotations

import pytest

from ottla.broker.topics import (
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
    ClusterMetadata,
    MetadataFormatError,
    check_topic_name,
    decode_change,
    encode_change,
)
from ottla.wire.errors import ErrorCode, RequestError


def full() -> ClusterMetadata:
    metadata = ClusterMetadata()

    def apply(records: list[dict[str, object]]) -> None:
        for record in decode_change(encode_change(records)):
            metadata.replay(record)

    apply(metadata.decide_start())
    apply(metadata.decide_create_topic("a.b", b"1" * 16, 3, {"retention.ms": "5"}))
    apply(metadata.decide_create_topic("gone", b"2" * 16, 1, {}))
    apply(metadata.decide_create_partitions(metadata.topics["a.b"], 4))
    apply(metadata.decide_delete_topic(metadata.topics["gone"]))
    apply(metadata.decide_configs(RESOURCE_TOPIC, "a.b", {"retention.ms": None, "x": "y"}))
    apply(metadata.decide_configs(RESOURCE_GROUP, "g", {"k": "v"}))
    apply(metadata.decide_producer_ids(1000))
    apply(metadata.decide_quota((("user", None),), {"producer_byte_rate": 1.5}))
    apply(metadata.decide_feature("group.version", 1))
    return metadata


def test_a_snapshot_rebuilds_the_state() -> None:
    metadata, copy = full(), ClusterMetadata()
    for record in decode_change(encode_change(list(metadata.snapshot()))):
        copy.replay(record)
    assert list(copy.topics) == ["a.b"]
    topic = copy.topics_by_id[b"1" * 16]
    assert (topic.partition_count, topic.configs, topic.first_start) == (4, {"x": "y"}, 1)
    assert copy.configs == metadata.configs == {(RESOURCE_GROUP, "g"): {"k": "v"}}
    assert copy.quotas == metadata.quotas == {(("user", None),): {"producer_byte_rate": 1.5}}
    assert copy.features == {"group.version": 1}
    assert (copy.next_producer_id, copy.starts) == (1000, 1)


def test_names_and_collisions() -> None:
    metadata = full()
    for name, code in (
        ("a.b", ErrorCode.TOPIC_ALREADY_EXISTS),
        ("a_b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("", ErrorCode.INVALID_TOPIC_EXCEPTION),
    ):
        with pytest.raises(RequestError) as refused:
            metadata.decide_create_topic(name, b"3" * 16, 1, {})
        assert refused.value.code is code


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 250, "a b", "ä", "a/b", "a\n"])
def test_illegal_names(name: str) -> None:
    assert check_topic_name(name)


@pytest.mark.parametrize("name", ["a", "a" * 249, "A.b_c-9", "..."])
def test_legal_names(name: str) -> None:
    assert check_topic_name(name) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version":2,"records":[]}'])
def test_records_of_the_future_are_refused(data: bytes) -> None:
    with pytest.raises(MetadataFormatError):
        decode_change(data)


def test_unknown_types_are_refused() -> None:
    with pytest.raises(MetadataFormatError):
        ClusterMetadata().replay({"type": "nonsense"})
