"""What the two APIs that change a share group's offsets have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from ottla.broker.broker import Broker


def require_empty_group(broker: Broker, group_id: str, *, may_be_new: bool) -> None:
    """Refuse the request unless the share group has no members, and perhaps is not there."""
    if not group_id:
        raise RequestError(ErrorCode.INVALID_GROUP_ID)
    group = broker.coordinators.groups.share_group(group_id)
    if group is None and (not may_be_new or broker.coordinators.groups.has_group(group_id)):
        raise RequestError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
    if group is not None and group.members:
        raise RequestError(ErrorCode.NON_EMPTY_GROUP, "The group is not empty.")
