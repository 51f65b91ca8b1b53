"""A fetch: what it reads, when it is answered, and where it waits meanwhile.

A fetch is answered at once when `min_bytes` can be read, though fewer may fit
into the answer, when it reads below the segment that holds the end (waiting
would add nothing to a read, which never goes from one segment into the next),
when a partition has an error, when it names no partitions or when it does not
want to wait. Otherwise
it watches its partitions and is looked at again when enough bytes became
visible, when a partition failed, or at its deadline, which answers with
whatever there is.

Responses are bounded by the request, by `fetch.max.bytes` and by the budget of
unsent bytes; the first batch found is returned whole even if it is larger than
what the request allows (KIP-74). A fetch for which the budget has no room
waits until other responses have left.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.batch.errors import CorruptBatchError
from ottla.broker.authorizer import Operation, Resource
from ottla.broker.legacy_formats import FETCHES_BATCHES_FROM, as_message_set
from ottla.broker.quotas import CONSUMER_BYTE_RATE
from ottla.storage.errors import StorageError
from ottla.storage.log_reader import ColdRead, ReadInfo
from ottla.wire.errors import ErrorCode
from ottla.wire.message import ZERO_UUID
from ottla.wire.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)

if TYPE_CHECKING:
    from ottla.broker.delayed import Timer
    from ottla.broker.fetch_sessions import FetchContext, SessionPartition
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext

#: Never more bytes of records in one response, whatever was asked and configured.
MAX_RESPONSE_BYTES: Final = 2**31 - 2**20


class _State(enum.Enum):
    NEW = 1
    WATCHING = 2
    WAITING_FOR_BUDGET = 3
    READING_COLD = 4
    OVER = 5


class _Round:
    """One attempt: what was read of each partition, and whether that is an answer."""

    __slots__ = (
        "available",
        "cold",
        "is_final",
        "is_short_of_budget",
        "left",
        "partitions",
        "read",
        "size",
        "topic_asked",
        "watched",
    )

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        #: The topic of the partition looked at last, which is the next one's most of the time.
        self.topic_asked: tuple[bytes, str] | None = None
        self.partitions: Sequence[Partition] | ErrorCode = ()
        self.read: list[tuple[SessionPartition, PartitionData]] = []
        #: As long as `read`, and in its order, unless the round is final.
        self.watched: list[Partition] = []
        self.cold: list[tuple[Partition, PartitionData, int, ColdRead]] = []
        self.size = 0
        #: What counts for `min_bytes`: a batch that did not fit counts for the room it left.
        self.available = 0
        #: An error, or something else that must not wait.
        self.is_final = False
        self.is_short_of_budget = False


class PendingFetch:
    """One fetch request, from its first look until its answer."""

    __slots__ = (
        "_changed",
        "_context",
        "_deadline_ms",
        "_isolation",
        "_last_round",
        "_max_bytes",
        "_min_bytes",
        "_missing",
        "_state",
        "_timer",
        "request",
    )

    def __init__(
        self, request: RequestContext, message: FetchRequest, context: FetchContext
    ) -> None:
        broker = request.broker
        self.request = request
        self._context = context
        self._isolation = message.isolation_level
        self._min_bytes = message.min_bytes
        self._max_bytes = min(
            message.max_bytes, broker.config.number("fetch.max.bytes"), MAX_RESPONSE_BYTES
        )
        self._deadline_ms = request.mono_ms + max(0, message.max_wait_ms)
        self._missing = 0
        self._state = _State.NEW
        self._timer: Timer | None = None
        #: What was found when the fetch was parked, and which of it is out of date.
        self._last_round: _Round | None = None
        self._changed: set[Partition] = set()

    # --- the four ways to be looked at ----------------------------------------

    def start(self) -> FetchResponse | None:
        """Answer at once, or None: the answer follows through the request."""
        return self._look(is_last=self._deadline_ms <= self.request.mono_ms)

    def bytes_became_visible(self, partition: Partition, size: int) -> None:
        self._changed.add(partition)
        self._missing -= size
        if self._missing <= 0:
            self.request.broker.wake(self)

    def partition_failed(self) -> None:
        if self._last_round is not None:
            self._changed.update(self._last_round.watched)
        self.request.broker.wake(self)

    def look_again(self) -> None:
        """Something changed: answer, or go on waiting."""
        if self._state in (_State.WATCHING, _State.WAITING_FOR_BUDGET):
            self._complete(self._look(is_last=self.request.broker.mono_ms >= self._deadline_ms))

    def _deadline(self, wall_ms: int, mono_ms: int) -> None:
        if self._state in (_State.WATCHING, _State.WAITING_FOR_BUDGET):
            self._complete(self._look(is_last=True))

    # --- looking ---------------------------------------------------------------

    def _look(self, is_last: bool) -> FetchResponse | None:
        last, changed = self._stop_waiting()
        broker = self.request.broker
        if self.request.is_gone:
            self._over()
            return None
        connection = self.request.connection
        allowance = broker.budget.response_allowance(connection.held_bytes)
        if not allowance and not is_last:
            self._wait_for_budget()
            return None
        max_bytes = min(self._max_bytes, allowance)
        round_ = self._read(max_bytes) if last is None else self._renew(last, changed, max_bytes)
        if round_.cold:
            self._read_cold(round_)
            return None
        if (
            is_last
            or round_.is_final
            or round_.available >= self._min_bytes
            or not self._context.partitions
        ):
            return self._respond(round_)
        if round_.is_short_of_budget:
            self._wait_for_budget()
        else:
            self._watch(round_)
        return None

    def _read(self, max_bytes: int) -> _Round:
        round_ = _Round(max_bytes)
        is_tight = self._is_tight(max_bytes)
        for wanted in self._context.partitions:
            self._read_partition(round_, wanted, is_tight)
        return round_

    def _renew(self, last: _Round, changed: set[Partition], max_bytes: int) -> _Round:
        """As `_read`, but what had nothing when the fetch was parked, and has not changed since,
        is not looked at again: of a thousand partitions a wake-up concerns a few."""
        round_ = _Round(max_bytes)
        is_tight = self._is_tight(max_bytes)
        for pair, partition in zip(last.read, last.watched, strict=True):
            wanted, data = pair
            if partition in changed or wanted.fetch_offset < data.high_watermark:
                self._read_partition(round_, wanted, is_tight)
            else:
                data.log_start_offset = partition.log.log_start_offset
                round_.read.append(pair)
                round_.watched.append(partition)
        return round_

    def _is_tight(self, max_bytes: int) -> bool:
        """A batch larger than what is left has to wait, even if it is the first."""
        return max_bytes == 0 or self.request.broker.budget.is_exhausted()

    def _read_partition(self, round_: _Round, wanted: SessionPartition, is_tight: bool) -> None:
        data = PartitionData(wanted.partition)
        round_.read.append((wanted, data))
        partition = self._find(round_, wanted, data)
        if partition is None:
            round_.is_final = True
            return
        round_.watched.append(partition)
        is_first = not round_.size
        size = min(wanted.max_bytes, round_.left)
        try:
            end_offset = self._check(partition, wanted, data, round_)
            if wanted.fetch_offset >= end_offset or data.error_code:
                return
            if size <= 0 and not is_first:
                return
            found = partition.log.read(
                wanted.fetch_offset,
                max(size, 0),
                end_offset,
                minimum_one=is_first and not is_tight,
            )
        except StorageError as error:
            self.request.broker.tell(error.message)
            _refuse(data, error.code)
            round_.is_final = True
            return
        if self.request.version < FETCHES_BATCHES_FROM:
            taken = self._fill_converted(partition, data, wanted.fetch_offset, end_offset, found)
        elif isinstance(found, ColdRead):
            round_.cold.append((partition, data, wanted.fetch_offset, found))
            taken = max(size, 1)
        else:
            self._fill(partition, data, wanted.fetch_offset, found)
            taken = found.size
            round_.is_short_of_budget |= is_first and is_tight and not taken
        round_.size += taken
        round_.available += taken
        if isinstance(found, ReadInfo) and found.size and found.upper_offset < end_offset:
            round_.available += max(0, size - taken)
            round_.is_final |= found.segment < partition.log.active_base_offset <= end_offset
        round_.left -= taken

    def _find(
        self, round_: _Round, wanted: SessionPartition, data: PartitionData
    ) -> Partition | None:
        asked = (wanted.topic_id, wanted.topic)
        if asked != round_.topic_asked:
            round_.topic_asked = asked
            round_.partitions = self._partitions_of(wanted)
        partitions = round_.partitions
        if isinstance(partitions, ErrorCode):
            error = partitions
        elif not 0 <= wanted.partition < len(partitions):
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            partition = partitions[wanted.partition]
            error = partition.offline_error
            if not error:
                return partition
        _refuse(data, error)
        data.aborted_transactions = []
        return None

    def _partitions_of(self, wanted: SessionPartition) -> Sequence[Partition] | ErrorCode:
        """What the client may read of the topic, or why nothing."""
        broker = self.request.broker
        metadata = broker.metadata
        if wanted.topic_id != ZERO_UUID:
            topic = metadata.topics_by_id.get(wanted.topic_id)
            missing = ErrorCode.UNKNOWN_TOPIC_ID
        else:
            topic = metadata.topics.get(wanted.topic)
            missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if topic is None:
            return missing
        if broker.authorizer.is_allowed(
            self.request.connection, Operation.READ, Resource.TOPIC, topic.name
        ):
            return topic.partitions
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED

    def _check(
        self,
        partition: Partition,
        wanted: SessionPartition,
        data: PartitionData,
        round_: _Round,
    ) -> int:
        """Fill in the offsets; returns the exclusive end of what may be read."""
        log = partition.log
        error = partition.check_leader_epoch(wanted.current_leader_epoch)
        if error:
            _refuse(data, error)
            round_.is_final = True
            return 0
        data.high_watermark = partition.high_watermark
        data.last_stable_offset = partition.last_stable_offset
        data.log_start_offset = log.log_start_offset
        if self._isolation:
            data.aborted_transactions = []
        if not log.log_start_offset <= wanted.fetch_offset <= log.log_end_offset:
            _refuse(data, ErrorCode.OFFSET_OUT_OF_RANGE)
            round_.is_final = True
            return 0
        if wanted.last_fetched_epoch >= 0:
            epoch, end_offset = partition.end_offset_for_epoch(wanted.last_fetched_epoch)
            if epoch < wanted.last_fetched_epoch or end_offset < wanted.fetch_offset:
                data.diverging_epoch = EpochEndOffset(epoch, end_offset)
                round_.is_final = True
                return 0
        return data.last_stable_offset if self._isolation else data.high_watermark

    def _fill(
        self, partition: Partition, data: PartitionData, offset: int, found: ReadInfo
    ) -> None:
        if not found.size:
            return
        buffers = found.buffers
        data.records = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        if self._isolation:
            data.aborted_transactions = [
                AbortedTransaction(aborted.producer_id, aborted.first_offset)
                for aborted in partition.log.aborted_transactions(offset, found.upper_offset)
            ]

    def _fill_converted(
        self,
        partition: Partition,
        data: PartitionData,
        offset: int,
        end_offset: int,
        found: ReadInfo | ColdRead,
    ) -> int:
        """As `_fill`, for clients that do not know record batches; waits for the disk."""
        try:
            if isinstance(found, ColdRead):
                found = found.run()
            data.records = as_message_set(
                partition, found, offset, end_offset, self.request.version
            )
        except (StorageError, CorruptBatchError) as error:
            _refuse(data, error.code)
        except OSError:
            _refuse(data, ErrorCode.KAFKA_STORAGE_ERROR)
        return len(data.records or b"")

    def _read_cold(self, round_: _Round) -> None:
        """Have a worker read what the page cache does not hold, then answer."""
        self._state = _State.READING_COLD
        reads = [read for _, _, _, read in round_.cold]

        def job() -> list[ReadInfo | StorageError]:
            found: list[ReadInfo | StorageError] = []
            for read in reads:
                try:
                    found.append(read.run())
                except StorageError as error:
                    found.append(error)
            return found

        def done(found: list[ReadInfo | StorageError] | OSError) -> None:
            if self.request.is_gone:
                self._over()
                return
            for i, (partition, data, offset, _) in enumerate(round_.cold):
                one = found if isinstance(found, OSError) else found[i]
                if isinstance(one, OSError):
                    _refuse(data, ErrorCode.KAFKA_STORAGE_ERROR)
                elif isinstance(one, StorageError):
                    self.request.broker.tell(one.message)
                    _refuse(data, one.code)
                elif not partition.offline_error:
                    self._fill(partition, data, offset, one)
            self._complete(self._respond(round_))

        self.request.broker.effects.run_job(job, done)

    # --- answering ---------------------------------------------------------------

    def _respond(self, round_: _Round) -> FetchResponse:
        self._over()
        context = self._context
        response = FetchResponse(session_id=context.session_id)
        request = self.request
        response.throttle_time_ms = request.broker.quotas.use(
            CONSUMER_BYTE_RATE, request.connection, request.client_id, round_.size
        )
        bytes_out = 0
        topics: dict[tuple[bytes, str], FetchableTopicResponse] = {}
        topic = None
        for wanted, data in round_.read:
            if data.records:
                bytes_out += len(data.records)
            if context.session is not None:
                if context.is_incremental and not wanted.is_news(data):
                    continue
                wanted.told(data)
                if data.records:
                    context.session.served(wanted.key)
            if topic is None or topic.topic_id != wanted.topic_id or topic.topic != wanted.topic:
                key = (wanted.topic_id, wanted.topic)
                topic = topics.get(key)
                if topic is None:
                    topic = topics[key] = FetchableTopicResponse(topic_id=key[0], topic=key[1])
                    response.responses.append(topic)
            topic.partitions.append(data)
        request.broker.metrics.bytes_out += bytes_out
        return response

    def _complete(self, response: FetchResponse | None) -> None:
        if response is not None:
            self.request.complete(response)

    # --- waiting -----------------------------------------------------------------

    def _watch(self, round_: _Round) -> None:
        self._state = _State.WATCHING
        # A small marker can make many bytes readable: with isolation, every change counts.
        self._missing = 1 if self._isolation else max(1, self._min_bytes - round_.available)
        self._last_round = round_
        for partition in round_.watched:
            partition.watchers[self] = None
        self._arm()

    def _wait_for_budget(self) -> None:
        self._state = _State.WAITING_FOR_BUDGET
        self.request.broker.fetches_waiting_for_budget[self] = None
        self._arm()

    def _arm(self) -> None:
        broker = self.request.broker
        self.request.connection.parked_fetches[self] = None
        if self._timer is None and self._deadline_ms > broker.mono_ms:
            broker.metrics.fetches_parked += 1
            self._timer = broker.deadlines.at(self._deadline_ms, self._deadline)

    def _stop_waiting(self) -> tuple[_Round | None, set[Partition]]:
        """What was known when it was parked to watch, and what changed since."""
        self.request.connection.parked_fetches.pop(self, None)
        last, changed = self._last_round, self._changed
        if last is not None:
            for partition in last.watched:
                partition.watchers.pop(self, None)
            self._last_round, self._changed = None, set()
        elif self._state is _State.WAITING_FOR_BUDGET:
            self.request.broker.fetches_waiting_for_budget.pop(self, None)
        return last, changed

    def _over(self) -> None:
        self._state = _State.OVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abandon(self) -> None:
        """The client has left."""
        self._stop_waiting()
        self._over()


def _refuse(data: PartitionData, code: ErrorCode) -> None:
    data.error_code = code
    data.high_watermark = -1
    data.last_stable_offset = -1
    data.log_start_offset = -1
