"""Sequences, epochs and transactions of producers, and their snapshots."""

from __future__ import annotations

import pytest
from tests.unit.storage.harness import NOW_MS, batch

from ottla.batch.control import TransactionMarker, build_marker_batch
from ottla.batch.record_batch import BatchHeader, read_header
from ottla.batch.sequence import MAX_SEQUENCE
from ottla.storage import producer_snapshot
from ottla.storage.errors import AppendError
from ottla.storage.producer_snapshot import BadSnapshotError
from ottla.storage.producer_state import AppendedBatch, ProducerStates
from ottla.storage.transaction_index import AbortedTransaction
from ottla.wire.errors import ErrorCode

DAY_MS = 86_400_000


class Partition:
    """Producers of one log, and its end."""

    def __init__(self) -> None:
        self.states = ProducerStates()
        self.end = 0

    def header(
        self, sequence: int, count: int = 1, *, pid: int = 1, epoch: int = 0, txn: bool = False
    ) -> BatchHeader:
        data = batch(
            count,
            producer_id=pid,
            producer_epoch=epoch,
            base_sequence=sequence,
            transactional=txn,
        )
        return read_header(data)

    def send(self, sequence: int, count: int = 1, **how) -> AppendedBatch | None:
        """Append, unless it is a repeat; what it repeats."""
        strict = how.pop("strict", False)
        is_client = how.pop("is_client", True)
        header = self.header(sequence, count, **how)
        repeated = self.states.check(header, None, is_client=is_client, must_start_at_zero=strict)
        if repeated is None:
            self.end += count
            self.states.apply(header, self.end - 1, None, NOW_MS)
        return repeated

    def refused(self, sequence: int, count: int = 1, **how) -> ErrorCode:
        with pytest.raises(AppendError) as error:
            self.send(sequence, count, **how)
        return error.value.code

    def mark(
        self, *, commit: bool, pid: int = 1, epoch: int = 0, coordinator_epoch: int = 0
    ) -> AbortedTransaction | None:
        marker = TransactionMarker(commit, coordinator_epoch)
        header = read_header(
            build_marker_batch(marker, producer_id=pid, producer_epoch=epoch, timestamp_ms=NOW_MS)
        )
        assert self.states.check(header, marker, is_client=False) is None
        self.end += 1
        return self.states.apply(header, self.end - 1, marker, NOW_MS)


@pytest.fixture
def partition() -> Partition:
    return Partition()


def test_the_last_five_batches_are_recognised(partition: Partition) -> None:
    for i in range(7):
        assert partition.send(2 * i, 2) is None
    for i in range(2, 7):
        repeated = partition.send(2 * i, 2)
        assert repeated is not None
        assert (repeated.first_offset, repeated.last_offset) == (2 * i, 2 * i + 1)
    assert partition.refused(2, 2) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.end == 14


def test_a_gap_is_refused(partition: Partition) -> None:
    partition.send(0, 3)
    assert partition.refused(4) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.refused(1) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.send(3) is None


def test_sequences_wrap(partition: Partition) -> None:
    partition.send(MAX_SEQUENCE - 1, 2)
    assert partition.send(0, 3) is None
    partition = Partition()
    partition.send(MAX_SEQUENCE, 3)
    repeated = partition.send(MAX_SEQUENCE, 3)
    assert repeated is not None
    assert repeated.first_sequence == MAX_SEQUENCE
    assert partition.send(2) is None


def test_an_unknown_producer_may_start_anywhere_unless_told_otherwise(
    partition: Partition,
) -> None:
    assert partition.send(17) is None
    code = partition.refused(17, pid=2, txn=True, strict=True)
    assert code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.send(0, pid=2, txn=True, strict=True) is None
    assert partition.send(17, pid=3, strict=True) is None


def test_a_new_epoch_starts_at_zero_and_fences_the_old_one(partition: Partition) -> None:
    partition.send(0, 3)
    assert partition.refused(3, epoch=1) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.send(0, epoch=1) is None
    assert partition.refused(3) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert partition.refused(0, 3) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_after_a_marker_of_a_new_epoch_sequences_start_at_zero(partition: Partition) -> None:
    partition.send(0, 3, txn=True)
    partition.mark(commit=False, epoch=1)
    assert partition.refused(3, epoch=1) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert partition.send(0, epoch=1) is None


def test_after_a_marker_of_the_same_epoch_sequences_go_on(partition: Partition) -> None:
    partition.send(0, 3, txn=True)
    partition.mark(commit=True)
    assert partition.send(3, txn=True) is None


def test_coordinators_are_not_asked_for_sequences(partition: Partition) -> None:
    for _ in range(3):
        assert partition.send(-1, txn=True, is_client=False) is None
    state = partition.states.get(1)
    assert state is not None
    assert state.batches[0].first_sequence == -1
    assert partition.states.has_open_transaction(1)


def test_a_plain_batch_within_a_transaction_is_refused(partition: Partition) -> None:
    partition.send(0, txn=True)
    assert partition.refused(1) is ErrorCode.INVALID_TXN_STATE


