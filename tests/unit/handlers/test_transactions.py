"""Transactions through dispatch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.core import Client, Core, batch, values
from tests.support.requests import create_topic, fetch, list_offset, produce

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
)
from ottla.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from ottla.wire.messages.describe_transactions import DescribeTransactionsRequest
from ottla.wire.messages.end_txn import EndTxnRequest
from ottla.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ottla.wire.messages.list_transactions import ListTransactionsRequest
from ottla.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from ottla.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from ottla.wire.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)


def init(client: Client, timeout_ms: int = 60_000) -> InitProducerIdResponse:
    response = client.call(InitProducerIdRequest("tx", timeout_ms), 5)
    assert response.error_code == 0
    return response


def write(
    client: Client, producer: InitProducerIdResponse, value: str, sequence: int, version: int
) -> int:
    data = batch(
        value,
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        base_sequence=sequence,
        transactional=True,
    )
    response = client.call(produce("t", data, transactional_id="tx"), version)
    return response.responses[0].partition_responses[0].error_code


def end(
    client: Client, producer: InitProducerIdResponse, committed: bool, version: int = 5
) -> ErrorCode:
    response = client.call(
        EndTxnRequest("tx", producer.producer_id, producer.producer_epoch, committed), version
    )
    if version >= 5 and not response.error_code:
        producer.producer_id = response.producer_id
        producer.producer_epoch = response.producer_epoch
    return ErrorCode(response.error_code)


def read(client: Client, isolation_level: int = 1) -> list[str]:
    response = client.call(fetch("t", isolation_level=isolation_level), 12)
    data = response.responses[0].partitions[0]
    found = values(data.records)
    if isolation_level:
        assert data.aborted_transactions is not None
    return found


@pytest.fixture
def client(core: Core) -> Client:
    client = core.client()
    client.call(create_topic("t"), 7)
    return client


def test_version_two_needs_no_adding(core: Core, client: Client) -> None:
    producer = init(client)
    assert write(client, producer, "a", 0, 12) == 0
    assert read(client) == []
    assert read(client, 0) == ["a"]
    assert (
        client.call(list_offset("t", -1, isolation_level=1), 11).topics[0].partitions[0].offset == 0
    )
    epoch = producer.producer_epoch
    assert end(client, producer, True) is ErrorCode.NONE
    assert producer.producer_epoch == epoch + 1
    assert read(client)[:1] == ["a"]
    assert write(client, producer, "b", 0, 12) == 0
    assert end(client, producer, False) is ErrorCode.NONE
    response = client.call(fetch("t", isolation_level=1), 12)
    aborted = response.responses[0].partitions[0].aborted_transactions
    assert [(a.producer_id, a.first_offset) for a in aborted] == [(producer.producer_id, 2)]


def test_version_one_adds_first(core: Core, client: Client) -> None:
    producer = init(client)
    assert write(client, producer, "a", 0, 10) == ErrorCode.INVALID_TXN_STATE
    adding = AddPartitionsToTxnRequest(
        v3_and_below_transactional_id="tx",
        v3_and_below_producer_id=producer.producer_id,
        v3_and_below_producer_epoch=producer.producer_epoch,
        v3_and_below_topics=[AddPartitionsToTxnTopic("t", [0, 7])],
    )
    refused = client.call(adding, 3).results_by_topic_v3_and_below[0].results_by_partition
    assert [r.partition_error_code for r in refused] == [
        ErrorCode.OPERATION_NOT_ATTEMPTED,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    adding.v3_and_below_topics[0].partitions = [0]
    added = client.call(adding, 3).results_by_topic_v3_and_below[0].results_by_partition
    assert added[0].partition_error_code == 0
    assert write(client, producer, "a", 0, 10) == 0
    assert end(client, producer, True, 3) is ErrorCode.NONE
    assert read(client)[:1] == ["a"]


def test_offsets_become_visible_with_the_commit(core: Core, client: Client) -> None:
    producer = init(client)
    request = TxnOffsetCommitRequest(
        "tx",
        "g",
        producer.producer_id,
        producer.producer_epoch,
        topics=[
            TxnOffsetCommitRequestTopic("t", [TxnOffsetCommitRequestPartition(0, 5)]),
            TxnOffsetCommitRequestTopic("none", [TxnOffsetCommitRequestPartition(0, 5)]),
        ],
    )
    codes = {t.name: t.partitions[0].error_code for t in client.call(request, 5).topics}
    assert codes == {"t": 0, "none": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    ask = OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)])
    pending = client.call(ask, 9).groups[0].topics
    assert not pending or pending[0].partitions[0].committed_offset == -1
    assert end(client, producer, True) is ErrorCode.NONE
    assert client.call(ask, 9).groups[0].topics[0].partitions[0].committed_offset == 5
    core.restart()
    found = core.client().call(ask, 9).groups[0].topics[0].partitions[0]
    assert found.committed_offset == 5


def test_a_second_producer_fences_the_first(core: Core, client: Client) -> None:
    first = init(client)
    assert write(client, first, "a", 0, 12) == 0
    assert (
        client.call(InitProducerIdRequest("tx", 60_000), 5).error_code
        == ErrorCode.CONCURRENT_TRANSACTIONS
    )
    second = init(client)
    assert second.producer_epoch > first.producer_epoch
    assert write(client, first, "b", 1, 12) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert end(client, first, True) is ErrorCode.PRODUCER_FENCED
    assert read(client, 0)[0] == "a"


def test_what_takes_too_long_is_aborted_even_over_a_restart(core: Core, client: Client) -> None:
    producer = init(client, timeout_ms=5000)
    assert write(client, producer, "a", 0, 12) == 0
    core.restart()
    client = core.client()
    states = client.call(ListTransactionsRequest(), 2).transaction_states
    assert [(s.transactional_id, s.transaction_state) for s in states] == [("tx", "Ongoing")]
    core.advance(6000)
    state = client.call(DescribeTransactionsRequest(["tx"]), 0).transaction_states[0]
    assert state.transaction_state == "CompleteAbort"
    data = client.call(fetch("t", isolation_level=1), 12).responses[0].partitions[0]
    assert data.last_stable_offset == data.high_watermark == 2


def test_hanging_transactions_are_ended_by_hand(core: Core, client: Client) -> None:
    producer = init(client)
    assert write(client, producer, "a", 0, 12) == 0
    row = client.call(DescribeProducersRequest([TopicRequest("t", [0])]), 0).topics[0]
    assert row.partitions[0].active_producers[0].current_txn_start_offset == 0
    marker = WritableTxnMarker(
        producer.producer_id,
        producer.producer_epoch,
        False,
        [WritableTxnMarkerTopic("t", [0, 5])],
    )
    answer = client.call(WriteTxnMarkersRequest([marker]), 1).markers[0].topics[0].partitions
    assert [p.error_code for p in answer] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    row = client.call(DescribeProducersRequest([TopicRequest("t", [0])]), 0).topics[0]
    assert row.partitions[0].active_producers[0].current_txn_start_offset == -1


def test_a_crash_between_data_and_state_leaves_nothing_hanging(
    make_core: Callable[..., Core],
) -> None:
    core = make_core(flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("t"), 7)
    client.send(InitProducerIdRequest("tx", 60_000), 5)
    core.flush()
    producer = client.read()
    data = batch(
        "a",
        producer_id=producer.producer_id + 500,
        producer_epoch=0,
        base_sequence=0,
        transactional=True,
    )
    partition = core.broker.find_partition("t", 0)
    assert partition is not None
    core.broker.append(partition, memoryview(data))
    core.flush()
    assert partition.last_stable_offset == 0
    core.broker.coordinators.abort_unknown_transactions([partition])
    core.flush()
    assert partition.last_stable_offset == partition.high_watermark == 2
