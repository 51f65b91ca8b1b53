"""Clients from before the record batch, on the same topic as today's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.core import START_WALL_MS, Core, batch, values
from tests.support.requests import create_topic, fetch, produce

from ottla.batch.compression import Codec
from ottla.batch.message_set import build_set, magic_of, set_records
from ottla.batch.record_batch import Record
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.api_versions import ApiVersionsRequest
from ottla.wire.messages.end_txn import EndTxnRequest
from ottla.wire.messages.init_producer_id import InitProducerIdRequest
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4])
@pytest.mark.parametrize("version", [0, 1, 2])
def test_old_producers_and_new_consumers(core: Core, version: int, codec: Codec) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    magic = 1 if version == 2 else 0
    sent = [Record(i, START_WALL_MS, b"k", b"v%d" % i) for i in range(3)]
    data = build_set(sent, magic, codec)
    result = client.call(produce("t", data, acks=1), version).responses[0].partition_responses[0]
    assert (result.error_code, result.base_offset) == (0, 0)
    found = client.call(fetch("t"), 12).responses[0].partitions[0].records
    assert values(found) == ["v0", "v1", "v2"]


@pytest.mark.parametrize(("version", "magic"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_new_producers_and_old_consumers(core: Core, version: int, magic: int) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    client.call(produce("t", batch("a", "b")), 9)
    data = client.call(fetch("t", 1), version).responses[0].partitions[0].records
    assert magic_of(data) == magic
    found = list(set_records(data))
    assert [(r.offset, r.value) for r in found] == [(1, b"b")]
    assert found[0].timestamp == (START_WALL_MS if magic else -1)


def test_old_consumers_pass_over_markers(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    producer = client.call(InitProducerIdRequest("tx", 1000), 5)
    data = batch(
        "a",
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        base_sequence=0,
        transactional=True,
    )
    client.call(produce("t", data, transactional_id="tx"), 12)
    client.call(EndTxnRequest("tx", producer.producer_id, producer.producer_epoch, True), 5)
    client.call(produce("t", batch("b")), 9)
    data = client.call(fetch("t", 1), 3).responses[0].partitions[0].records
    assert [(r.offset, r.value) for r in set_records(data)] == [(2, b"b")]


def test_damaged_sets_are_refused(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    data = bytearray(build_set([Record(0, 1, None, b"v")], 1))
    data[-1] ^= 1
    result = client.call(produce("t", data, acks=1), 2).responses[0].partition_responses[0]
    assert result.error_code == ErrorCode.CORRUPT_MESSAGE


def test_the_first_list_offsets_tells_segments(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t", segment_bytes="100"), 7)
    for value in "abc":
        client.call(produce("t", batch(value)), 9)

    def ask(timestamp: int, count: int) -> list[int]:
        wanted = ListOffsetsPartition(0, timestamp=timestamp, max_num_offsets=count)
        request = ListOffsetsRequest(topics=[ListOffsetsTopic("t", [wanted])])
        return client.call(request, 0).topics[0].partitions[0].old_style_offsets

    assert ask(-1, 1) == [3]
    assert ask(-1, 10) == [3, 2, 1, 0]
    assert ask(-2, 1) == [0]
    assert ask(START_WALL_MS, 10) == [0]


def test_strict_serves_what_kafka_4_serves(make_core: Callable[..., Core]) -> None:
    core = make_core({"ottla.protocol": "strict"})
    client = core.client()
    listed = {
        a.api_key: a.min_version for a in client.call(ApiVersionsRequest("a", "1"), 3).api_keys
    }
    assert (listed[0], listed[1], listed[2], listed[19]) == (0, 4, 1, 2)
    client.call(create_topic("t"), 7)
    client.send(produce("t", b"", acks=1), 2)
    assert client.close_reason
