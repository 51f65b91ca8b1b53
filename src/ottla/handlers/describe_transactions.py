"""DescribeTransactions (API key 65), version 0 (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed, may_touch_topic
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TransactionState,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: DescribeTransactionsRequest) -> Parked:
    """State, producer and partitions of each transactional id."""
    response = DescribeTransactionsResponse()
    coordinators = broker.coordinators
    for transactional_id in message.transactional_ids:
        if not is_allowed(request, Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, transactional_id):
            state = TransactionState(
                ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, transactional_id
            )
        else:
            state = coordinators.transactions.describe(transactional_id)
            state.topics = [
                t for t in state.topics if may_touch_topic(request, Operation.DESCRIBE, t.topic)
            ]
        response.transaction_states.append(state)
    coordinators.reply_with_transactions(message.transactional_ids, request, response)
    return Parked.LATER
