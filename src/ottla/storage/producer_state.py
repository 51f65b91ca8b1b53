"""What one log knows about its producers: sequences, epochs, open transactions.

Per producer id the last five batches are kept (KIP-98): a repeat of any of
them is answered with the offsets it got the first time, a gap is refused. A
producer is forgotten `producer_id_expiration_ms` after its last append, unless
a transaction of it is open. `check` decides and changes nothing; `apply`
changes state and cannot fail, live and at recovery alike.

The first unstable offset is the first offset of the earliest transaction that
is open, or whose marker the high watermark does not cover yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ottla.batch.control import TransactionMarker
from ottla.batch.record_batch import BatchHeader
from ottla.batch.sequence import NO_SEQUENCE, is_successor, subtract_sequence
from ottla.storage.errors import AppendError
from ottla.storage.transaction_index import AbortedTransaction
from ottla.wire.errors import ErrorCode

BATCHES_KEPT: Final = 5
NO_OFFSET: Final = -1


class AppendedBatch(NamedTuple):
    """A batch as a later repeat of it is recognised and answered."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp_ms: int

    @property
    def first_sequence(self) -> int:
        if self.last_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return subtract_sequence(self.last_sequence, self.offset_delta)

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta


class ProducerState:
    """One producer id on one partition."""

    __slots__ = (
        "batches",
        "coordinator_epoch",
        "epoch",
        "last_seen_ms",
        "producer_id",
        "transaction_first_offset",
    )

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self.batches: list[AppendedBatch] = []  # oldest first, at most BATCHES_KEPT
        self.coordinator_epoch = -1
        self.transaction_first_offset = NO_OFFSET
        #: The later of the append's wall clock and its records' timestamps.
        self.last_seen_ms = -1

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE

    @property
    def last_offset(self) -> int:
        """Of its last data batch; -1 when only a marker is known."""
        return self.batches[-1].last_offset if self.batches else NO_OFFSET

    def add(self, batch: AppendedBatch) -> None:
        self.batches.append(batch)
        if len(self.batches) > BATCHES_KEPT:
            del self.batches[0]

    def find(self, first_sequence: int, last_sequence: int) -> AppendedBatch | None:
        for batch in self.batches:
            if batch.last_sequence == last_sequence and batch.first_sequence == first_sequence:
                return batch
        return None


