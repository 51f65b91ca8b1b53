"""ShareFetch (API key 78), versions 1 to 2 (KIP-932).

v2 record-limit mode (KIP-1206) and renewal of locks (KIP-1222).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.pending_share_fetch import PendingShareFetch
from ottla.broker.request import Parked
from ottla.coordinator.share_coordinator import ShareKey
from ottla.coordinator.share_partition import AcknowledgeBatch
from ottla.coordinator.share_sessions import CLOSE_EPOCH, OPEN_EPOCH, Slot
from ottla.handlers.authorization import require_group
from ottla.handlers.share_requests import check_batches, check_slot, open_session
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.share_fetch import FetchPartition, ShareFetchRequest

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: ShareFetchRequest) -> Parked:
    """Acknowledgements are taken over, and records acquired, now or when there are some."""
    group_id = message.group_id or ""
    require_group(request, Operation.READ, group_id)
    epoch = message.share_session_epoch
    has_acknowledgements = any(
        p.acknowledgement_batches for t in message.topics for p in t.partitions
    )
    if epoch == OPEN_EPOCH and has_acknowledgements:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, "The first request of a session cannot acknowledge."
        )
    session = open_session(request, group_id, message.member_id, epoch, opens=True)
    acknowledged: dict[Slot, ErrorCode] = {}
    for topic in message.topics:
        for wanted in topic.partitions:
            if wanted.acknowledgement_batches:
                slot = (topic.topic_id, wanted.partition_index)
                acknowledged[slot] = _acknowledge(
                    broker, request, group_id, session.member_id, slot, wanted
                )
    if epoch == CLOSE_EPOCH:
        broker.share_groups.end_session(session)
        session.partitions = {}
    else:
        broker.share_groups.sessions.change(
            session,
            [(t.topic_id, p.partition_index) for t in message.topics for p in t.partitions],
            [(t.topic_id, i) for t in message.forgotten_topics_data for i in t.partitions],
        )
        if message.is_renew_ack:
            message.max_wait_ms = 0
    PendingShareFetch(request, message, session, acknowledged, epoch == OPEN_EPOCH).start()
    return Parked.LATER


def _acknowledge(
    broker: Broker,
    request: RequestContext,
    group_id: str,
    member_id: str,
    slot: Slot,
    wanted: FetchPartition,
) -> ErrorCode:
    batches = [
        AcknowledgeBatch(b.first_offset, b.last_offset, tuple(b.acknowledge_types))
        for b in wanted.acknowledgement_batches
    ]
    error = check_slot(request, slot) or check_batches(batches)
    return error or broker.share_groups.acknowledge(ShareKey(group_id, *slot), member_id, batches)
