"""DescribeAcls (API key 29), versions 0 to 3.

v1 pattern types (KIP-290); v3 the resource type USER. Without an authorizer,
SECURITY_DISABLED, as Apache Kafka answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

NO_AUTHORIZER = "No Authorizer is configured."


def handle(
    broker: Broker, request: RequestContext, message: DescribeAclsRequest
) -> DescribeAclsResponse:
    """Refused: there are no ACLs."""
    require_cluster(request, Operation.DESCRIBE)
    raise RequestError(ErrorCode.SECURITY_DISABLED, NO_AUTHORIZER)
