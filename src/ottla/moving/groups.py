"""Committed offsets of consumer groups, translated to the target's offsets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.moving.errors import MoveError
from ottla.moving.partitions import Where
from ottla.moving.state import MoveState
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.list_groups import ListGroupsRequest
from ottla.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup

#: The versions in which topics go by name.
COMMIT_VERSION: Final = 8
FETCH_VERSION: Final = 8
CONSUMER_KINDS: Final = ("", "classic", "consumer")


@dataclass(slots=True)
class GroupResult:
    """A group's offsets in the target; `lag` are records of moved topics still to read."""

    group: str
    partitions: int
    lag: int
    problem: str | None = None


def list_groups(source: Cluster, pattern: str | None) -> list[str]:
    """Consumer groups of all brokers. Errors: `MoveError` for a bad pattern."""
    try:
        matches = re.compile(pattern) if pattern else None
    except re.error as error:
        raise MoveError(f"--groups {pattern} is not a regular expression: {error}") from None
    found = set()
    for broker in source.brokers():
        answer = source.broker(broker.node_id).request(ListGroupsRequest())
        if answer.error_code:
            raise ClientError(f"groups cannot be listed: {ErrorCode(answer.error_code).name}")
        found |= {g.group_id for g in answer.groups if g.group_type.lower() in CONSUMER_KINDS}
    return sorted(g for g in found if matches is None or matches.fullmatch(g))


def committed(source: Cluster, group: str) -> dict[Where, tuple[int, str]]:
    """Offset and metadata of every partition the group has committed."""
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group, topics=None)], require_stable=True
    )
    answer = source.retry(lambda: source.coordinator(group).request(request, version=FETCH_VERSION))
    (found,) = answer.groups
    if found.error_code:
        raise ClientError(f"offsets of {group}: {ErrorCode(found.error_code).name}")
    return {
        Where(topic.name, p.partition_index): (p.committed_offset, p.metadata or "")
        for topic in found.topics
        for p in topic.partitions
        if p.committed_offset >= 0 and not p.error_code
    }


def move_group(source: Cluster, target: Cluster, group: str, state: MoveState) -> GroupResult:
    """The group's offsets of moved partitions are committed in the target, translated."""
    topics: dict[str, OffsetCommitRequestTopic] = {}
    lag = count = 0
    for where, (offset, metadata) in sorted(committed(source, group).items()):
        known = state.partitions.get(str(where))
        if known is None:
            continue
        translated = known.translate(offset)
        lag += max(0, known.target_end - translated)
        count += 1
        topic = topics.setdefault(where.topic, OffsetCommitRequestTopic(name=where.topic))
        topic.partitions.append(
            OffsetCommitRequestPartition(where.partition, translated, -1, 0, metadata)
        )
    if not topics:
        return GroupResult(group, 0, 0)
    request = OffsetCommitRequest(group, -1, "", topics=list(topics.values()))
    answer = target.retry(
        lambda: target.coordinator(group).request(request, version=COMMIT_VERSION)
    )
    codes = {p.error_code for t in answer.topics for p in t.partitions if p.error_code}
    problem = ", ".join(ErrorCode(c).name for c in sorted(codes)) or None
    return GroupResult(group, count, lag, problem)
