"""ListTransactions (API key 66), versions 0 to 2.

v1 duration filter (KIP-994); v2 pattern of transactional ids (KIP-1152).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.request import Parked
from ottla.handlers.authorization import is_allowed
from ottla.wire.messages.list_transactions import ListTransactionsRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: ListTransactionsRequest) -> Parked:
    """All transactional ids that match the filters and may be seen."""
    coordinators = broker.coordinators
    response = coordinators.transactions.list_transactions(message, request.wall_ms)
    response.transaction_states = [
        state
        for state in response.transaction_states
        if is_allowed(
            request, Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, state.transactional_id
        )
    ]
    ids = [state.transactional_id for state in response.transaction_states]
    coordinators.reply_with_transactions(ids, request, response)
    return Parked.LATER
