"""A share fetch: acquires records for a member, or waits until there are some (KIP-932).

It is answered at once when it has acquired anything, when a partition has an
error, when acknowledgements came with it or when it does not want to wait.
Otherwise it watches its partitions for new records and for records that
others give back. What is acquired is locked when it is read; the answer waits
until acknowledgements, and where the group began, are durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.batch.record_batch import BatchHeader, headers
from ottla.broker.coordinator_log import when_all_visible
from ottla.broker.share_groups import WHY_NOT_ACKNOWLEDGED
from ottla.coordinator.share_coordinator import ShareKey
from ottla.coordinator.share_partition import Acquired
from ottla.storage.errors import StorageError
from ottla.storage.log_reader import ColdRead
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Buffer
from ottla.wire.messages.share_fetch import (
    AcquiredRecords,
    PartitionData,
    ShareFetchableTopicResponse,
    ShareFetchRequest,
    ShareFetchResponse,
)

if TYPE_CHECKING:
    from ottla.broker.delayed import Timer
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext
    from ottla.coordinator.share_sessions import ShareSession, Slot

#: ShareAcquireMode: never more records than asked for (KIP-1206).
RECORD_LIMIT: Final = 1

#: Never read more for one share fetch, whatever it asks for.
MAX_READ_BYTES: Final = 50 * 1024 * 1024

#: Reads of one partition that may find nothing before others get their turn.
MAX_READS: Final = 64


class PendingShareFetch:
    """One share fetch request, after its acknowledgements were taken."""

    def __init__(
        self,
        request: RequestContext,
        message: ShareFetchRequest,
        session: ShareSession,
        acknowledged: dict[Slot, ErrorCode],
        is_first: bool,
    ) -> None:
        self._request = request
        self._message = message
        self._session = session
        self._acknowledged = acknowledged
        #: The first response of a session names every partition.
        self._is_first = is_first
        self._deadline_ms = request.mono_ms + max(0, message.max_wait_ms)
        self._timer: Timer | None = None
        self._watched: list[Partition] = []
        self._watched_keys: list[ShareKey] = []
        self._is_over = False
        self._cold: list[ColdRead] = []
        self._has_warmed = False
        self._is_read_committed = request.broker.share_groups.is_read_committed(session.group_id)

    def start(self) -> None:
        self._look(is_last=self._deadline_ms <= self._request.mono_ms)

    # --- being woken -------------------------------------------------------------

    def bytes_became_visible(self, partition: Partition, size: int) -> None:
        self._request.broker.wake(self)

    def partition_failed(self) -> None:
        self._request.broker.wake(self)

    def look_again(self) -> None:
        if not self._is_over:
            self._look(is_last=self._request.broker.mono_ms >= self._deadline_ms)

    def _deadline(self, wall_ms: int, mono_ms: int) -> None:
        if not self._is_over:
            self._look(is_last=True)

    def abandon(self) -> None:
        """The client has left."""
        self._is_over = True
        self._stop_watching()

    # --- looking -------------------------------------------------------------------

    def _look(self, is_last: bool) -> None:
        self._stop_watching()
        self._cold = []
        if self._request.is_gone:
            self._is_over = True
            return
        # A request that renews locks asks for no records (KIP-1222).
        left_records = 0 if self._message.is_renew_ack else max(1, self._message.max_records)
        allowance = self._request.broker.budget.response_allowance(
            self._request.connection.held_bytes
        )
        left_bytes = min(max(self._message.max_bytes, 1), MAX_READ_BYTES, allowance)
        is_final = is_last or bool(self._acknowledged) or not self._session.partitions
        found: dict[Slot, PartitionData] = {}
        for slot in list(self._session.partitions):
            data = PartitionData(slot[1])
            partition = self._find(slot, data)
            if partition is not None and left_records > 0 and left_bytes > 0:
                taken = self._acquire(slot, partition, data, left_records, left_bytes)
                left_records -= taken
                left_bytes -= len(data.records or b"")
                if taken:
                    self._session.served(slot)
            if data.error_code or data.acquired_records:
                is_final = True
            found[slot] = data
        if self._cold and not any(data.acquired_records for data in found.values()):
            self._warm_up()
        elif is_final:
            self._answer(found)
        else:
            self._watch()

    def _warm_up(self) -> None:
        """Have a worker read what the page cache does not hold, then look again.

        Others may acquire the records meanwhile, so what is read is not kept.
        """
        reads, self._cold = self._cold, []
        self._has_warmed = True

        def job() -> None:
            for read in reads:
                try:
                    read.run()
                except StorageError:
                    return  # The next look meets it again, and answers with it.

        def done(result: OSError | None) -> None:
            broker = self._request.broker
            if not self._is_over:
                self._look(is_last=broker.mono_ms >= self._deadline_ms)

        self._request.broker.effects.run_job(job, done)

    def _find(self, slot: Slot, data: PartitionData) -> Partition | None:
        topic = self._request.broker.metadata.topics_by_id.get(slot[0])
        if topic is None:
            data.error_code = ErrorCode.UNKNOWN_TOPIC_ID
        elif not 0 <= slot[1] < len(topic.partitions):
            data.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        elif topic.partitions[slot[1]].offline_error:
            data.error_code = topic.partitions[slot[1]].offline_error
        else:
            return topic.partitions[slot[1]]
        return None

    def _acquire(
        self,
        slot: Slot,
        partition: Partition,
        data: PartitionData,
        max_records: int,
        max_bytes: int,
    ) -> int:
        """Lock records of one partition for the member; returns how many."""
        share_groups = self._request.broker.share_groups
        key = ShareKey(self._session.group_id, *slot)
        try:
            error = share_groups.prepare(key, partition)
            if error:
                data.error_code = error
                return 0
            end_offset = partition.visible_end_offset(int(self._is_read_committed))
            offset = share_groups.coordinator.next_fetch_offset(key)
            for _ in range(MAX_READS):
                if offset is None or offset >= end_offset:
                    return 0
                read = partition.log.read(offset, max_bytes, end_offset)
                if isinstance(read, ColdRead):
                    if not self._has_warmed:
                        self._cold.append(read)
                        return 0
                    read = read.run()
                if not read.size:
                    return 0
                taken = self._lock(key, partition, data, offset, read.buffers, max_records)
                read_offset = offset
                offset = share_groups.coordinator.next_fetch_offset(key)
                if taken or offset is None or offset <= read_offset:
                    return taken
                # Nothing but markers and aborted records up to here: look behind them.
        except StorageError as storage_error:
            data.error_code = storage_error.code
        except OSError:
            data.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        return 0

    def _lock(
        self,
        key: ShareKey,
        partition: Partition,
        data: PartitionData,
        offset: int,
        buffers: list[Buffer],
        max_records: int,
    ) -> int:
        """Lock what is available of what was read; returns how many records."""
        share_groups = self._request.broker.share_groups
        buffer = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        found = list(headers(buffer))
        batches = [
            (position, header)
            for position, header in found
            if not header.is_control and not self._is_aborted(partition, header)
        ]
        acquired = share_groups.coordinator.acquire(
            key,
            self._session.member_id,
            offset,
            found[-1][1].next_offset,
            [(header.base_offset, header.last_offset) for _, header in batches],
            max_records,
            self._request.broker.mono_ms,
            is_strict=self._message.share_acquire_mode == RECORD_LIMIT,
        )
        if not acquired:
            return 0
        data.records = _cut_out(memoryview(buffer), batches, acquired)
        data.acquired_records = [AcquiredRecords(*a) for a in acquired]
        return sum(a.last_offset - a.first_offset + 1 for a in acquired)

    def _is_aborted(self, partition: Partition, header: BatchHeader) -> bool:
        if not self._is_read_committed or not header.is_transactional:
            return False
        return any(
            aborted.producer_id == header.producer_id
            and aborted.first_offset <= header.base_offset <= aborted.last_offset
            for aborted in partition.log.aborted_transactions(
                header.base_offset, header.next_offset
            )
        )

    # --- answering -------------------------------------------------------------------

    def _answer(self, found: dict[Slot, PartitionData]) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        share_groups = self._request.broker.share_groups
        settings = share_groups.settings_of(self._session.group_id)
        response = ShareFetchResponse(
            acquisition_lock_timeout_ms=settings.share_record_lock_duration_ms
        )
        topics: dict[bytes, ShareFetchableTopicResponse] = {}
        for slot in dict.fromkeys([*self._acknowledged, *found]):
            data = found.pop(slot, None)
            if data is None:
                data = PartitionData(slot[1])
            code = self._acknowledged.get(slot)
            if code is not None:
                data.acknowledge_error_code = code
                data.acknowledge_error_message = WHY_NOT_ACKNOWLEDGED.get(code)
            elif not (self._is_first or data.error_code or data.acquired_records):
                continue
            if slot[0] not in topics:
                topics[slot[0]] = ShareFetchableTopicResponse(slot[0])
                response.responses.append(topics[slot[0]])
            topics[slot[0]].partitions.append(data)
            self._request.broker.metrics.bytes_out += len(data.records or b"")
        # What was acquired belongs to the group from its first offset on: that must be durable.
        told = dict.fromkeys(self._acknowledged)
        told.update(
            ((answer.topic_id, data.partition_index), None)
            for answer in response.responses
            for data in answer.partitions
            if data.acquired_records
        )
        partitions = [
            share_groups.state_partition(ShareKey(self._session.group_id, *slot)) for slot in told
        ]
        when_all_visible(partitions, lambda _: self._request.complete(response))

    # --- waiting -----------------------------------------------------------------------

    def _watch(self) -> None:
        broker = self._request.broker
        broker.metrics.fetches_parked += 1
        for slot in self._session.partitions:
            topic = broker.metadata.topics_by_id.get(slot[0])
            if topic is None or slot[1] >= len(topic.partitions):
                continue
            partition = topic.partitions[slot[1]]
            partition.watchers[self] = None
            self._watched.append(partition)
            key = ShareKey(self._session.group_id, *slot)
            broker.share_groups.watch(key, self)
            self._watched_keys.append(key)
        self._request.connection.parked_fetches[self] = None
        if self._timer is None:
            self._timer = broker.deadlines.at(self._deadline_ms, self._deadline)

    def _stop_watching(self) -> None:
        self._request.connection.parked_fetches.pop(self, None)
        for partition in self._watched:
            partition.watchers.pop(self, None)
        for key in self._watched_keys:
            self._request.broker.share_groups.unwatch(key, self)
        self._watched, self._watched_keys = [], []


def _cut_out(
    buffer: memoryview, batches: list[tuple[int, BatchHeader]], acquired: list[Acquired]
) -> bytes | memoryview:
    """The batches that hold what was acquired, from the first to the last of them."""
    first, last = acquired[0].first_offset, acquired[-1].last_offset
    wanted = [(p, h) for p, h in batches if h.last_offset >= first and h.base_offset <= last]
    parts = [buffer[p : p + h.size_in_bytes] for p, h in wanted]
    return parts[0] if len(parts) == 1 else b"".join(parts)
