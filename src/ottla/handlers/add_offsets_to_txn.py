"""AddOffsetsToTxn (API key 25), versions 0 to 4.

v1 throttle behaviour; v2 PRODUCER_FENCED; v4 TRANSACTION_ABORTABLE.

The group's partition of `__consumer_offsets` takes part in the transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.request import Parked
from ottla.handlers.authorization import require_group, require_transactional_write
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: The version from which a fenced producer hears PRODUCER_FENCED.
FENCED_FROM = 2


def handle(broker: Broker, request: RequestContext, message: AddOffsetsToTxnRequest) -> Parked:
    """The group's offsets may be committed in the transaction."""
    require_transactional_write(request, message.transactional_id)
    require_group(request, Operation.READ, message.group_id)
    coordinators = broker.coordinators
    partition = coordinators.group_partition(message.group_id)
    error, outcome = coordinators.transactions.add_partitions(
        message.transactional_id,
        message.producer_id,
        message.producer_epoch,
        [(partition.topic_name, partition.index)],
        0,
        request.wall_ms,
        request.mono_ms,
    )
    if error is ErrorCode.PRODUCER_FENCED and request.version < FENCED_FROM:
        error = ErrorCode.INVALID_PRODUCER_EPOCH
    outcome.reply(request, AddOffsetsToTxnResponse(error_code=error))
    coordinators.apply_transaction_outcome(message.transactional_id, outcome)
    return Parked.LATER
