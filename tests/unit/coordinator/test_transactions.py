"""Transactions: who may write, how they end, and what a restart keeps."""

from __future__ import annotations

import dataclasses

import pytest

from ottla.coordinator.outcome import Client, CoordinatorRecord
from ottla.coordinator.records.framing import encode_key, encode_value
from ottla.coordinator.records.transactions import TransactionLogKey
from ottla.coordinator.transaction import Transaction, TransactionStatus
from ottla.coordinator.transaction_coordinator import TransactionConfig
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from ottla.wire.messages.list_transactions import ListTransactionsRequest

from .transaction_harness import TransactionHarness

A, B = ("t", 0), ("u", 3)
DAY_MS = 86_400_000


def test_an_idempotent_producer_gets_an_id_of_its_own() -> None:
    h = TransactionHarness()
    one, two = h.init(None), h.init(None)
    assert (one.producer_epoch, two.producer_epoch) == (0, 0)
    assert one.producer_id != two.producer_id
    assert h.log == []


@pytest.mark.parametrize(
    ("transactional_id", "timeout_ms", "error"),
    [
        ("", 1000, ErrorCode.INVALID_REQUEST),
        ("x", 0, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        ("x", 900_001, ErrorCode.INVALID_TRANSACTION_TIMEOUT),
    ],
)
def test_what_init_refuses(transactional_id: str, timeout_ms: int, error: ErrorCode) -> None:
    reply = TransactionHarness().init(transactional_id, timeout_ms=timeout_ms)
    assert (reply.error_code, reply.producer_id, reply.producer_epoch) == (error, -1, -1)


def test_a_second_instance_fences_the_first() -> None:
    h = TransactionHarness()
    first = h.begin()
    second = h.begin()
    assert second == (first[0], first[1] + 1)
    assert h.add(first, A) == ErrorCode.PRODUCER_FENCED
    assert h.end(first).error_code == ErrorCode.PRODUCER_FENCED
    assert h.end(first, version=1).error_code == ErrorCode.INVALID_PRODUCER_EPOCH
    assert h.add(second, A) == ErrorCode.NONE


def test_a_new_instance_aborts_what_the_old_one_left_open() -> None:
    h = TransactionHarness()
    first = h.begin()
    h.add(first, A, B)
    h.holds_markers = True
    assert h.init().error_code == ErrorCode.CONCURRENT_TRANSACTIONS
    assert h.state() == "PrepareAbort"
    assert h.init().error_code == ErrorCode.CONCURRENT_TRANSACTIONS
    h.write_markers()
    (markers,) = h.markers
    assert (markers.producer_epoch, markers.committed) == (first[1] + 1, False)
    assert markers.partitions == (A, B)
    # The fenced producer cannot pass its own EndTxn off as a retry of that end.
    assert h.end(first, committed=False).error_code == ErrorCode.PRODUCER_FENCED
    assert h.begin()[1] > first[1] + 1


def test_a_producer_raises_its_own_epoch_and_may_repeat_the_request() -> None:
    h = TransactionHarness()
    producer = h.begin()
    raised = h.init(producer=producer)
    assert raised.producer_epoch == producer[1] + 1
    repeated = h.init(producer=producer)
    assert repeated.producer_epoch == raised.producer_epoch
    fenced = h.init(producer=(producer[0], 17))
    assert fenced.error_code == ErrorCode.PRODUCER_FENCED
    assert h.init(producer=(4, 0)).error_code == ErrorCode.PRODUCER_FENCED
    old = h.init(producer=(4, 0), version=3)
    assert old.error_code == ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_commit_in_version_one() -> None:
    h = TransactionHarness()
    producer = h.begin()
    assert h.add(producer, A, version=0) == ErrorCode.NONE
    assert h.state() == "Ongoing"
    assert h.end(producer, version=3).error_code == ErrorCode.NONE
    assert h.state() == "CompleteCommit"
    (markers,) = h.markers
    assert markers == ("x", *producer, True, (A,))
    assert h.end(producer, version=3).error_code == ErrorCode.NONE
    wrong = h.end(producer, committed=False, version=3)
    assert wrong.error_code == ErrorCode.INVALID_TXN_STATE
    assert h.add(producer, B, version=0) == ErrorCode.NONE
    assert h.coordinator.describe("x").topics[0].topic == "u"


def test_the_reply_comes_when_the_transaction_is_complete() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.add(producer, A)
    h.holds_markers = True
    waiter = h.send_end(producer)
    assert waiter not in h.replies
    assert h.state() == "PrepareCommit"
    assert h.add((producer[0], producer[1] + 1), A) == ErrorCode.CONCURRENT_TRANSACTIONS
    assert h.end(producer).error_code == ErrorCode.CONCURRENT_TRANSACTIONS
    assert h.end(producer, committed=False).error_code == ErrorCode.INVALID_TXN_STATE
    h.write_markers()
    assert waiter in h.replies


def test_version_two_raises_the_epoch_with_every_end() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.add(producer, A)
    reply = h.end(producer)
    assert (reply.producer_id, reply.producer_epoch) == (producer[0], producer[1] + 1)
    assert h.markers[0].producer_epoch == producer[1] + 1
    retry = h.end(producer)
    assert (retry.error_code, retry.producer_epoch) == (0, producer[1] + 1)
    assert h.end(producer, committed=False).error_code == ErrorCode.INVALID_TXN_STATE
    now = (reply.producer_id, reply.producer_epoch)
    assert h.end(now).error_code == ErrorCode.INVALID_TXN_STATE  # nothing to commit
    empty = h.end(now, committed=False)
    assert (empty.error_code, empty.producer_epoch) == (0, now[1] + 1)
    assert h.add((empty.producer_id, empty.producer_epoch), A) == ErrorCode.NONE


def test_an_abort_before_anything_was_sent() -> None:
    h = TransactionHarness()
    producer = h.begin()
    assert h.end(producer, version=4).error_code == ErrorCode.INVALID_TXN_STATE
    assert h.end(producer).error_code == ErrorCode.INVALID_TXN_STATE
    assert h.end(producer, committed=False).producer_epoch == producer[1] + 1


def test_ends_of_strangers() -> None:
    h = TransactionHarness()
    assert h.end((1, 0)).error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    producer = h.begin()
    assert h.end((1, 0)).error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert h.end((producer[0], 9)).error_code == ErrorCode.PRODUCER_FENCED
    assert h.add((1, 0), A) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert h.add((1, 0), A, transactional_id="no") == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert h.add((1, 0), A, transactional_id="") == ErrorCode.INVALID_REQUEST


def with_epoch(h: TransactionHarness, epoch: int) -> tuple[int, int]:
    """Put the transactional id where its epochs are nearly used up."""
    h.begin()
    known = h.coordinator.durable_state()["x"]
    assert isinstance(known, Transaction)
    key, value = dataclasses.replace(known, producer_epoch=epoch).record()
    record = CoordinatorRecord(encode_key(key), encode_value(value))
    h.log.append(record)
    h.coordinator.replay(record)
    return known.producer_id, epoch


def test_used_up_epochs_bring_a_new_producer_id() -> None:
    h = TransactionHarness()
    producer = with_epoch(h, 32_765)
    last = h.init(producer=producer)
    assert (last.producer_id, last.producer_epoch) == (producer[0], 32_766)
    fresh = h.init(producer=(producer[0], 32_766))
    assert fresh.producer_id != producer[0]
    assert fresh.producer_epoch == 0


def test_an_end_with_the_last_epoch_brings_a_new_producer_id() -> None:
    h = TransactionHarness()
    producer = with_epoch(h, 32_766)
    h.add(producer, A)
    reply = h.end(producer)
    assert reply.producer_id != producer[0]
    assert reply.producer_epoch == 0
    assert h.markers[0].producer_epoch == 32_767
    retry = h.end(producer)
    assert (retry.error_code, retry.producer_id) == (0, reply.producer_id)


def test_what_takes_too_long_is_aborted_and_its_producer_fenced() -> None:
    h = TransactionHarness()
    producer = h.begin(timeout_ms=10_000)
    h.add(producer, A)
    h.advance(9_999)
    h.add(producer, B)  # does not prolong it
    assert h.state() == "Ongoing"
    h.advance(1)
    assert h.state() == "CompleteAbort"
    assert h.markers[0].partitions == (A, B)
    assert h.end(producer).error_code == ErrorCode.PRODUCER_FENCED


def test_time_outs_survive_a_restart() -> None:
    h = TransactionHarness()
    producer = h.begin(timeout_ms=10_000)
    h.add(producer, A)
    h.advance(6_000)
    h.restart()
    h.advance(3_999)
    assert h.state() == "Ongoing"
    h.advance(1)
    assert h.state() == "CompleteAbort"


def test_an_end_that_was_decided_goes_on_after_a_restart() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.add(producer, A)
    h.holds_markers = True
    h.send_end(producer)
    h.restart()
    h.write_markers()
    assert h.state() == "CompleteCommit"
    assert h.markers == [("x", producer[0], producer[1] + 1, True, (A,))]
    assert h.end(producer).error_code == ErrorCode.NONE  # the client asks again


def test_adding_the_same_partition_again_writes_nothing() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.add(producer, A)
    before = len(h.log)
    assert h.add(producer, A) == ErrorCode.NONE
    assert len(h.log) == before


def test_partitions_are_verified() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.add(producer, A)
    assert h.coordinator.verify_partitions("x", *producer, [A, B]) == {
        A: ErrorCode.NONE,
        B: ErrorCode.TRANSACTION_ABORTABLE,
    }
    assert h.coordinator.verify_partitions("x", 1, 0, [A]) == {
        A: ErrorCode.INVALID_PRODUCER_ID_MAPPING
    }
    assert h.coordinator.is_ongoing(*producer, A)
    assert not h.coordinator.is_ongoing(*producer, B)


def add_request(h: TransactionHarness, version: int, producer: tuple[int, int]) -> list[list[int]]:
    topics = [AddPartitionsToTxnTopic("t", [0, 1])]
    if version >= 4:
        request = AddPartitionsToTxnRequest(
            [AddPartitionsToTxnTransaction("x", *producer, False, topics)]
        )
    else:
        request = AddPartitionsToTxnRequest([], "x", *producer, topics)
    response, outcomes = h.coordinator.add_partitions_to_txn(
        request, Client("c", "", version), h.wall_ms, h.now_ms
    )
    for _, outcome in outcomes:
        h.apply(outcome)
    if version >= 4:
        results = [r.topic_results for r in response.results_by_transaction]
    else:
        results = [response.results_by_topic_v3_and_below]
    return [[p.partition_error_code for p in t.results_by_partition] for r in results for t in r]


def test_the_request_in_its_old_and_new_shape() -> None:
    h = TransactionHarness()
    producer = h.begin()
    for version in (0, 3, 4, 5):
        assert add_request(h, version, producer) == [[0, 0]]
    stale = (producer[0], 7)
    assert add_request(h, 1, stale) == [[ErrorCode.INVALID_PRODUCER_EPOCH] * 2]
    assert add_request(h, 3, stale) == [[ErrorCode.PRODUCER_FENCED] * 2]


def test_describing_and_listing() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.begin("y")
    h.add(producer, A)
    described = h.coordinator.describe("x")
    assert (described.transaction_state, described.producer_id) == ("Ongoing", producer[0])
    assert h.coordinator.describe("no").error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    assert h.coordinator.describe("").error_code == ErrorCode.INVALID_REQUEST

    def listed(**filters: object) -> list[str]:
        request = ListTransactionsRequest(**filters)  # type: ignore[arg-type]
        response = h.coordinator.list_transactions(request, h.wall_ms)
        return [s.transactional_id for s in response.transaction_states]

    assert listed() == ["x", "y"]
    assert listed(state_filters=["Empty"]) == ["y"]
    assert listed(producer_id_filters=[producer[0]]) == ["x"]
    assert listed(transactional_id_pattern="[xz]") == ["x"]
    h.advance(1_000)
    assert listed(duration_filter=2_000, state_filters=["Ongoing"]) == []
    assert listed(duration_filter=500, state_filters=["Ongoing"]) == ["x"]
    bad = h.coordinator.list_transactions(
        ListTransactionsRequest(["Nonsense"], transactional_id_pattern="["), h.wall_ms
    )
    assert bad.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert bad.unknown_state_filters == ["Nonsense"]


def test_ids_that_nobody_uses_are_forgotten() -> None:
    h = TransactionHarness(TransactionConfig(transactional_id_expiration_ms=DAY_MS))
    h.begin()
    h.advance(DAY_MS // 2)
    producer = h.begin("busy", timeout_ms=900_000)
    h.add(producer, A, transactional_id="busy")
    h.advance(DAY_MS // 2 + 3_600_000)
    assert set(h.coordinator.durable_state()) == {"busy"}
    assert h.reloaded().durable_state() == h.coordinator.durable_state()


def test_a_record_is_laid_out_as_kafka_lays_it_out() -> None:
    transaction = Transaction(
        transactional_id="x",
        producer_id=1,
        producer_epoch=2,
        timeout_ms=3,
        status=TransactionStatus.ONGOING,
        partitions=frozenset({A}),
        last_update_ms=4,
        start_ms=5,
        client_version=2,
    )
    key, value = transaction.record()
    assert encode_key(key).hex() == "0000" + "000178"
    assert encode_value(value).hex() == (
        "0001" + "0000000000000001" + "0002" + "00000003" + "01"
        "02" + "0274" + "02" + "00000000" + "00"
        "0000000000000004" + "0000000000000005" + "01" + "02" + "02" + "0002"
    )


def test_records_of_other_kinds_are_skipped() -> None:
    h = TransactionHarness()
    h.coordinator.replay(CoordinatorRecord(b"\x00\x09??", b""))
    assert h.coordinator.durable_state() == {}
    h.begin()
    h.coordinator.replay(CoordinatorRecord(encode_key(TransactionLogKey("x")), None))
    assert h.coordinator.durable_state() == {}


def test_who_may_not_end_or_begin() -> None:
    h = TransactionHarness()
    assert h.coordinator.partition_for("x") == 0
    assert h.end((1, 0), version=5).error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    waiter = h.send_end((1, 0), transactional_id="")
    assert h.replies[waiter].error_code == ErrorCode.INVALID_REQUEST  # type: ignore[attr-defined]
    producer = h.begin()
    h.add(producer, A)
    wrong_id = h.end((producer[0] + 9, producer[1]), version=3)
    assert wrong_id.error_code == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    h.holds_markers = True
    h.send_end(producer)
    fenced = h.end((producer[0], producer[1] + 1))
    assert fenced.error_code == ErrorCode.PRODUCER_FENCED
    assert h.init(producer=(producer[0], -1)).error_code == ErrorCode.INVALID_REQUEST


def test_a_batch_may_only_verify() -> None:
    h = TransactionHarness()
    producer = h.begin()
    h.add(producer, ("t", 0))
    topics = [AddPartitionsToTxnTopic("t", [0, 1])]
    request = AddPartitionsToTxnRequest(
        [AddPartitionsToTxnTransaction("x", *producer, True, topics)]
    )
    response, outcomes = h.coordinator.add_partitions_to_txn(
        request, Client("c", "", 4), h.wall_ms, h.now_ms
    )
    assert outcomes == []
    (topic,) = response.results_by_transaction[0].topic_results
    assert [p.partition_error_code for p in topic.results_by_partition] == [
        0,
        ErrorCode.TRANSACTION_ABORTABLE,
    ]
