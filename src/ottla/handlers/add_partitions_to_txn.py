"""AddPartitionsToTxn (API key 24), versions 0 to 5.

v1 throttle behaviour; v2 PRODUCER_FENCED; v4 several transactions, and
verification only (KIP-890); v5 TRANSACTION_ABORTABLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed, may_touch_topic
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: The version from which a request carries several transactions.
SEVERAL_FROM = 4


def handle(broker: Broker, request: RequestContext, message: AddPartitionsToTxnRequest) -> Parked:
    """The partitions take part in the transaction; all of it or none."""
    refused = AddPartitionsToTxnResponse()
    if request.version < SEVERAL_FROM:
        refusals = _check(
            broker,
            request,
            message.v3_and_below_transactional_id,
            message.v3_and_below_topics,
        )
        if refusals is not None:
            refused.results_by_topic_v3_and_below = refusals
            request.complete(refused)
            return Parked.LATER
    accepted = []
    for transaction in message.transactions:
        refusals = _check(broker, request, transaction.transactional_id, transaction.topics)
        if refusals is None:
            accepted.append(transaction)
        else:
            refused.results_by_transaction.append(
                AddPartitionsToTxnResult(transaction.transactional_id, refusals)
            )
    message.transactions = accepted
    coordinators = broker.coordinators
    response, outcomes = coordinators.transactions.add_partitions_to_txn(
        message, client_of(request), request.wall_ms, request.mono_ms
    )
    response.results_by_transaction += refused.results_by_transaction
    for transactional_id, outcome in outcomes:
        error = coordinators.apply_transaction_outcome(transactional_id, outcome)
        if error:
            request.complete(refuse_all(message, request.version, error))
            return Parked.LATER
    coordinators.reply_with_transactions([t for t, _ in outcomes], request, response)
    return Parked.LATER


def refuse_all(
    message: AddPartitionsToTxnRequest, version: int, code: ErrorCode
) -> AddPartitionsToTxnResponse:
    """No partition takes part. Before v4 only the partitions' own results can say so."""
    if version >= SEVERAL_FROM:
        return AddPartitionsToTxnResponse(error_code=code)
    return AddPartitionsToTxnResponse(
        results_by_topic_v3_and_below=_results_of_all(message.v3_and_below_topics, code)
    )


def _results_of_all(
    topics: list[AddPartitionsToTxnTopic], code: ErrorCode
) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            topic.name, [AddPartitionsToTxnPartitionResult(p, code) for p in topic.partitions]
        )
        for topic in topics
    ]


def _check(
    broker: Broker,
    request: RequestContext,
    transactional_id: str,
    topics: list[AddPartitionsToTxnTopic],
) -> list[AddPartitionsToTxnTopicResult] | None:
    """Results that refuse the whole transaction, or None when it may go on.

    One bad partition fails the others with OPERATION_NOT_ATTEMPTED.
    """
    if not is_allowed(request, Operation.WRITE, Resource.TRANSACTIONAL_ID, transactional_id):
        return _results_of_all(topics, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    results = []
    is_refused = False
    for topic in topics:
        known = broker.metadata.topics.get(topic.name)
        may_write = may_touch_topic(request, Operation.WRITE, topic.name)
        rows = []
        for index in topic.partitions:
            code = ErrorCode.OPERATION_NOT_ATTEMPTED
            if not may_write:
                code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            elif known is None or not 0 <= index < known.partition_count:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            is_refused |= code is not ErrorCode.OPERATION_NOT_ATTEMPTED
            rows.append(AddPartitionsToTxnPartitionResult(index, code))
        results.append(AddPartitionsToTxnTopicResult(topic.name, rows))
    return results if is_refused else None
