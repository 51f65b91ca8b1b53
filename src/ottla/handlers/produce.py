"""Produce (API key 0), versions 0 to 13; advertised from 0 (KAFKA-18659).

v3 transactional id and record batches v2; v4 KAFKA_STORAGE_ERROR; v5 log start
offset; v7 zstd (KIP-110); v8 errors per record (KIP-467); v10 current leader
(KIP-951); v11, v12 transactions without AddPartitionsToTxn (KIP-890); v13
topic ids (KIP-516).

Under fsync durability both acks=1 and acks=all are answered after the flush
that covers the records. acks=0 has no response; an error closes its connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.batch.errors import CorruptBatchError
from ottla.batch.record_batch import read_header
from ottla.broker.authorizer import Operation, Resource
from ottla.broker.legacy_formats import PRODUCES_BATCHES_FROM, as_batch, is_message_set
from ottla.broker.pending_produce import PendingProduce, refuse
from ottla.broker.quotas import PRODUCER_BYTE_RATE
from ottla.broker.request import Parked
from ottla.handlers import lone_produce
from ottla.handlers.authorization import require_transactional_write
from ottla.handlers.lone_produce import ADDS_FROM, TOPIC_IDS_FROM, ZSTD_FROM
from ottla.storage.errors import AppendError
from ottla.storage.validator import Origin
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Buffer
from ottla.wire.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext
    from ottla.broker.topics import Topic

#: Where a batch's header holds the low byte of its attributes, and what is in it.
_ATTRIBUTES_POSITION: Final = 22
_COMPRESSION_MASK: Final = 7
_ZSTD: Final = 4
_TRANSACTIONAL_FLAG: Final = 16
_HEADER_SIZE: Final = 61
_LENGTH_END: Final = 12

#: Refusals with which Kafka does not tell where the log starts.
TELLS_NO_START: Final = frozenset(
    {
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
    }
)
#: The version that can be told TRANSACTION_ABORTABLE.
ABORTABLE_FROM: Final = 11

#: What nearly every request is needs none of what follows.
shortcut: Final = lone_produce.take


def handle(
    broker: Broker, request: RequestContext, message: ProduceRequest
) -> ProduceResponse | Parked:
    """Append to each partition; answer when everything appended is acknowledged."""
    acks = message.acks
    if acks not in (-1, 0, 1):
        raise RequestError(ErrorCode.INVALID_REQUIRED_ACKS)
    if message.transactional_id is not None:
        require_transactional_write(request, message.transactional_id)
    response = ProduceResponse()
    pending = PendingProduce(request, response)
    metadata = broker.metadata
    for data in message.topic_data:
        if request.version >= TOPIC_IDS_FROM:
            topic = metadata.topics_by_id.get(data.topic_id)
            missing = ErrorCode.UNKNOWN_TOPIC_ID
        else:
            topic = metadata.topics.get(data.name)
            missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if topic is not None and not broker.authorizer.is_allowed(
            request.connection, Operation.WRITE, Resource.TOPIC, topic.name
        ):
            topic, missing = None, ErrorCode.TOPIC_AUTHORIZATION_FAILED
        results = []
        for one in data.partition_data:
            result = PartitionProduceResponse(one.index, log_append_time_ms=-1)
            results.append(result)
            if topic is None:
                refuse(result, missing)
            elif not 0 <= one.index < len(topic.partitions):
                refuse(result, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            else:
                _append(broker, request, message, pending, topic, one, result)
        response.responses.append(TopicProduceResponse(data.topic_id, data.name, results))
    if broker.quotas.is_active:
        size = sum(len(p.records or b"") for t in message.topic_data for p in t.partition_data)
        response.throttle_time_ms = broker.quotas.use(
            PRODUCER_BYTE_RATE, request.connection, request.client_id, size
        )
    if acks == 0:
        return _finish_unacknowledged(request, response)
    if not pending.is_parked(message.timeout_ms):
        return response
    # The records are in the log: while the flush runs, their frame's memory serves the next one.
    request.let_go_of_message()
    return Parked.LATER


def _append(
    broker: Broker,
    request: RequestContext,
    message: ProduceRequest,
    pending: PendingProduce,
    topic: Topic,
    one: PartitionProduceData,
    result: PartitionProduceResponse,
) -> None:
    partition = topic.partitions[one.index]
    prepared = _prepare(broker, request, topic, partition, one, result)
    if prepared is None:
        return
    data, origin = prepared
    if _attributes(data) & _TRANSACTIONAL_FLAG:
        error = _take_part(broker, request, message, partition, data, pending, result)
        if error:
            refuse(result, error, error.name)
            return
    try:
        info = broker.append(
            partition, data, origin, must_start_at_zero=request.version >= ADDS_FROM
        )
    except AppendError as error:
        broker.metrics.produces_refused += 1
        refuse(result, error.code, error.message)
        result.record_errors = [
            BatchIndexAndErrorMessage(r.batch_index, r.message) for r in error.record_errors
        ]
        if error.code not in TELLS_NO_START:
            result.log_start_offset = partition.log_start_offset
        return
    broker.metrics.bytes_in += len(data)
    broker.metrics.batches_in += 1
    broker.metrics.records_in += info.last_offset + 1 - info.first_offset
    result.base_offset = info.first_offset
    result.log_append_time_ms = info.log_append_time_ms
    result.log_start_offset = info.log_start_offset
    if message.acks:
        pending.wait_for(partition, info.last_offset + 1, result)


def _prepare(
    broker: Broker,
    request: RequestContext,
    topic: Topic,
    partition: Partition,
    one: PartitionProduceData,
    result: PartitionProduceResponse,
) -> tuple[memoryview, Origin] | None:
    """What may be appended, converted if need be; None when `result` says why not."""
    if partition.offline_error:
        refuse(result, partition.offline_error)
        return None
    data, origin = one.records, Origin.CLIENT
    if request.version < PRODUCES_BATCHES_FROM and data and is_message_set(memoryview(data)):
        origin = Origin.CONVERTED
        try:
            data = as_batch(memoryview(data))
        except CorruptBatchError as corrupt:
            broker.metrics.produces_refused += 1
            refuse(result, corrupt.code, corrupt.message)
            return None
    if data is None or _count_batches(data) != 1:
        refuse(result, ErrorCode.INVALID_RECORD, "A produce request must have one record batch.")
        return None
    assert isinstance(data, memoryview)
    if _attributes(data) & _COMPRESSION_MASK == _ZSTD and request.version < ZSTD_FROM:
        refuse(result, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
        return None
    if topic.is_internal and request.client_id != ADMIN_CLIENT_ID:
        refuse(
            result,
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"Cannot append to internal topic {topic.name}",
        )
        return None
    return data, origin


def _attributes(data: memoryview) -> int:
    return data[_ATTRIBUTES_POSITION] if len(data) >= _HEADER_SIZE else 0


def _count_batches(data: Buffer) -> int:
    """How many whole batches there are, counted up to two; nothing is checked."""
    count = position = 0
    while count < 2 and position + _HEADER_SIZE <= len(data):
        size = _LENGTH_END + int.from_bytes(data[position + 8 : position + _LENGTH_END], "big")
        if position + size > len(data):
            break
        position += size
        count += 1
    return count


def _take_part(
    broker: Broker,
    request: RequestContext,
    message: ProduceRequest,
    partition: Partition,
    data: memoryview,
    pending: PendingProduce,
    result: PartitionProduceResponse,
) -> ErrorCode:
    """Whether the partition takes part in the producer's transaction, now if not before."""
    transactional_id = message.transactional_id
    if transactional_id is None:
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    try:
        header = read_header(data)
    except CorruptBatchError as corrupt:
        return corrupt.code
    producer_id, epoch = header.producer_id, header.producer_epoch
    producers = partition.log.producers
    state = producers.get(producer_id)
    if state is not None and state.epoch == epoch and producers.has_open_transaction(producer_id):
        return ErrorCode.NONE
    where = (partition.topic_name, partition.index)
    who = (transactional_id, producer_id, epoch)
    coordinators = broker.coordinators
    if request.version >= ADDS_FROM:
        error, outcome = coordinators.transactions.add_partitions(
            *who, [where], 2, request.wall_ms, request.mono_ms
        )
        if not error:
            error = coordinators.apply_transaction_outcome(transactional_id, outcome)
            record = coordinators.transaction_partition(transactional_id)
            pending.wait_for(record, record.log.log_end_offset, result)
    else:
        error = coordinators.transactions.verify_partitions(*who, [where])[where]
        if error is ErrorCode.TRANSACTION_ABORTABLE and request.version < ABORTABLE_FROM:
            error = ErrorCode.INVALID_TXN_STATE
        elif error is ErrorCode.CONCURRENT_TRANSACTIONS:
            # Retriable in the eyes of producers that do not know the other.
            error = ErrorCode.NOT_ENOUGH_REPLICAS
    return ErrorCode.INVALID_PRODUCER_EPOCH if error is ErrorCode.PRODUCER_FENCED else error


def _finish_unacknowledged(request: RequestContext, response: ProduceResponse) -> Parked:
    """Nobody is told of success; of failure the client hears by its connection closing."""
    for topic in response.responses:
        for result in topic.partition_responses:
            if result.error_code:
                name = ErrorCode(result.error_code).name
                request.close(f"produce with acks=0 failed: {name}")
                return Parked.LATER
    return Parked.NOTHING


#: Apache Kafka lets a client of this id write to internal topics.
ADMIN_CLIENT_ID: Final = "__admin_client"
