"""ListOffsets (API key 2), versions 0 to 11.

v1 one offset by timestamp; v2 isolation level; v4 current leader epoch
(KIP-320); v7 max timestamp (KIP-734); v8 earliest local (KIP-405); v9 latest
tiered (KIP-1005); v10 timeout; v11 earliest pending upload (KIP-1023).

Without tiered storage the earliest local offset is the earliest, and nothing
is tiered or waits for upload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.request import Parked
from ottla.storage.errors import StorageError
from ottla.storage.timestamp_search import FoundRecord, TimestampSearch
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6

#: The version that first knows each special timestamp.
_KNOWN_FROM: Final = {
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}


def handle(
    broker: Broker, request: RequestContext, message: ListOffsetsRequest
) -> ListOffsetsResponse | Parked:
    """For each partition the offset that belongs to the timestamp asked for."""
    response = ListOffsetsResponse()
    searches: list[_Search] = []
    seen: set[tuple[str, int]] = set()
    named_twice: set[tuple[str, int]] = set()
    for topic in message.topics:
        for wanted in topic.partitions:
            key = (topic.name, wanted.partition_index)
            (named_twice if key in seen else seen).add(key)
    for topic in message.topics:
        is_allowed = broker.authorizer.is_allowed(
            request.connection, Operation.DESCRIBE, Resource.TOPIC, topic.name
        )
        results = []
        answered: set[int] = set()
        for wanted in topic.partitions:
            if wanted.partition_index in answered:
                continue
            answered.add(wanted.partition_index)
            result = ListOffsetsPartitionResponse(
                wanted.partition_index, timestamp=-1, offset=-1, leader_epoch=-1
            )
            results.append(result)
            partition = broker.find_partition(topic.name, wanted.partition_index)
            if not is_allowed:
                result.error_code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            elif (topic.name, wanted.partition_index) in named_twice:
                result.error_code = ErrorCode.INVALID_REQUEST
            elif partition is None:
                result.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                try:
                    result.error_code = _look_up(
                        partition,
                        wanted,
                        result,
                        message.isolation_level,
                        request.version,
                        searches,
                    )
                except StorageError as storage_error:
                    result.error_code = storage_error.code
        response.topics.append(ListOffsetsTopicResponse(topic.name, results))
    if not searches:
        return response
    _run_searches(broker, request, response, searches)
    return Parked.LATER


class _Search(NamedTuple):
    """A partition to be searched by timestamp, and where the answer goes."""

    search: TimestampSearch
    end_offset: int
    result: ListOffsetsPartitionResponse

    def run(self) -> FoundRecord | StorageError | OSError | None:
        """In a worker: it waits for the disk."""
        try:
            return self.search.run()
        except (StorageError, OSError) as error:
            return error

    def take(self, found: FoundRecord | StorageError | OSError | None) -> None:
        result = self.result
        if isinstance(found, StorageError):
            result.error_code = found.code
        elif isinstance(found, OSError):
            result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        elif found is not None and found.offset < self.end_offset:
            result.offset = found.offset
            result.timestamp = found.timestamp_ms
            result.leader_epoch = found.leader_epoch


def _run_searches(
    broker: Broker,
    request: RequestContext,
    response: ListOffsetsResponse,
    searches: list[_Search],
) -> None:
    def job() -> list[FoundRecord | StorageError | OSError | None]:
        return [one.run() for one in searches]

    def done(found: list[FoundRecord | StorageError | OSError | None] | OSError) -> None:
        assert not isinstance(found, OSError), "each search keeps its own error"
        for one, answer in zip(searches, found, strict=True):
            one.take(answer)
        request.complete(response)

    broker.effects.run_job(job, done)


def _look_up(
    partition: Partition,
    wanted: ListOffsetsPartition,
    result: ListOffsetsPartitionResponse,
    isolation_level: int,
    version: int,
    searches: list[_Search],
) -> ErrorCode:
    """Fill in the result, or add a search that will."""
    if partition.offline_error:
        return partition.offline_error
    error = partition.check_leader_epoch(wanted.current_leader_epoch)
    if error:
        return error
    timestamp = wanted.timestamp
    if timestamp < 0 and version < _KNOWN_FROM.get(timestamp, 0 if timestamp >= EARLIEST else 99):
        return ErrorCode.UNSUPPORTED_VERSION
    log = partition.log
    end_offset = partition.visible_end_offset(isolation_level)
    if version == 0:
        result.old_style_offsets = _segment_offsets(partition, wanted)
        return ErrorCode.NONE
    if timestamp == LATEST:
        result.offset = end_offset
        result.leader_epoch = partition.leader_epoch
    elif timestamp in (EARLIEST, EARLIEST_LOCAL):
        result.offset = log.log_start_offset
        epoch = log.leader_epoch_at(log.log_start_offset)
        result.leader_epoch = partition.leader_epoch if epoch < 0 else epoch
    elif timestamp not in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        search = (
            log.search_max_timestamp()
            if timestamp == MAX_TIMESTAMP
            else log.search_timestamp(timestamp)
        )
        searches.append(_Search(search, end_offset, result))
    return ErrorCode.NONE


def _segment_offsets(partition: Partition, wanted: ListOffsetsPartition) -> list[int]:
    """Where segments begin, and the end, newest first: what version 0 knows instead of
    record offsets. With a timestamp, only segments that were complete by then."""
    log = partition.log
    if wanted.timestamp == EARLIEST:
        return [log.log_start_offset]
    segments = log.segments
    offsets = [max(segment.base_offset, log.log_start_offset) for segment in segments]
    offsets.append(partition.high_watermark)
    if wanted.timestamp >= 0:
        found = log.offset_for_timestamp(wanted.timestamp)
        if found is not None:
            offsets = [offset for offset in offsets if offset <= found.offset]
    return sorted(set(offsets), reverse=True)[: max(0, wanted.max_num_offsets)]
