"""Who may see or change the configuration of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.topics import RESOURCE_GROUP, RESOURCE_TOPIC
from ottla.handlers.authorization import may_touch_topic, require_cluster, require_group
from ottla.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from ottla.broker.request import RequestContext


def require_config(request: RequestContext, operation: Operation, kind: int, name: str) -> None:
    """Refuse, as the kind of resource demands, whoever may not do this."""
    if kind == RESOURCE_TOPIC:
        if not may_touch_topic(request, operation, name):
            raise RequestError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    elif kind == RESOURCE_GROUP:
        require_group(request, operation, name)
    else:
        require_cluster(request, operation)
