"""DescribeAcls (API key 29), versions 0 to 3.

v1 pattern types (KIP-290); v3 the resource type USER. Without an authorizer,
SECURITY_DISABLED, as Apache Kafka answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.acls import AclFilter
from ottla.broker.authorizer import Operation
from ottla.handlers.acl_checks import check_filter, store_of
from ottla.handlers.authorization import require_cluster
from ottla.wire.messages.describe_acls import (
    AclDescription,
    DescribeAclsRequest,
    DescribeAclsResource,
    DescribeAclsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DescribeAclsRequest
) -> DescribeAclsResponse:
    """All entries that the filter matches, by resource pattern."""
    require_cluster(request, Operation.DESCRIBE)
    store = store_of(broker.authorizer)
    wanted = AclFilter(
        message.resource_type_filter,
        message.resource_name_filter,
        message.pattern_type_filter,
        message.principal_filter,
        message.host_filter,
        message.operation,
        message.permission_type,
    )
    check_filter(wanted)
    resources: dict[tuple[int, str, int], DescribeAclsResource] = {}
    for acl in store:
        if wanted.matches(acl):
            pattern = acl[:3]
            resource = resources.get(pattern)
            if resource is None:
                resource = resources[pattern] = DescribeAclsResource(*pattern)
            resource.acls.append(
                AclDescription(acl.principal, acl.host, acl.operation, acl.permission)
            )
    return DescribeAclsResponse(resources=list(resources.values()))
