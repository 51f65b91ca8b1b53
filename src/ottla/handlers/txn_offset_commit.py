"""TxnOffsetCommit (API key 28), versions 0 to 5.

v2 leader epoch; v3 member, generation and instance (KIP-447); v4
TRANSACTION_ABORTABLE; v5 takes the group's partition into the transaction
without AddOffsetsToTxn (KIP-890).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import MergedReply
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import may_touch_topic, require_group, require_transactional_write
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Message
from ottla.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: The version from which the partition takes part without being added first.
ADDS_FROM = 5
#: The version from which TRANSACTION_ABORTABLE can be told.
ABORTABLE_FROM = 4


def handle(broker: Broker, request: RequestContext, message: TxnOffsetCommitRequest) -> Parked:
    """The offsets are committed if, and when, the transaction is."""
    require_transactional_write(request, message.transactional_id)
    require_group(request, Operation.READ, message.group_id)
    refused = _take_out_unknown(broker, request, message)
    if not message.topics:
        request.complete(TxnOffsetCommitResponse(topics=refused))
        return Parked.LATER
    _take_part(broker, request, message)

    def merge(response: Message) -> Message:
        assert isinstance(response, TxnOffsetCommitResponse)
        response.topics += refused
        return response

    coordinators = broker.coordinators
    outcome = coordinators.groups.txn_offset_commit(
        message,
        client_of(request),
        MergedReply(request, merge) if refused else request,
        request.wall_ms,
        request.mono_ms,
    )
    coordinators.apply_group_outcome(
        message.group_id,
        outcome,
        also=[coordinators.transaction_partition(message.transactional_id)],
    )
    return Parked.LATER


def _take_part(broker: Broker, request: RequestContext, message: TxnOffsetCommitRequest) -> None:
    """The group's partition takes part, or the request is refused."""
    coordinators = broker.coordinators
    partition = coordinators.group_partition(message.group_id)
    where = (partition.topic_name, partition.index)
    who = (message.transactional_id, message.producer_id, message.producer_epoch)
    if request.version >= ADDS_FROM:
        error, outcome = coordinators.transactions.add_partitions(
            *who, [where], 2, request.wall_ms, request.mono_ms
        )
        if not error:
            error = coordinators.apply_transaction_outcome(message.transactional_id, outcome)
    else:
        error = coordinators.transactions.verify_partitions(*who, [where])[where]
        if error is ErrorCode.TRANSACTION_ABORTABLE and request.version < ABORTABLE_FROM:
            error = ErrorCode.INVALID_TXN_STATE
    if error is ErrorCode.PRODUCER_FENCED:
        error = ErrorCode.INVALID_PRODUCER_EPOCH
    if error:
        raise RequestError(error)


def _take_out_unknown(
    broker: Broker, request: RequestContext, message: TxnOffsetCommitRequest
) -> list[TxnOffsetCommitResponseTopic]:
    """Leaves in the request what exists; returns the answer for what does not."""
    accepted: list[TxnOffsetCommitRequestTopic] = []
    refused: list[TxnOffsetCommitResponseTopic] = []
    for topic in message.topics:
        known = broker.metadata.topics.get(topic.name)
        count = 0 if known is None else known.partition_count
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if not may_touch_topic(request, Operation.READ, topic.name):
            count, error = 0, ErrorCode.TOPIC_AUTHORIZATION_FAILED
        good = [p for p in topic.partitions if 0 <= p.partition_index < count]
        bad = [p.partition_index for p in topic.partitions if not 0 <= p.partition_index < count]
        if good:
            accepted.append(TxnOffsetCommitRequestTopic(topic.name, good))
        if bad:
            rows = [TxnOffsetCommitResponsePartition(i, error) for i in bad]
            refused.append(TxnOffsetCommitResponseTopic(topic.name, rows))
    message.topics = accepted
    return refused
