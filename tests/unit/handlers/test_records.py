"""Produce, Fetch and ListOffsets through dispatch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.core import START_WALL_MS, Core, batch, values
from tests.support.requests import create_topic, fetch, list_offset, metadata, produce

from ottla.wire import frames
from ottla.wire.errors import ErrorCode


@pytest.fixture
def topic_id(core: Core) -> bytes:
    return core.client().call(create_topic("t", 2), 7).topics[0].topic_id


def partition_of(response: object):  # type: ignore[no-untyped-def]
    return response.responses[0].partitions[0]  # type: ignore[attr-defined]


def test_produced_records_are_fetched(core: Core, topic_id: bytes) -> None:
    client = core.client()
    result = client.call(produce("t", batch("a", "b")), 9).responses[0].partition_responses[0]
    assert (result.error_code, result.base_offset, result.log_append_time_ms) == (0, 0, -1)
    found = partition_of(client.call(fetch("t"), 12))
    assert values(found.records) == ["a", "b"]
    assert (found.high_watermark, found.last_stable_offset, found.log_start_offset) == (2, 2, 0)


def test_topic_ids_stand_for_names(core: Core, topic_id: bytes) -> None:
    client = core.client()
    answer = client.call(produce("", batch("a"), topic_id=topic_id), 13).responses[0]
    assert answer.topic_id == topic_id
    assert answer.partition_responses[0].error_code == 0
    found = client.call(fetch(topic_id=topic_id), 18).responses[0]
    assert found.topic_id == topic_id
    assert values(found.partitions[0].records) == ["a"]
    wrong = client.call(fetch(topic_id=b"x" * 16), 18)
    assert partition_of(wrong).error_code == ErrorCode.UNKNOWN_TOPIC_ID
    refused = client.call(produce("", batch("a"), topic_id=b"x" * 16), 13)
    assert refused.responses[0].partition_responses[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_acknowledgement_and_visibility_wait_for_the_flush(
    make_core: Callable[..., Core],
) -> None:
    core = make_core(flushes_by_hand=True)
    client, reader = core.client(), core.client()
    client.call(create_topic("t"), 7)
    for acks in (1, -1):
        client.send(produce("t", batch("a"), acks=acks), 9)
        assert client.read() is None
    assert values(partition_of(reader.call(fetch("t"), 12)).records) == []
    core.flush()
    assert client.read().responses[0].partition_responses[0].base_offset == 0
    assert client.read().responses[0].partition_responses[0].base_offset == 1
    assert values(partition_of(reader.call(fetch("t"), 12)).records) == ["a", "a"]


@pytest.mark.parametrize("version", [2, 9, 13])
def test_a_produce_that_waits_for_its_flush_keeps_no_frame(
    make_core: Callable[..., Core], version: int
) -> None:
    core = make_core(flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("t"), 7)
    topic_id = core.broker.metadata.topics["t"].id
    request = produce("t", batch("a"), topic_id=topic_id)
    frame = bytearray(b"".join(frames.encode_request(request, version, 7, "test")))[4:]
    client.send_frame(frame)
    assert core.sink.is_flush_wanted
    frame.clear()  # BufferError while anything looks into it
    core.flush()
    assert core.sink.sent[client.connection]


def test_page_cache_durability_acknowledges_at_once(make_core: Callable[..., Core]) -> None:
    core = make_core({"ottla.durability": "page-cache"}, flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("t"), 7)
    assert (
        client.call(produce("t", batch("a")), 9).responses[0].partition_responses[0].error_code == 0
    )
    assert values(partition_of(client.call(fetch("t"), 12)).records) == ["a"]


def test_acks_zero_has_no_response(core: Core, topic_id: bytes) -> None:
    client = core.client()
    client.send(produce("t", batch("a"), acks=0), 9)
    client._expected.clear()
    assert client.read() is None
    assert client.close_reason is None
    assert values(partition_of(client.call(fetch("t"), 12)).records) == ["a"]


def test_acks_zero_closes_on_error(core: Core) -> None:
    client = core.client()
    client.send(produce("missing", batch("a"), acks=0), 9)
    assert "UNKNOWN_TOPIC_OR_PARTITION" in (client.close_reason or "")


def test_other_acks_are_refused(core: Core, topic_id: bytes) -> None:
    answer = core.client().call(produce("t", batch("a"), acks=2), 9)
    result = answer.responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.INVALID_REQUIRED_ACKS


@pytest.mark.parametrize("partition", [-1, 2])
def test_unknown_partition(core: Core, topic_id: bytes, partition: int) -> None:
    answer = core.client().call(produce("t", batch("a"), partition), 9)
    result = answer.responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_damaged_batch_is_refused(core: Core, topic_id: bytes) -> None:
    data = batch("a")
    data[-1] ^= 1
    result = core.client().call(produce("t", data), 9).responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.CORRUPT_MESSAGE


def test_idempotent_repeat_is_answered_as_before(core: Core, topic_id: bytes) -> None:
    client = core.client()
    for expected in (0, 0):
        data = batch("a", producer_id=7, producer_epoch=0, base_sequence=0)
        result = client.call(produce("t", data), 9).responses[0].partition_responses[0]
        assert (result.error_code, result.base_offset) == (0, expected)
    data = batch("c", producer_id=7, producer_epoch=0, base_sequence=5)
    result = client.call(produce("t", data), 9).responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_internal_topics_are_not_for_clients(core: Core) -> None:
    client = core.client()
    client.call(metadata("__consumer_offsets", may_create=True), 9)
    result = client.call(produce("__consumer_offsets", batch("a")), 9)
    assert (
        result.responses[0].partition_responses[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    )


def test_fetch_waits_for_records(core: Core, topic_id: bytes) -> None:
    reader, writer = core.client(), core.client()
    reader.send(fetch("t", max_wait_ms=500), 12)
    assert reader.read() is None
    writer.call(produce("t", batch("a")), 9)
    assert values(partition_of(reader.read()).records) == ["a"]


def test_fetch_gives_up_at_its_deadline(core: Core, topic_id: bytes) -> None:
    reader = core.client()
    reader.send(fetch("t", max_wait_ms=500), 12)
    core.advance(499)
    assert reader.read() is None
    core.advance(1)
    assert values(partition_of(reader.read()).records) == []


def test_fetch_waits_for_min_bytes(core: Core, topic_id: bytes) -> None:
    reader, writer = core.client(), core.client()
    size = len(batch("a"))
    reader.send(fetch("t", max_wait_ms=500, min_bytes=2 * size), 12)
    writer.call(produce("t", batch("a")), 9)
    assert reader.read() is None
    writer.call(produce("t", batch("b")), 9)
    assert values(partition_of(reader.read()).records) == ["a", "b"]


def test_first_batch_is_whole_however_large(core: Core, topic_id: bytes) -> None:
    client = core.client()
    client.call(produce("t", batch("x" * 1000)), 9)
    client.call(produce("t", batch("y")), 9)
    found = partition_of(client.call(fetch("t", max_bytes=1, partition_max_bytes=1), 12))
    assert values(found.records) == ["x" * 1000]


@pytest.mark.parametrize("offset", [-1, 3])
def test_offset_out_of_range(core: Core, topic_id: bytes, offset: int) -> None:
    client = core.client()
    client.call(produce("t", batch("a", "b")), 9)
    found = partition_of(client.call(fetch("t", offset, max_wait_ms=500), 12))
    assert found.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert found.high_watermark == -1


def test_session_names_only_news(core: Core, topic_id: bytes) -> None:
    client = core.client()
    client.call(produce("t", batch("a")), 9)
    first = client.call(fetch("t", session_epoch=0), 12)
    assert first.session_id != 0
    assert values(partition_of(first).records) == ["a"]
    session = {"session_id": first.session_id}
    quiet = client.call(fetch("t", 1, session_epoch=1, **session), 12)
    assert quiet.responses == []
    client.call(produce("t", batch("b")), 9)
    news = client.call(fetch(session_epoch=2, **session), 12)
    assert values(partition_of(news).records) == ["b"]
    wrong = client.call(fetch(session_epoch=2, **session), 12)
    assert wrong.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    lost = client.call(fetch(session_epoch=1, session_id=4711), 12)
    assert lost.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_leader_epoch_is_checked(core: Core, topic_id: bytes) -> None:
    client = core.client()
    request = fetch("t")
    request.topics[0].partitions[0].current_leader_epoch = 1
    assert partition_of(client.call(request, 12)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    core.restart()
    client = core.client()
    request.topics[0].partitions[0].current_leader_epoch = 0
    assert partition_of(client.call(request, 12)).error_code == ErrorCode.FENCED_LEADER_EPOCH


def test_list_offsets(core: Core, topic_id: bytes) -> None:
    client = core.client()
    client.call(produce("t", batch("a", "b")), 9)

    def ask(timestamp: int) -> tuple[int, int, int]:
        found = client.call(list_offset("t", timestamp), 11).topics[0].partitions[0]
        assert found.error_code == 0
        return found.offset, found.timestamp, found.leader_epoch

    assert ask(-1) == (2, -1, 0)
    assert ask(-2) == (0, -1, 0)
    assert ask(-4) == (0, -1, 0)
    assert ask(-5) == (-1, -1, -1)
    assert ask(-3)[1:] == (START_WALL_MS, 0)
    assert ask(START_WALL_MS) == (0, START_WALL_MS, 0)
    assert ask(START_WALL_MS + 1) == (-1, -1, -1)
    too_old = client.call(list_offset("t", -4), 7).topics[0].partitions[0]
    assert too_old.error_code == ErrorCode.UNSUPPORTED_VERSION


def test_records_survive_a_restart(core: Core, topic_id: bytes) -> None:
    core.client().call(produce("t", batch("a")), 9)
    core.restart()
    client = core.client()
    assert client.call(metadata("t"), 12).topics[0].topic_id == topic_id
    found = partition_of(client.call(fetch("t"), 12))
    assert values(found.records) == ["a"]
    client.call(produce("t", batch("b")), 9)
    assert values(partition_of(client.call(fetch("t"), 12)).records) == ["a", "b"]


def test_deleted_topic_wakes_its_fetches(core: Core, topic_id: bytes) -> None:
    from ottla.wire.messages.delete_topics import DeleteTopicsRequest

    reader, admin = core.client(), core.client()
    reader.send(fetch("t", max_wait_ms=60_000), 12)
    admin.call(DeleteTopicsRequest(topic_names=["t"]), 5)
    assert partition_of(reader.read()).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
