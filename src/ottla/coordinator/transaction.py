"""What is known of one transactional id, and its transitions.

`Transaction` is a value: a transition makes another one, which the coordinator
writes to `__transaction_state` and keeps once it is replayed.

    Empty -> Ongoing -> PrepareCommit -> CompleteCommit -> Ongoing ...
                     -> PrepareAbort  -> CompleteAbort  ->

Sources: KIP-98; KIP-360 (`last_producer_epoch`); KIP-890 (transaction version
2: the epoch rises with every end, so that nothing sent for one transaction can
land in the next).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from ottla.coordinator.records.transactions import (
    TransactionLogKey,
    TransactionLogValue,
    TransactionPartitions,
)
from ottla.wire.errors import ProtocolError

NO_PRODUCER_ID: Final = -1
NO_EPOCH: Final = -1
#: The highest epoch a client is given; the one above it is kept for fencing.
LAST_CLIENT_EPOCH: Final = 32_766
#: Transaction version from which every end raises the epoch (KIP-890).
EPOCH_BUMP_FROM: Final = 2

TopicPartition: TypeAlias = tuple[str, int]


class TransactionStatus(enum.IntEnum):
    """The states, with the numbers they have in `__transaction_state`."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def label(self) -> str:
        """The name as Kafka's tools print it, such as CompleteCommit."""
        return self.name.title().replace("_", "")


_STATUSES: Final = frozenset(TransactionStatus)
PREPARED: Final = frozenset({TransactionStatus.PREPARE_COMMIT, TransactionStatus.PREPARE_ABORT})
COMPLETE: Final = frozenset({TransactionStatus.COMPLETE_COMMIT, TransactionStatus.COMPLETE_ABORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    transactional_id: str
    producer_id: int
    producer_epoch: int = NO_EPOCH
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    timeout_ms: int
    status: TransactionStatus = TransactionStatus.EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    last_update_ms: int = -1
    start_ms: int = -1
    client_version: int = 0
    #: Known only since the start of the process: lets a lost reply be asked again.
    last_producer_epoch: int = field(default=NO_EPOCH, compare=False)

    @property
    def is_epoch_exhausted(self) -> bool:
        return self.producer_epoch >= LAST_CLIENT_EPOCH

    @property
    def raises_epoch_at_end(self) -> bool:
        return self.client_version >= EPOCH_BUMP_FROM

    def with_partitions(
        self, partitions: frozenset[TopicPartition], client_version: int, wall_ms: int
    ) -> Transaction:
        """Ongoing, with these partitions taking part."""
        is_ongoing = self.status is TransactionStatus.ONGOING
        return replace(
            self,
            status=TransactionStatus.ONGOING,
            partitions=self.partitions | partitions,
            start_ms=self.start_ms if is_ongoing else wall_ms,
            last_update_ms=wall_ms,
            client_version=client_version,
        )

    def prepared(
        self, committed: bool, wall_ms: int, client_version: int, next_producer_id: int
    ) -> Transaction:
        """The decision to commit or abort; from here on it cannot change."""
        bumps = client_version >= EPOCH_BUMP_FROM
        prepared = replace(
            self,
            status=(
                TransactionStatus.PREPARE_COMMIT if committed else TransactionStatus.PREPARE_ABORT
            ),
            last_update_ms=wall_ms,
            start_ms=self.start_ms if self.status is TransactionStatus.ONGOING else wall_ms,
            client_version=client_version,
        )
        if not bumps:
            return prepared
        return replace(
            prepared,
            producer_epoch=self.producer_epoch + 1,
            last_producer_epoch=self.producer_epoch,
            next_producer_id=next_producer_id,
        )

    def fenced(self, wall_ms: int) -> Transaction:
        """Aborted against its producer's will, whose epoch is no longer good.

        Without a client version, so that the producer's own EndTxn cannot pass for
        a retry of this end and be told the new epoch.
        """
        assert self.status is TransactionStatus.ONGOING
        return replace(
            self,
            status=TransactionStatus.PREPARE_ABORT,
            producer_epoch=self.producer_epoch + 1,
            last_producer_epoch=NO_EPOCH,
            last_update_ms=wall_ms,
            client_version=0,
        )

    def completed(self, wall_ms: int) -> Transaction:
        """Every partition has its marker."""
        assert self.status in PREPARED
        complete = replace(
            self,
            status=(
                TransactionStatus.COMPLETE_COMMIT
                if self.status is TransactionStatus.PREPARE_COMMIT
                else TransactionStatus.COMPLETE_ABORT
            ),
            partitions=frozenset(),
            last_update_ms=wall_ms,
        )
        if self.next_producer_id == NO_PRODUCER_ID:
            return complete
        return replace(
            complete,
            producer_id=self.next_producer_id,
            producer_epoch=0,
            last_producer_epoch=self.producer_epoch,
            previous_producer_id=self.producer_id,
            next_producer_id=NO_PRODUCER_ID,
        )

    def initialized(
        self, producer_id: int, epoch: int, last_epoch: int, timeout_ms: int, wall_ms: int
    ) -> Transaction:
        """Empty, for the producer that has just introduced itself."""
        rotated = producer_id != self.producer_id
        return replace(
            self,
            producer_id=producer_id,
            previous_producer_id=self.producer_id if rotated else self.previous_producer_id,
            producer_epoch=epoch,
            last_producer_epoch=last_epoch,
            timeout_ms=timeout_ms,
            status=TransactionStatus.EMPTY,
            partitions=frozenset(),
            start_ms=-1,
            last_update_ms=wall_ms,
        )

    def record(self) -> tuple[TransactionLogKey, TransactionLogValue]:
        """The transaction as `__transaction_state` holds it."""
        topics: dict[str, list[int]] = {}
        for topic, partition in sorted(self.partitions):
            topics.setdefault(topic, []).append(partition)
        value = TransactionLogValue(
            producer_id=self.producer_id,
            previous_producer_id=self.previous_producer_id,
            next_producer_id=self.next_producer_id,
            producer_epoch=self.producer_epoch,
            transaction_timeout_ms=self.timeout_ms,
            transaction_status=self.status,
            # Kafka writes null for a transaction that has no partitions to speak of.
            transaction_partitions=(
                None
                if self.status is TransactionStatus.EMPTY
                else [TransactionPartitions(t, ids) for t, ids in topics.items()]
            ),
            transaction_last_update_timestamp_ms=self.last_update_ms,
            transaction_start_timestamp_ms=self.start_ms,
            client_transaction_version=self.client_version,
        )
        return TransactionLogKey(self.transactional_id), value


def from_record(key: TransactionLogKey, value: TransactionLogValue, last_epoch: int) -> Transaction:
    """The transaction that a record tells of. Raises `ProtocolError` for an unknown state."""
    if value.transaction_status not in _STATUSES:
        raise ProtocolError(f"there is no transaction state {value.transaction_status}")
    return Transaction(
        transactional_id=key.transactional_id,
        producer_id=value.producer_id,
        producer_epoch=value.producer_epoch,
        previous_producer_id=value.previous_producer_id,
        next_producer_id=value.next_producer_id,
        timeout_ms=value.transaction_timeout_ms,
        status=TransactionStatus(value.transaction_status),
        partitions=frozenset(
            (schema.topic, partition)
            for schema in value.transaction_partitions or []
            for partition in schema.partition_ids
        ),
        last_update_ms=value.transaction_last_update_timestamp_ms,
        start_ms=value.transaction_start_timestamp_ms,
        client_version=value.client_transaction_version,
        last_producer_epoch=last_epoch,
    )
