"""EndTxn (API key 26), versions 0 to 5.

v1 throttle behaviour; v2 PRODUCER_FENCED; v4 TRANSACTION_ABORTABLE; v5 the
producer's next id and epoch (KIP-890).

Answered when the transaction is complete, where Apache Kafka answers when it
is prepared: the next transaction never meets CONCURRENT_TRANSACTIONS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_transactional_write
from ottla.wire.messages.end_txn import EndTxnRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: EndTxnRequest) -> Parked:
    """The transaction is committed or aborted, visibly and durably."""
    require_transactional_write(request, message.transactional_id)
    coordinators = broker.coordinators
    outcome = coordinators.transactions.end_txn(
        message, client_of(request), request, request.wall_ms, request.mono_ms
    )
    coordinators.apply_transaction_outcome(message.transactional_id, outcome)
    return Parked.LATER
