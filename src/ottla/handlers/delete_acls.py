"""DeleteAcls (API key 31), versions 0 to 3.

v1 pattern types (KIP-290); v3 the resource type USER. Without an authorizer,
SECURITY_DISABLED, as Apache Kafka answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.handlers.describe_acls import NO_AUTHORIZER
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.delete_acls import (
    DeleteAclsFilterResult,
    DeleteAclsRequest,
    DeleteAclsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DeleteAclsRequest
) -> DeleteAclsResponse:
    """Every filter is refused."""
    require_cluster(request, Operation.ALTER)
    return DeleteAclsResponse(
        filter_results=[
            DeleteAclsFilterResult(ErrorCode.SECURITY_DISABLED, NO_AUTHORIZER)
            for _ in message.filters
        ]
    )