class ProducerStates:
    """All producers of one log."""

    __slots__ = ("_completed", "_open", "_producers")

    def __init__(self) -> None:
        self._producers: dict[int, ProducerState] = {}
        #: Producer id to first offset; the first offsets ascend.
        self._open: dict[int, int] = {}
        #: (first offset, marker's offset) of transactions not yet below the high watermark.
        self._completed: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._producers)

    def __iter__(self) -> Iterator[ProducerState]:
        return iter(self._producers.values())

    def get(self, producer_id: int) -> ProducerState | None:
        return self._producers.get(producer_id)

    def has_open_transaction(self, producer_id: int) -> bool:
        return producer_id in self._open

    # Deciding

    def check(
        self,
        header: BatchHeader,
        marker: TransactionMarker | None,
        *,
        is_client: bool,
        must_start_at_zero: bool = False,
    ) -> AppendedBatch | None:
        """The earlier append that a producer's batch repeats, or None when it may be appended.

        `must_start_at_zero` refuses an unknown producer in mid-sequence, as
        transactions v2 does (KIP-890). Raises `AppendError`.
        """
        if header.is_control:
            if marker is not None:
                self._check_marker(header, marker)
            return None
        state = self._producers.get(header.producer_id)
        if state is None:
            if must_start_at_zero and header.is_transactional and header.base_sequence != 0:
                raise self._out_of_order(header, None)
            return None
        if is_client and header.producer_epoch == state.epoch:
            repeated = state.find(header.base_sequence, header.last_sequence)
            if repeated is not None:
                return repeated
        self._check_epoch(header, state)
        if is_client:
            self._check_sequence(header, state)
        if state.transaction_first_offset != NO_OFFSET and not header.is_transactional:
            raise AppendError(
                ErrorCode.INVALID_TXN_STATE,
                f"Expected transactional write from producer {header.producer_id}: "
                "its transaction is open",
            )
        return None

    def _check_marker(self, header: BatchHeader, marker: TransactionMarker) -> None:
        state = self._producers.get(header.producer_id)
        if state is None:
            return
        self._check_epoch(header, state)
        if marker.coordinator_epoch < state.coordinator_epoch:
            raise AppendError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"Coordinator epoch {marker.coordinator_epoch} is older than "
                f"{state.coordinator_epoch}",
            )

    @staticmethod
    def _check_epoch(header: BatchHeader, state: ProducerState) -> None:
        if header.producer_epoch < state.epoch:
            raise AppendError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch {header.producer_epoch} of producer {header.producer_id} is older than "
                f"the last seen epoch {state.epoch}",
            )

    def _check_sequence(self, header: BatchHeader, state: ProducerState) -> None:
        first = header.base_sequence
        if header.producer_epoch != state.epoch:
            # A new epoch starts anew.
            is_in_order = first == 0
        elif state.batches:
            is_in_order = is_successor(state.last_sequence, first)
        else:
            # Only a marker was seen in this epoch.
            is_in_order = first == 0
        if not is_in_order:
            raise self._out_of_order(header, state)

    @staticmethod
    def _out_of_order(header: BatchHeader, state: ProducerState | None) -> AppendError:
        known = "unknown here" if state is None else f"now at {state.last_sequence}"
        return AppendError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"Out of order sequence number {header.base_sequence} of producer "
            f"{header.producer_id}, epoch {header.producer_epoch} ({known})",
        )

    # Applying

    def apply(
        self,
        header: BatchHeader,
        last_offset: int,
        marker: TransactionMarker | None,
        seen_ms: int,
    ) -> AbortedTransaction | None:
        """A producer's batch was appended and ends at `last_offset`. What a marker in it
        aborted, for the transaction index."""
        if not header.is_control:
            self._apply_data(header, last_offset, seen_ms)
            return None
        return None if marker is None else self._apply_marker(header, last_offset, marker, seen_ms)

    def _apply_data(self, header: BatchHeader, last_offset: int, seen_ms: int) -> None:
        producer_id = header.producer_id
        state = self._state_at(producer_id, header.producer_epoch)
        delta = header.last_offset_delta
        timestamp = header.max_timestamp
        state.add(AppendedBatch(header.last_sequence, last_offset, delta, timestamp))
        state.last_seen_ms = max(state.last_seen_ms, seen_ms, timestamp)
        if header.is_transactional and state.transaction_first_offset == NO_OFFSET:
            state.transaction_first_offset = last_offset - delta
            self._open[producer_id] = last_offset - delta

    def _apply_marker(
        self, header: BatchHeader, offset: int, marker: TransactionMarker, seen_ms: int
    ) -> AbortedTransaction | None:
        """The producer's transaction, if one is open, is complete."""
        producer_id = header.producer_id
        state = self._state_at(producer_id, header.producer_epoch)
        state.coordinator_epoch = max(state.coordinator_epoch, marker.coordinator_epoch)
        state.last_seen_ms = max(state.last_seen_ms, seen_ms, header.max_timestamp)
        first_offset = state.transaction_first_offset
        state.transaction_first_offset = NO_OFFSET
        self._open.pop(producer_id, None)
        if first_offset == NO_OFFSET:
            return None
        self._completed.append((first_offset, offset))
        if marker.is_commit:
            return None
        last_stable_offset = next(iter(self._open.values()), offset + 1)
        return AbortedTransaction(producer_id, first_offset, offset, last_stable_offset)

    def _state_at(self, producer_id: int, epoch: int) -> ProducerState:
        state = self._producers.get(producer_id)
        if state is None:
            state = self._producers[producer_id] = ProducerState(producer_id, epoch)
        elif state.epoch != epoch:
            state.epoch = epoch
            state.batches.clear()
        return state

    # Unstable offsets

    def first_unstable_offset(self, high_watermark: int) -> int | None:
        """The first offset that read_committed must not see yet, judged by what
        `high_watermark` covers; None when there is none. The watermark never falls."""
        if not self._open and not self._completed:
            return None  # most of the time, and asked for each partition of each fetch
        self.forget_covered(high_watermark)
        first = next(iter(self._open.values()), None)
        for transaction_first, _marker in self._completed:
            if first is None or transaction_first < first:
                first = transaction_first
        return first

    def forget_covered(self, high_watermark: int) -> None:
        """Completed transactions whose markers the watermark covers hold nobody up any more."""
        completed = self._completed
        # Markers stand in the order of their offsets.
        if completed and completed[0][1] < high_watermark:
            self._completed = [c for c in completed if c[1] >= high_watermark]

    # Expiry, restart

    def remove_expired(self, wall_ms: int, expiration_ms: int) -> None:
        """Forget producers not heard of for `expiration_ms`, open transactions excepted."""
        expired = [
            state.producer_id
            for state in self._producers.values()
            if state.transaction_first_offset == NO_OFFSET
            and wall_ms - state.last_seen_ms >= expiration_ms
        ]
        for producer_id in expired:
            del self._producers[producer_id]

    def restore(self, states: Iterable[ProducerState]) -> None:
        """Start from a snapshot's producers, in place of any known before."""
        self._producers = {state.producer_id: state for state in states}
        opened = [
            (state.transaction_first_offset, state.producer_id)
            for state in self._producers.values()
            if state.transaction_first_offset != NO_OFFSET
        ]
        self._open = {producer_id: first_offset for first_offset, producer_id in sorted(opened)}
        self._completed = []

    def touch_all(self, wall_ms: int) -> None:
        """Count the time to expiry from now: nobody is forgotten because of a long stop."""
        for state in self._producers.values():
            state.last_seen_ms = max(state.last_seen_ms, wall_ms)
