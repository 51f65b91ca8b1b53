from __future__ import annotations

import itertools

import pytest

from ottla.broker.fetch_sessions import IDLE_MS, FetchSessions
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic

ID = b"i" * 16


def request(
    session_id: int, epoch: int, *partitions: int, forget: int | None = None
) -> FetchRequest:
    wanted = FetchRequest(session_id=session_id, session_epoch=epoch)
    if partitions:
        wanted.topics = [FetchTopic(ID, "", [FetchPartition(i) for i in partitions])]
    if forget is not None:
        wanted.forgotten_topics_data = [ForgottenTopic(ID, "", [forget])]
    return wanted


def sessions(slots: int = 10) -> FetchSessions:
    ids = itertools.count(0)
    return FetchSessions(lambda: next(ids), slots)


def test_sessionless_requests_leave_nothing() -> None:
    cache = sessions()
    context = cache.open(request(0, -1, 1, 2), True, 0)
    assert context.session is None
    assert [p.partition for p in context.partitions] == [1, 2]
    assert len(cache) == 0


def test_a_session_remembers_adds_and_forgets() -> None:
    cache = sessions()
    session_id = cache.open(request(0, 0, 1, 2), True, 0).session_id
    assert session_id == 1  # 0 means no session
    context = cache.open(request(session_id, 1, 3, forget=1), True, 0)
    assert [p.partition for p in context.partitions] == [2, 3]
    assert context.is_incremental
    assert cache.partition_count == 2


def test_wrong_session_and_epoch_are_refused() -> None:
    cache = sessions()
    session_id = cache.open(request(0, 0, 1), True, 0).session_id
    for epoch, uses_ids, code in (
        (2, True, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (1, False, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
        (1, True, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
    ):
        with pytest.raises(RequestError) as refused:
            cache.open(request(session_id, epoch), uses_ids, 0)
        assert refused.value.code is code


def test_the_final_epoch_ends_the_session() -> None:
    cache = sessions()
    session_id = cache.open(request(0, 0, 1), True, 0).session_id
    assert cache.open(request(session_id, -1, 1), True, 0).session is None
    assert len(cache) == 0


def test_a_full_cache_keeps_what_is_in_use() -> None:
    cache = sessions(slots=1)
    first = cache.open(request(0, 0, 1, 2), True, 0).session_id
    assert cache.open(request(0, 0, 1), True, 0).session is None
    assert cache.open(request(0, 0, 1, 2, 3), True, 0).session is not None
    assert cache.evictions == 1
    with pytest.raises(RequestError):
        cache.open(request(first, 1), True, 0)
    assert cache.open(request(0, 0, 1), True, IDLE_MS + 1).session is not None


def test_served_partitions_go_to_the_end() -> None:
    cache = sessions()
    context = cache.open(request(0, 0, 1, 2, 3), True, 0)
    assert context.session is not None
    context.session.served((ID, "", 1))
    again = cache.open(request(context.session_id, 1), True, 0)
    assert [p.partition for p in again.partitions] == [2, 3, 1]
