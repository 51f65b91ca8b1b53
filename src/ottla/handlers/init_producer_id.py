"""InitProducerId (API key 22), versions 0 to 5.

v1 throttle behaviour; v3 the producer's present id and epoch (KIP-360); v4
PRODUCER_FENCED; v5 transactions version 2 (KIP-890).

Ids are reserved durably in blocks, so that none is ever given twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.batch.record_batch import NO_PRODUCER_EPOCH, NO_PRODUCER_ID
from ottla.broker.coordinators import client_of
from ottla.broker.request import Parked
from ottla.handlers.authorization import (
    require_idempotent_write,
    require_transactional_write,
)
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: InitProducerIdRequest
) -> InitProducerIdResponse | Parked:
    """A producer id of the caller's own, with an epoch that fences its predecessors."""
    transactional_id = message.transactional_id
    if (message.producer_id == NO_PRODUCER_ID) != (message.producer_epoch == NO_PRODUCER_EPOCH):
        return InitProducerIdResponse(error_code=ErrorCode.INVALID_REQUEST, producer_epoch=-1)
    if transactional_id is None:
        if (message.producer_id == -1) != (message.producer_epoch == -1):
            return InitProducerIdResponse(0, ErrorCode.INVALID_REQUEST, -1, -1)
        require_idempotent_write(request)
        return InitProducerIdResponse(producer_id=broker.next_producer_id(), producer_epoch=0)
    require_transactional_write(request, transactional_id)
    outcome = broker.coordinators.transactions.init_producer_id(
        message, client_of(request), request, request.wall_ms, request.mono_ms
    )
    broker.coordinators.apply_transaction_outcome(transactional_id, outcome)
    return Parked.LATER
