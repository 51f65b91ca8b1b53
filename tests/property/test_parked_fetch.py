"""A fetch that waited answers what the same fetch, asked just then, answers.

While it waits only what changed is looked at again; the twin looks at everything.
"""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.core import Core, batch
from tests.support.requests import create_topic, produce

from ottla.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from ottla.wire.messages.delete_topics import DeleteTopicsRequest
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic

TOPICS = {"orders": 4, "payments": 2}
PLACES = [(topic, partition) for topic, count in TOPICS.items() for partition in range(count)]
WAIT_MS = 500

appends = st.tuples(st.just("append"), st.sampled_from(PLACES), st.integers(1, 600))
truncations = st.tuples(st.just("truncate"), st.sampled_from(PLACES), st.just(0))
pauses = st.tuples(st.just("pause"), st.just(("", 0)), st.integers(1, WAIT_MS))
deletions = st.tuples(st.just("delete"), st.just(("payments", 0)), st.just(0))


@settings(max_examples=120, deadline=None)
@given(
    before=st.lists(appends, max_size=6),
    events=st.lists(st.one_of(appends, appends, truncations, pauses, deletions), max_size=12),
    min_bytes=st.integers(1, 2500),
    max_bytes=st.integers(100, 3000),
    isolation=st.integers(0, 1),
    durability=st.sampled_from(["fsync", "page-cache"]),
    is_at_end=st.booleans(),
)
def test_a_parked_fetch_answers_as_a_new_one(
    before: list[tuple[str, tuple[str, int], int]],
    events: list[tuple[str, tuple[str, int], int]],
    min_bytes: int,
    max_bytes: int,
    isolation: int,
    durability: str,
    is_at_end: bool,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        core = Core(directory, {"ottla.durability": durability})
        other = core.client()
        for topic, count in TOPICS.items():
            other.call(create_topic(topic, count), 5)
        for event in before:
            _happen(core, other, *event)
        places = {place: _end(core, place) if is_at_end else 0 for place in PLACES}

        def asked(max_wait_ms: int) -> FetchRequest:
            topics = [
                FetchTopic(
                    topic=topic,
                    partitions=[
                        FetchPartition(p, fetch_offset=places[topic, p], partition_max_bytes=1500)
                        for p in range(count)
                    ],
                )
                for topic, count in TOPICS.items()
            ]
            return FetchRequest(
                max_wait_ms=max_wait_ms,
                min_bytes=min_bytes,
                max_bytes=max_bytes,
                isolation_level=isolation,
                topics=topics,
            )

        waiting = core.client()
        waiting.send(asked(WAIT_MS), 11)
        answer = waiting.read()
        for event in [*events, ("pause", ("", 0), WAIT_MS)]:
            if answer is not None:
                break
            _happen(core, other, *event)
            answer = waiting.read()
        assert answer is not None
        assert _contents(answer) == _contents(other.call(asked(0), 11))
        core.broker.close(core.wall_ms)


def _happen(core: Core, client: Any, kind: str, place: tuple[str, int], size: int) -> None:
    topic, partition = place
    if kind == "append":
        client.call(produce(topic, batch("v" * size), partition), 9)
    elif kind == "truncate":
        rows = [DeleteRecordsPartition(partition, -1)]
        client.call(DeleteRecordsRequest([DeleteRecordsTopic(topic, rows)], 1000), 2)
    elif kind == "delete":
        client.call(DeleteTopicsRequest(topic_names=[topic], timeout_ms=1000), 4)
    else:
        core.advance(size)


def _end(core: Core, place: tuple[str, int]) -> int:
    return core.broker.metadata.topics[place[0]].partitions[place[1]].high_watermark


def _contents(response: Any) -> list[Any]:
    return [
        (topic.topic, [_content(data) for data in topic.partitions]) for topic in response.responses
    ]


def _content(data: Any) -> tuple[Any, ...]:
    return (
        data.partition_index,
        data.error_code,
        data.high_watermark,
        data.last_stable_offset,
        data.log_start_offset,
        bytes(data.records or b""),
    )
