"""ShareAcknowledge (API key 79), versions 1 to 2 (KIP-932).

v2 renewal of locks (KIP-1222).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.coordinator_log import when_all_visible
from ottla.broker.request import Parked
from ottla.broker.share_groups import WHY_NOT_ACKNOWLEDGED
from ottla.coordinator.share_coordinator import ShareKey
from ottla.coordinator.share_partition import AcknowledgeBatch
from ottla.coordinator.share_sessions import CLOSE_EPOCH
from ottla.handlers.authorization import require_group
from ottla.handlers.share_requests import check_batches, check_slot, open_session
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.share_acknowledge import (
    PartitionData,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
    ShareAcknowledgeTopicResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(broker: Broker, request: RequestContext, message: ShareAcknowledgeRequest) -> Parked:
    """The member's acknowledgements are taken over, durably when the answer leaves."""
    group_id = message.group_id or ""
    require_group(request, Operation.READ, group_id)
    share_groups = broker.share_groups
    session = open_session(
        request, group_id, message.member_id, message.share_session_epoch, opens=False
    )
    response = ShareAcknowledgeResponse(
        acquisition_lock_timeout_ms=share_groups.settings_of(group_id).share_record_lock_duration_ms
    )
    touched = []
    for topic in message.topics:
        rows = []
        for wanted in topic.partitions:
            slot = (topic.topic_id, wanted.partition_index)
            batches = [
                AcknowledgeBatch(b.first_offset, b.last_offset, tuple(b.acknowledge_types))
                for b in wanted.acknowledgement_batches
            ]
            error = check_slot(request, slot) or check_batches(batches)
            if not error:
                key = ShareKey(group_id, *slot)
                error = share_groups.acknowledge(key, session.member_id, batches)
                touched.append(share_groups.state_partition(key))
            why = WHY_NOT_ACKNOWLEDGED.get(error)
            rows.append(PartitionData(wanted.partition_index, error, why))
        response.responses.append(ShareAcknowledgeTopicResponse(topic.topic_id, rows))
    if message.share_session_epoch == CLOSE_EPOCH:
        touched += [share_groups.state_partition(k) for k in share_groups.end_session(session)]

    def proceed(error: ErrorCode) -> None:
        if error:
            for answer in response.responses:
                for row in answer.partitions:
                    row.error_code = row.error_code or error
        request.complete(response)

    when_all_visible(touched, proceed)
    return Parked.LATER
