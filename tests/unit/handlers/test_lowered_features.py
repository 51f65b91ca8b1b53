"""What a feature that was lowered to 0 switches off; Apache Kafka 4.3.1 answers the same."""

from __future__ import annotations

import pytest
from tests.support.core import Client, Core

from ottla.wire.errors import ErrorCode
from ottla.wire.message import Request
from ottla.wire.messages.alter_share_group_offsets import AlterShareGroupOffsetsRequest
from ottla.wire.messages.api_versions import ApiVersionsRequest
from ottla.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ottla.wire.messages.delete_share_group_offsets import DeleteShareGroupOffsetsRequest
from ottla.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)
from ottla.wire.messages.share_acknowledge import ShareAcknowledgeRequest
from ottla.wire.messages.share_fetch import ShareFetchRequest
from ottla.wire.messages.share_group_describe import ShareGroupDescribeRequest
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from ottla.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

MEMBER = "AAAAAAAAAAAAAAAAAAAAAA"


def set_levels(client: Client, upgrade_type: int, **levels: int) -> None:
    rows = [
        FeatureUpdateKey(f"{name}.version", level, upgrade_type) for name, level in levels.items()
    ]
    assert client.call(UpdateFeaturesRequest(1000, rows), 1).error_code == 0


@pytest.mark.parametrize(
    ("message", "version"),
    [
        (ConsumerGroupHeartbeatRequest("g", MEMBER, topic_partitions=[]), 1),
        (ShareGroupHeartbeatRequest("g", MEMBER), 1),
        (ShareFetchRequest("g", MEMBER), 1),
        (ShareAcknowledgeRequest("g", MEMBER, 1), 1),
        (AlterShareGroupOffsetsRequest("g"), 0),
        (DeleteShareGroupOffsetsRequest("g"), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_its_requests_are_refused(core: Core, message: Request[object], version: int) -> None:
    client = core.client()
    set_levels(client, 2, group=0, share=0)
    answer = client.call(message, version)
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    core.restart()
    client = core.client()
    assert client.call(message, version).error_code == ErrorCode.UNSUPPORTED_VERSION
    set_levels(client, 1, group=1, share=1)
    assert client.call(message, version).error_code != ErrorCode.UNSUPPORTED_VERSION


def test_each_group_of_a_question_is_refused(core: Core) -> None:
    client = core.client()
    set_levels(client, 2, group=0, share=0)
    groups = client.call(ConsumerGroupDescribeRequest(["a", "b"]), 1).groups
    assert [(g.group_id, g.error_code) for g in groups] == [("a", 35), ("b", 35)]
    shared = client.call(ShareGroupDescribeRequest(["a"]), 1).groups
    assert [(g.group_id, g.error_code) for g in shared] == [("a", 35)]
    asked = DescribeShareGroupOffsetsRequest([DescribeShareGroupOffsetsRequestGroup("a")])
    assert [(g.group_id, g.error_code) for g in client.call(asked, 0).groups] == [("a", 35)]


def test_it_is_not_finalised_but_its_keys_are_advertised(core: Core) -> None:
    client = core.client()
    set_levels(client, 2, group=0, share=0, transaction=1)
    answer = client.call(ApiVersionsRequest("a", "1"), 4)
    finalised = {f.name: f.max_version_level for f in answer.finalized_features}
    assert finalised == {"metadata.version": 30, "transaction.version": 1}
    keys = {row.api_key for row in answer.api_keys}
    assert {68, 69, 76, 77, 78, 79, 90, 91, 92} <= keys