def test_markers_of_the_past_are_refused(partition: Partition) -> None:
    partition.send(0, epoch=3, txn=True)
    with pytest.raises(AppendError) as error:
        partition.mark(commit=True, epoch=2)
    assert error.value.code is ErrorCode.INVALID_PRODUCER_EPOCH
    partition.mark(commit=True, epoch=3, coordinator_epoch=5)
    with pytest.raises(AppendError) as error:
        partition.mark(commit=True, epoch=3, coordinator_epoch=4)
    assert error.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_a_marker_without_a_transaction_completes_nothing(partition: Partition) -> None:
    assert partition.mark(commit=False) is None
    assert partition.states.first_unstable_offset(0) is None
    assert len(partition.states) == 1


def test_the_first_unstable_offset_waits_for_the_marker_to_be_covered(
    partition: Partition,
) -> None:
    partition.send(0, 2)
    partition.send(2, 2, txn=True)
    partition.send(0, 2, pid=2, txn=True)
    assert partition.states.first_unstable_offset(6) == 2
    assert partition.mark(commit=True) is None
    assert partition.states.first_unstable_offset(6) == 2
    assert partition.states.first_unstable_offset(7) == 4
    aborted = partition.mark(commit=False, pid=2)
    assert aborted == AbortedTransaction(2, 4, 7, 8)
    assert partition.states.first_unstable_offset(7) == 4
    assert partition.states.first_unstable_offset(8) is None


def test_an_aborted_transaction_knows_the_stable_offset_of_its_time(partition: Partition) -> None:
    partition.send(0, 2, txn=True)
    partition.send(0, 2, pid=2, txn=True)
    assert partition.mark(commit=False, pid=2) == AbortedTransaction(2, 2, 4, 0)


def test_a_control_batch_of_another_kind_changes_nothing(partition: Partition) -> None:
    header = read_header(
        build_marker_batch(
            TransactionMarker(True, 0), producer_id=1, producer_epoch=0, timestamp_ms=NOW_MS
        )
    )
    assert partition.states.check(header, None, is_client=False) is None
    assert partition.states.apply(header, 0, None, NOW_MS) is None
    assert len(partition.states) == 0


def test_idle_producers_are_forgotten_unless_in_a_transaction(partition: Partition) -> None:
    partition.send(0)
    partition.send(0, pid=2, txn=True)
    partition.states.remove_expired(NOW_MS + DAY_MS - 1, DAY_MS)
    assert len(partition.states) == 2
    partition.states.remove_expired(NOW_MS + DAY_MS, DAY_MS)
    assert [state.producer_id for state in partition.states] == [2]


def test_a_long_stop_makes_nobody_forgotten(partition: Partition) -> None:
    partition.send(0)
    partition.states.touch_all(NOW_MS + 3 * DAY_MS)
    partition.states.remove_expired(NOW_MS + 3 * DAY_MS + 1, DAY_MS)
    assert len(partition.states) == 1


def restored(data: bytes) -> Partition:
    partition = Partition()
    partition.states.restore(producer_snapshot.decode(data))
    return partition


def test_a_snapshot_brings_everything_back(partition: Partition) -> None:
    for i in range(7):
        partition.send(2 * i, 2)
    partition.send(0, pid=2, epoch=4, txn=True)
    partition.send(0, pid=3, txn=True)
    partition.mark(commit=True, pid=3, coordinator_epoch=9)
    partition.mark(commit=True, pid=4, epoch=2)
    data = producer_snapshot.encode(partition.states)
    again = restored(data)
    assert producer_snapshot.encode(again.states) == data
    for i in range(2, 7):
        assert again.send(2 * i, 2) is not None
    assert again.refused(0, pid=2, epoch=3) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert again.states.first_unstable_offset(100) == 14
    assert not again.states.has_open_transaction(3)
    only_marker = again.states.get(4)
    assert only_marker is not None
    assert (only_marker.epoch, only_marker.last_sequence, only_marker.last_offset) == (2, -1, -1)


def test_what_kafka_writes_is_read() -> None:
    """One entry for a producer, and one without any batch."""
    partition = Partition()
    partition.send(0, 3)
    partition.mark(commit=True, pid=2)
    entries = list(producer_snapshot.decode(producer_snapshot.encode(partition.states)))
    assert [len(state.batches) for state in entries] == [1, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\0\0\0",
        b"\0\2" + bytes(8),
        b"\0\1" + bytes(8),
    ],
)
def test_bad_snapshots_are_refused(data: bytes) -> None:
    with pytest.raises(BadSnapshotError):
        producer_snapshot.decode(data)


def test_a_snapshot_of_the_wrong_length_is_refused() -> None:
    from ottla.batch.checksum import crc32c

    body = (5).to_bytes(4, "big") + bytes(46)
    with pytest.raises(BadSnapshotError, match="5 entries"):
        producer_snapshot.decode(b"\0\1" + crc32c(body).to_bytes(4, "big") + body)


def test_every_flipped_bit_of_a_snapshot_is_noticed(partition: Partition) -> None:
    partition.send(0, 3)
    data = producer_snapshot.encode(partition.states)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= 1
        with pytest.raises(BadSnapshotError):
            producer_snapshot.decode(bytes(broken))
