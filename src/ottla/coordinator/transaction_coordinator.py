"""The transaction coordinator: who may write in which transaction, and its end.

Decide, then replay, as in `group_coordinator`:

    at start   `replay` for every record of `__transaction_state`, then `loaded`,
               whose outcomes ask again for markers that a crash left unwritten.
    requests   call the method; append `outcome.records` as one batch to partition
               `partition_for(transactional_id)`; `replay` each at once; send
               `outcome.replies` after the flush; do what `outcome.markers` says.
    markers    see `Markers`; then `markers_written`, whose outcome answers EndTxn.
    time       when `next_deadline_ms()` is reached, `on_time()`.

EndTxn is answered when the transaction is complete (Apache Kafka answers when it
is prepared): the next transaction then never meets CONCURRENT_TRANSACTIONS, and
who reads after a commit sees it.

Deciding:
    init_producer_id(InitProducerIdRequest, client, waiter, wall_ms, mono_ms) -> Outcome
    add_partitions(transactional_id, producer_id, producer_epoch, partitions,
        transaction_version, wall_ms, mono_ms) -> (ErrorCode, Outcome)
        for AddOffsetsToTxn (the group's partition of `__consumer_offsets`), and
        for produce requests from v12 and TxnOffsetCommit from v5, which add
        implicitly (transaction_version 2)
    add_partitions_to_txn(AddPartitionsToTxnRequest, client, wall_ms, mono_ms)
        -> (response, [(transactional id, Outcome)]): answer when all are durable
    verify_partitions(transactional_id, producer_id, producer_epoch, partitions)
        -> {partition: ErrorCode}: whether a producer may write there now
    end_txn(EndTxnRequest, client, waiter, wall_ms, mono_ms) -> Outcome
    markers_written(transactional_id, wall_ms) -> Outcome
    on_time(wall_ms, mono_ms) -> [(transactional id, Outcome)]
Reading:
    describe(transactional_id) -> describe_transactions.TransactionState
    list_transactions(ListTransactionsRequest, wall_ms) -> ListTransactionsResponse
    is_ongoing(producer_id, producer_epoch, partition): for recovery; a log with
        an open transaction that nobody here knows of needs an abort marker
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ottla.coordinator.linear_regex import LinearRegex, RegexError
from ottla.coordinator.outcome import Client, CoordinatorRecord, Markers, Outcome, Waiter
from ottla.coordinator.placement import partition_for
from ottla.coordinator.records.framing import decode_key, decode_value, key_type
from ottla.coordinator.records.transactions import TransactionLogKey, TransactionLogValue
from ottla.coordinator.timers import TimerKey, Timers
from ottla.coordinator.transaction import (
    COMPLETE,
    EPOCH_BUMP_FROM,
    LAST_CLIENT_EPOCH,
    NO_EPOCH,
    NO_PRODUCER_ID,
    PREPARED,
    TopicPartition,
    Transaction,
    TransactionStatus,
    from_record,
)
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import add_partitions_to_txn as adding
from ottla.wire.messages import describe_transactions, list_transactions
from ottla.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from ottla.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

#: After a write that was refused, when its time is over already.
NEXT_TRY_MS: Final = 1_000
#: Versions from which a fenced producer hears PRODUCER_FENCED; earlier ones
#: know only INVALID_PRODUCER_EPOCH.
INIT_FENCED_FROM: Final = 4
ADD_FENCED_FROM: Final = 2
END_FENCED_FROM: Final = 2
#: AddPartitionsToTxn from this version carries several transactions.
ADD_BATCH_FROM: Final = 4
#: EndTxn from this version raises the epoch (transaction version 2).
END_BUMPS_FROM: Final = 5

EXPIRY_CHECK: Final = TimerKey("expiry", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionConfig:
    """Settings; each is Kafka's key with underscores."""

    transaction_max_timeout_ms: int = 900_000
    transactional_id_expiration_ms: int = 604_800_000
    transaction_remove_expired_transaction_cleanup_interval_ms: int = 3_600_000


