"""What ShareFetch and ShareAcknowledge have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.coordinator.share_partition import AcknowledgeBatch, AcknowledgeType
from ottla.coordinator.share_sessions import ShareSession, Slot
from ottla.handlers.authorization import may_touch_topic
from ottla.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from ottla.broker.request import RequestContext

_TYPES: Final = frozenset(AcknowledgeType)


def open_session(
    request: RequestContext, group_id: str, member_id: str | None, epoch: int, *, opens: bool
) -> ShareSession:
    """The session that the request belongs to, or a refusal of the request."""
    if not group_id or not member_id:
        raise RequestError(ErrorCode.INVALID_REQUEST, "A share session needs a group and a member.")
    error, session = request.broker.share_groups.sessions.use(
        group_id, member_id, epoch, request.connection.id, opens=opens
    )
    if session is None:
        raise RequestError(error)
    return session


def check_slot(request: RequestContext, slot: Slot) -> ErrorCode:
    """Whether the partition exists and may be read."""
    topic = request.broker.metadata.topics_by_id.get(slot[0])
    if topic is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if not may_touch_topic(request, Operation.READ, topic.name):
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    if not 0 <= slot[1] < len(topic.partitions):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE


def check_batches(batches: list[AcknowledgeBatch]) -> ErrorCode:
    """Whether the acknowledgements ascend, do not overlap and have types that fit."""
    previous = -1
    for batch in batches:
        count = batch.last_offset - batch.first_offset + 1
        if count <= 0:
            return ErrorCode.INVALID_REQUEST
        if batch.first_offset <= previous:
            return ErrorCode.INVALID_RECORD_STATE  # It was acknowledged just now.
        if len(batch.types) not in (1, count) or not _TYPES.issuperset(batch.types):
            return ErrorCode.INVALID_REQUEST
        previous = batch.last_offset
    return ErrorCode.NONE
