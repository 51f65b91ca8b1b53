"""A share consumer for the simulated broker (KIP-932): acquires, accepts, releases, rejects.

What it accepted or rejected, and was told so, is never given to anybody again.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any, Final

from ottla.batch.record_batch import headers, records
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.metadata import MetadataRequest
from ottla.wire.messages.share_acknowledge import (
    AcknowledgementBatch,
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
)
from ottla.wire.messages.share_fetch import FetchPartition, FetchTopic, ShareFetchRequest
from ottla.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from simulation.clients import PARTITIONS, PATIENCE, STABLE_TOPICS, Call, Program
from simulation.history import History, Place
from simulation.log_model import Violation

GROUP: Final = "sharers"
ACCEPT, RELEASE, REJECT = 1, 2, 3
#: The session has to be opened again, or the member has to join again.
NEW_SESSION: Final = {
    ErrorCode.SHARE_SESSION_NOT_FOUND,
    ErrorCode.INVALID_SHARE_SESSION_EPOCH,
    ErrorCode.SHARE_SESSION_LIMIT_REACHED,
}
NEW_MEMBER: Final = {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH}


def share_consumer(member: str, rng: random.Random, history: History) -> Program:
    """One member, joining again whenever it is not known any more."""
    names = yield from _topic_names()
    while True:
        if (yield from _join(member)):
            yield from _consume(member, names, rng, history)


def _topic_names() -> Generator[Call, Any, dict[bytes, str]]:
    while True:
        response = yield Call(MetadataRequest(topics=None), 12)
        if response is None:
            continue
        names = {one.topic_id: one.name for one in response.topics if one.name in STABLE_TOPICS}
        if len(names) == len(STABLE_TOPICS) and bytes(16) not in names:
            return names


def _join(member: str) -> Generator[Call, Any, bool]:
    """Whether the member is in the group and has all partitions; it is alone."""
    epoch = 0
    for _ in range(100):
        names = list(STABLE_TOPICS) if epoch == 0 else None
        request = ShareGroupHeartbeatRequest(GROUP, member, epoch, subscribed_topic_names=names)
        response = yield Call(request, 1)
        if response is None:
            continue
        if response.error_code in NEW_MEMBER:
            epoch = 0
        elif response.error_code:
            _expect(response.error_code)
        else:
            epoch = response.member_epoch
            if response.assignment is not None and response.assignment.topic_partitions:
                return True
    return False


def _expect(code: int) -> None:
    if code not in PATIENCE and code not in NEW_SESSION and code not in NEW_MEMBER:
        raise Violation(f"a share consumer was answered {ErrorCode(code).name}")


def _consume(member: str, names: dict[bytes, str], rng: random.Random, history: History) -> Program:
    session_epoch = 0
    while True:
        topics = []
        if session_epoch == 0:
            for topic_id in names:
                partitions = [FetchPartition(i) for i in range(PARTITIONS)]
                topics.append(FetchTopic(topic_id, partitions))
        response = yield Call(
            ShareFetchRequest(
                group_id=GROUP,
                member_id=member,
                share_session_epoch=session_epoch,
                max_wait_ms=rng.choice((0, 50)),
                min_bytes=1,
                max_bytes=1 << 20,
                max_records=rng.choice((1, 20)),
                batch_size=5,
                topics=topics,
            ),
            1,
        )
        if response is None or response.error_code:
            if response is not None:
                _expect(response.error_code)
                if response.error_code in NEW_MEMBER:
                    return
            session_epoch = 0
            continue
        session_epoch += 1
        acquired = _acquired(response, names, history)
        if not acquired:
            continue
        done: list[tuple[Place, int]] = []
        answer = yield _acknowledge(member, session_epoch, acquired, names, rng, done)
        session_epoch += 1
        if answer is None or answer.error_code:
            if answer is not None:
                _expect(answer.error_code)
            session_epoch = 0
            continue
        failed = {
            (names[topic.topic_id], one.partition_index)
            for topic in answer.responses
            for one in topic.partitions
            if one.error_code
        }
        history.finish_shared([(place, offset) for place, offset in done if place not in failed])


def _acquired(
    response: Any, names: dict[bytes, str], history: History
) -> dict[tuple[bytes, int], list[tuple[int, int]]]:
    """The ranges of offsets acquired, by topic id and partition; records are checked."""
    acquired: dict[tuple[bytes, int], list[tuple[int, int]]] = {}
    for topic in response.responses:
        for data in topic.partitions:
            if data.error_code:
                _expect(data.error_code)
                continue
            place = (names[topic.topic_id], data.partition_index)
            values = {
                record.offset: record.value or b""
                for position, header in headers(data.records or b"")
                if not header.is_control
                for record in records(data.records or b"", position)
            }
            for one in data.acquired_records:
                key = (topic.topic_id, data.partition_index)
                acquired.setdefault(key, []).append((one.first_offset, one.last_offset))
                for offset in range(one.first_offset, one.last_offset + 1):
                    if offset in values:
                        history.share(place, offset, values[offset])
    return acquired


def _acknowledge(
    member: str,
    session_epoch: int,
    acquired: dict[tuple[bytes, int], list[tuple[int, int]]],
    names: dict[bytes, str],
    rng: random.Random,
    done: list[tuple[Place, int]],
) -> Call:
    """The request; `done` gets what will be finished when it succeeds."""
    topics: dict[bytes, AcknowledgeTopic] = {}
    for (topic_id, index), ranges in acquired.items():
        batches = []
        for first, last in ranges:
            kind = rng.choices((ACCEPT, RELEASE, REJECT), (8, 1, 1))[0]
            batches.append(AcknowledgementBatch(first, last, [kind]))
            if kind != RELEASE:
                place = (names[topic_id], index)
                done += [(place, offset) for offset in range(first, last + 1)]
        topic = topics.setdefault(topic_id, AcknowledgeTopic(topic_id))
        topic.partitions.append(AcknowledgePartition(index, batches))
    request = ShareAcknowledgeRequest(
        group_id=GROUP,
        member_id=member,
        share_session_epoch=session_epoch,
        topics=list(topics.values()),
    )
    return Call(request, 1)