class TransactionCoordinator:
    """`next_producer_id()` gives an id that was never given before."""

    def __init__(
        self,
        config: TransactionConfig,
        next_producer_id: Callable[[], int],
        partition_count: int = 1,
    ) -> None:
        self._config = config
        self._next_producer_id = next_producer_id
        self.partition_count = partition_count
        self._timers = Timers()
        self._transactions: dict[str, Transaction] = {}
        #: What a restart may lose: epochs for retries, and who waits for an end.
        self._last_epochs: dict[str, int] = {}
        self._ending: dict[str, list[Waiter]] = {}

    def partition_for(self, transactional_id: str) -> int:
        """The partition of `__transaction_state` that holds the id."""
        return partition_for(transactional_id, self.partition_count)

    # --- replay

    def replay(self, record: CoordinatorRecord) -> None:
        """Apply a record of the log; kinds of later Kafkas are skipped."""
        if key_type(record.key) != TransactionLogKey.KEY_TYPE:
            return
        key = decode_key(TransactionLogKey, record.key)
        if record.value is None:
            self._transactions.pop(key.transactional_id, None)
            self._last_epochs.pop(key.transactional_id, None)
            return
        value = decode_value(TransactionLogValue, record.value)
        last_epoch = self._last_epochs.get(key.transactional_id, NO_EPOCH)
        self._transactions[key.transactional_id] = from_record(key, value, last_epoch)

    def loaded(self, wall_ms: int, mono_ms: int) -> list[tuple[str, Outcome]]:
        """Every record has been replayed: time-outs run on, and prepared ends go on."""
        outcomes = []
        for transaction in self._transactions.values():
            if transaction.status is TransactionStatus.ONGOING:
                elapsed_ms = max(0, wall_ms - transaction.start_ms)
                remaining_ms = max(0, transaction.timeout_ms - elapsed_ms)
                self._expect_end(transaction.transactional_id, mono_ms + remaining_ms)
            elif transaction.status in PREPARED:
                out = Outcome(markers=markers_of(transaction))
                outcomes.append((transaction.transactional_id, out))
        self._schedule_expiry_check(mono_ms)
        return outcomes

    def _write(self, transaction: Transaction, out: Outcome) -> None:
        self._last_epochs[transaction.transactional_id] = transaction.last_producer_epoch
        out.write(*transaction.record())

    # --- InitProducerId

    def init_producer_id(
        self,
        request: InitProducerIdRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Introduce a producer: its id, and an epoch that fences earlier ones."""
        out = Outcome()
        if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_EPOCH):
            response = InitProducerIdResponse(
                error_code=ErrorCode.INVALID_REQUEST, producer_id=-1, producer_epoch=NO_EPOCH
            )
        elif request.transactional_id is None:
            response = InitProducerIdResponse(
                producer_id=self._next_producer_id(), producer_epoch=0
            )
        else:
            error, begun = self._init(request.transactional_id, request, wall_ms, out)
            if error is ErrorCode.PRODUCER_FENCED and client.api_version < INIT_FENCED_FROM:
                error = ErrorCode.INVALID_PRODUCER_EPOCH
            response = InitProducerIdResponse(error_code=error, producer_id=NO_PRODUCER_ID)
            response.producer_epoch = NO_EPOCH
            if begun is not None:
                response.producer_id = begun.producer_id
                response.producer_epoch = begun.producer_epoch
        out.reply(waiter, response)
        return out

    def _init(
        self, transactional_id: str, request: InitProducerIdRequest, wall_ms: int, out: Outcome
    ) -> tuple[ErrorCode, Transaction | None]:
        if not transactional_id:
            return ErrorCode.INVALID_REQUEST, None
        if not 0 < request.transaction_timeout_ms <= self._config.transaction_max_timeout_ms:
            return ErrorCode.INVALID_TRANSACTION_TIMEOUT, None
        known = self._transactions.get(transactional_id)
        if known is None:
            known = Transaction(
                transactional_id=transactional_id,
                producer_id=self._next_producer_id(),
                timeout_ms=request.transaction_timeout_ms,
            )
        expected = None
        if request.producer_id != NO_PRODUCER_ID:
            expected = request.producer_epoch
            same = request.producer_id == known.producer_id
            rotated = (
                request.producer_id == known.previous_producer_id and expected >= LAST_CLIENT_EPOCH
            )
            if known.producer_epoch != NO_EPOCH and not same and not rotated:
                return ErrorCode.PRODUCER_FENCED, None
        if known.status in PREPARED:
            return ErrorCode.CONCURRENT_TRANSACTIONS, None
        if known.status is TransactionStatus.ONGOING:
            self._fence(known, wall_ms, out)
            return ErrorCode.CONCURRENT_TRANSACTIONS, None
        begun = self._next_epoch(known, expected, request.transaction_timeout_ms, wall_ms)
        if begun is None:
            return ErrorCode.PRODUCER_FENCED, None
        self._write(begun, out)
        return ErrorCode.NONE, begun

    def _next_epoch(
        self, known: Transaction, expected: int | None, timeout_ms: int, wall_ms: int
    ) -> Transaction | None:
        """With the epoch raised, or a new id; None if the producer is fenced.

        `expected` is the epoch the producer believes in (KIP-360). The one before
        the last is a retry of a request whose reply was lost.
        """
        epoch = known.producer_epoch
        if known.is_epoch_exhausted and expected in (None, epoch):
            last_epoch = NO_EPOCH if expected is None else epoch
            return known.initialized(self._next_producer_id(), 0, last_epoch, timeout_ms, wall_ms)
        if expected is None:
            next_epoch, last_epoch = epoch + 1, NO_EPOCH
        elif expected == epoch or epoch == NO_EPOCH:
            next_epoch, last_epoch = epoch + 1, epoch
        elif expected == known.last_producer_epoch:
            next_epoch, last_epoch = epoch, known.last_producer_epoch
        else:
            return None
        return known.initialized(known.producer_id, next_epoch, last_epoch, timeout_ms, wall_ms)

    def _fence(self, known: Transaction, wall_ms: int, out: Outcome) -> None:
        """Abort an ongoing transaction against its producer's will."""
        self._timers.cancel(timer_of(known.transactional_id))
        fenced = known.fenced(wall_ms)
        self._write(fenced, out)
        out.markers = markers_of(fenced)

    # --- partitions

    def add_partitions(
        self,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        partitions: Iterable[TopicPartition],
        transaction_version: int,
        wall_ms: int,
        mono_ms: int,
    ) -> tuple[ErrorCode, Outcome]:
        """Let partitions take part; the first ones begin the transaction."""
        out = Outcome()
        known = self._transactions.get(transactional_id)
        error = check_producer(transactional_id, known, producer_id, producer_epoch)
        if error is not ErrorCode.NONE or known is None:
            return error, out
        added = frozenset(partitions)
        is_ongoing = known.status is TransactionStatus.ONGOING
        if is_ongoing and added <= known.partitions:
            return ErrorCode.NONE, out
        if not is_ongoing:
            self._expect_end(transactional_id, mono_ms + known.timeout_ms)
        self._write(known.with_partitions(added, transaction_version, wall_ms), out)
        return ErrorCode.NONE, out

    def verify_partitions(
        self,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        partitions: Iterable[TopicPartition],
    ) -> dict[TopicPartition, ErrorCode]:
        """Whether each partition takes part (KIP-890); changes nothing."""
        known = self._transactions.get(transactional_id)
        error = check_producer(transactional_id, known, producer_id, producer_epoch)
        if error is not ErrorCode.NONE or known is None:
            return dict.fromkeys(partitions, error)
        return {
            partition: (
                ErrorCode.NONE if partition in known.partitions else ErrorCode.TRANSACTION_ABORTABLE
            )
            for partition in partitions
        }

    def add_partitions_to_txn(
        self,
        request: adding.AddPartitionsToTxnRequest,
        client: Client,
        wall_ms: int,
        mono_ms: int,
    ) -> tuple[adding.AddPartitionsToTxnResponse, list[tuple[str, Outcome]]]:
        """Add (or, from v4, only verify) partitions; all of a transaction or none."""
        if client.api_version >= ADD_BATCH_FROM:
            asked = request.transactions
        else:
            asked = [
                adding.AddPartitionsToTxnTransaction(
                    transactional_id=request.v3_and_below_transactional_id,
                    producer_id=request.v3_and_below_producer_id,
                    producer_epoch=request.v3_and_below_producer_epoch,
                    topics=request.v3_and_below_topics,
                )
            ]
        response = adding.AddPartitionsToTxnResponse()
        outcomes = []
        for transaction in asked:
            partitions = [(t.name, p) for t in transaction.topics for p in t.partitions]
            who = (
                transaction.transactional_id,
                transaction.producer_id,
                transaction.producer_epoch,
            )
            if transaction.verify_only:
                errors = self.verify_partitions(*who, partitions)
            else:
                version = 2 if client.api_version > ADD_BATCH_FROM else 0
                error, out = self.add_partitions(*who, partitions, version, wall_ms, mono_ms)
                if error is ErrorCode.PRODUCER_FENCED and client.api_version < ADD_FENCED_FROM:
                    error = ErrorCode.INVALID_PRODUCER_EPOCH
                errors = dict.fromkeys(partitions, error)
                outcomes.append((transaction.transactional_id, out))
            topics = [topic_result(topic, errors) for topic in transaction.topics]
            if client.api_version >= ADD_BATCH_FROM:
                response.results_by_transaction.append(
                    adding.AddPartitionsToTxnResult(transaction.transactional_id, topics)
                )
            else:
                response.results_by_topic_v3_and_below = topics
        return response, outcomes

    # --- EndTxn

    def end_txn(
        self,
        request: EndTxnRequest,
        client: Client,
        waiter: Waiter,
        wall_ms: int,
        mono_ms: int,
    ) -> Outcome:
        """Decide to commit or abort; the reply comes with `markers_written`."""
        out = Outcome()
        known = self._transactions.get(request.transactional_id)
        version = EPOCH_BUMP_FROM if client.api_version >= END_BUMPS_FROM else 0
        if not request.transactional_id:
            error = ErrorCode.INVALID_REQUEST
        elif known is None:
            error = ErrorCode.INVALID_PRODUCER_ID_MAPPING
        else:
            prepares, error = check_end(known, request, version)
            if prepares:
                self._prepare(known, request.committed, version, wall_ms, out)
                self._ending.setdefault(request.transactional_id, []).append(waiter)
                return out
        if error is ErrorCode.PRODUCER_FENCED and client.api_version < END_FENCED_FROM:
            error = ErrorCode.INVALID_PRODUCER_EPOCH
        response = EndTxnResponse(error_code=error)
        if error is ErrorCode.NONE and known is not None:
            response.producer_id = known.producer_id
            response.producer_epoch = known.producer_epoch
        out.reply(waiter, response)
        return out

    def _prepare(
        self, known: Transaction, committed: bool, version: int, wall_ms: int, out: Outcome
    ) -> None:
        next_id = NO_PRODUCER_ID
        if version >= EPOCH_BUMP_FROM and known.is_epoch_exhausted:
            next_id = self._next_producer_id()
        prepared = known.prepared(committed, wall_ms, version, next_id)
        self._timers.cancel(timer_of(known.transactional_id))
        self._write(prepared, out)
        out.markers = markers_of(prepared)

    def markers_written(self, transactional_id: str, wall_ms: int) -> Outcome:
        """Every partition has its marker, durably: the transaction is complete."""
        out = Outcome()
        known = self._transactions.get(transactional_id)
        assert known is not None
        complete = known.completed(wall_ms)
        self._write(complete, out)
        for waiter in self._ending.pop(transactional_id, ()):
            out.reply(
                waiter,
                EndTxnResponse(
                    producer_id=complete.producer_id, producer_epoch=complete.producer_epoch
                ),
            )
        return out

    def not_written(self, transactional_id: str, wall_ms: int, mono_ms: int) -> Outcome:
        """What was decided last is not in the log (a full disk, perhaps): nobody may go on
        waiting for the end that was asked for, or he would be told of the next one, which may
        be another. An open transaction still ends when its time is over."""
        out = Outcome()
        known = self._transactions.get(transactional_id)
        if known is None or known.status not in PREPARED:
            self.give_up_ending(transactional_id, out)
        if known is not None and known.status is TransactionStatus.ONGOING:
            remaining_ms = known.timeout_ms - max(0, wall_ms - known.start_ms)
            self._expect_end(transactional_id, mono_ms + max(NEXT_TRY_MS, remaining_ms))
        return out

    def give_up_ending(self, transactional_id: str, out: Outcome) -> None:
        """Whoever waits for the end of this transaction is sent to ask again."""
        for waiter in self._ending.pop(transactional_id, ()):
            out.reply(waiter, EndTxnResponse(error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE))

    # --- reading

    def is_ongoing(self, producer_id: int, producer_epoch: int, partition: TopicPartition) -> bool:
        """Whether some transaction of this producer may be open in the partition."""
        return any(
            partition in t.partitions
            and producer_id == t.producer_id
            and producer_epoch <= t.producer_epoch
            for t in self._transactions.values()
        )

    def describe(self, transactional_id: str) -> describe_transactions.TransactionState:
        known = self._transactions.get(transactional_id)
        if known is None:
            error = (
                ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
                if transactional_id
                else ErrorCode.INVALID_REQUEST
            )
            return describe_transactions.TransactionState(
                error_code=error, transactional_id=transactional_id
            )
        topics: dict[str, list[int]] = {}
        for topic, partition in sorted(known.partitions):
            topics.setdefault(topic, []).append(partition)
        return describe_transactions.TransactionState(
            transactional_id=transactional_id,
            transaction_state=known.status.label,
            transaction_timeout_ms=known.timeout_ms,
            transaction_start_time_ms=known.start_ms,
            producer_id=known.producer_id,
            producer_epoch=known.producer_epoch,
            topics=[describe_transactions.TopicData(t, ids) for t, ids in topics.items()],
        )

    def list_transactions(
        self, request: list_transactions.ListTransactionsRequest, wall_ms: int
    ) -> list_transactions.ListTransactionsResponse:
        """All transactional ids, or those that match every filter given."""
        known_states = {status.label for status in TransactionStatus}
        response = list_transactions.ListTransactionsResponse(
            unknown_state_filters=[s for s in request.state_filters if s not in known_states]
        )
        pattern = None
        if request.transactional_id_pattern:
            try:
                pattern = LinearRegex(request.transactional_id_pattern)
            except RegexError:
                response.error_code = ErrorCode.INVALID_REGULAR_EXPRESSION
                return response
        for known in self._transactions.values():
            if request.state_filters and known.status.label not in request.state_filters:
                continue
            if request.producer_id_filters and (
                known.producer_id not in request.producer_id_filters
            ):
                continue
            if request.duration_filter >= 0 and (
                wall_ms - known.start_ms <= request.duration_filter
            ):
                continue
            if pattern is not None and not pattern.matches(known.transactional_id):
                continue
            response.transaction_states.append(
                list_transactions.TransactionState(
                    known.transactional_id, known.producer_id, known.status.label
                )
            )
        return response

    # --- time

    def next_deadline_ms(self) -> int | None:
        """When `on_time` is next needed, on the monotonic clock."""
        return self._timers.next_deadline_ms()

    def _expect_end(self, transactional_id: str, deadline_ms: int) -> None:
        self._timers.schedule(timer_of(transactional_id), deadline_ms)

    def _schedule_expiry_check(self, mono_ms: int) -> None:
        interval_ms = self._config.transaction_remove_expired_transaction_cleanup_interval_ms
        self._timers.schedule(EXPIRY_CHECK, mono_ms + interval_ms)

    def on_time(self, wall_ms: int, mono_ms: int) -> list[tuple[str, Outcome]]:
        """Abort what takes too long; forget ids that nobody uses."""
        outcomes: dict[str, Outcome] = {}
        for key in self._timers.pop_due(mono_ms):
            if key == EXPIRY_CHECK:
                self._schedule_expiry_check(mono_ms)
                self._expire_ids(wall_ms, outcomes)
                continue
            known = self._transactions.get(key.group_id)
            if known is not None and known.status is TransactionStatus.ONGOING:
                out = outcomes[key.group_id] = Outcome()
                self._fence(known, wall_ms, out)
        return list(outcomes.items())

    def _expire_ids(self, wall_ms: int, outcomes: dict[str, Outcome]) -> None:
        oldest_ms = wall_ms - self._config.transactional_id_expiration_ms
        for known in self._transactions.values():
            is_idle = known.status is TransactionStatus.EMPTY or known.status in COMPLETE
            if is_idle and known.last_update_ms <= oldest_ms:
                out = outcomes[known.transactional_id] = Outcome()
                out.erase(TransactionLogKey(known.transactional_id))

    # --- for tests and tools

    def durable_state(self) -> dict[str, object]:
        """What the log alone determines."""
        return dict(self._transactions)


def timer_of(transactional_id: str) -> TimerKey:
    return TimerKey("transaction", transactional_id)


def markers_of(prepared: Transaction) -> Markers:
    return Markers(
        prepared.transactional_id,
        prepared.producer_id,
        prepared.producer_epoch,
        prepared.status is TransactionStatus.PREPARE_COMMIT,
        tuple(sorted(prepared.partitions)),
    )


def topic_result(
    topic: adding.AddPartitionsToTxnTopic, errors: dict[TopicPartition, ErrorCode]
) -> adding.AddPartitionsToTxnTopicResult:
    return adding.AddPartitionsToTxnTopicResult(
        topic.name,
        [
            adding.AddPartitionsToTxnPartitionResult(partition, errors[topic.name, partition])
            for partition in topic.partitions
        ],
    )


def check_producer(
    transactional_id: str, known: Transaction | None, producer_id: int, producer_epoch: int
) -> ErrorCode:
    """Whether a producer may add to its transaction now."""
    if not transactional_id:
        return ErrorCode.INVALID_REQUEST
    if known is None or known.producer_id != producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if known.producer_epoch != producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if known.status in PREPARED:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    return ErrorCode.NONE


def check_end(known: Transaction, request: EndTxnRequest, version: int) -> tuple[bool, ErrorCode]:
    """Whether an EndTxn is to be prepared; if not, what to answer."""
    if version >= EPOCH_BUMP_FROM:
        return _check_end_v2(known, request)
    if known.producer_id != request.producer_id:
        return False, ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if known.producer_epoch != request.producer_epoch:
        return False, ErrorCode.PRODUCER_FENCED
    if known.status is TransactionStatus.ONGOING:
        return True, ErrorCode.NONE
    return False, answer_to_retry(known, request.committed)


def _check_end_v2(known: Transaction, request: EndTxnRequest) -> tuple[bool, ErrorCode]:
    """With KIP-890 the epoch tells a retry, which has the one before, from a new request."""
    epoch = request.producer_epoch
    is_after_bump = known.raises_epoch_at_end and known.producer_epoch == epoch + 1
    is_after_overflow = (
        known.raises_epoch_at_end
        and known.previous_producer_id == request.producer_id
        and epoch == LAST_CLIENT_EPOCH
        and known.producer_epoch == 0
    )
    if known.producer_id != request.producer_id and not is_after_overflow:
        return False, ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if known.status in PREPARED:
        if not is_after_bump:
            return False, ErrorCode.PRODUCER_FENCED
        return False, answer_to_retry(known, request.committed)
    is_retry = known.status in COMPLETE and (is_after_bump or is_after_overflow)
    if is_retry:
        return False, answer_to_retry(known, request.committed)
    if known.producer_epoch != epoch:
        return False, ErrorCode.PRODUCER_FENCED
    if known.status is TransactionStatus.ONGOING or not request.committed:
        # An abort with nothing to abort still raises the epoch, so that what the
        # producer sent without an answer can never become part of a transaction.
        return True, ErrorCode.NONE
    return False, ErrorCode.INVALID_TXN_STATE


def answer_to_retry(known: Transaction, committed: bool) -> ErrorCode:
    """An end that was decided already: the same way is fine, the other is not."""
    status = known.status
    decided = (TransactionStatus.PREPARE_COMMIT, TransactionStatus.COMPLETE_COMMIT)
    if not committed:
        decided = (TransactionStatus.PREPARE_ABORT, TransactionStatus.COMPLETE_ABORT)
    if status not in decided:
        return ErrorCode.INVALID_TXN_STATE
    return ErrorCode.CONCURRENT_TRANSACTIONS if status in PREPARED else ErrorCode.NONE
