"""DeleteAcls (API key 31), versions 0 to 3.

v1 pattern types (KIP-290); v3 the resource type USER. Without an authorizer,
SECURITY_DISABLED, as Apache Kafka answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.acls import AclFilter
from ottla.broker.authorizer import Operation
from ottla.handlers.acl_checks import check_filter, store_of
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import RequestError
from ottla.wire.messages import delete_acls as messages
from ottla.wire.messages.delete_acls import (
    DeleteAclsFilterResult,
    DeleteAclsMatchingAcl,
    DeleteAclsRequest,
    DeleteAclsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DeleteAclsRequest
) -> DeleteAclsResponse:
    """What each filter matches is gone, durably; the answer names every entry."""
    require_cluster(request, Operation.ALTER)
    return DeleteAclsResponse(filter_results=[_delete(broker, f) for f in message.filters])


def _delete(broker: Broker, asked: messages.DeleteAclsFilter) -> DeleteAclsFilterResult:
    wanted = AclFilter(
        asked.resource_type_filter,
        asked.resource_name_filter,
        asked.pattern_type_filter,
        asked.principal_filter,
        asked.host_filter,
        asked.operation,
        asked.permission_type,
    )
    try:
        store = store_of(broker.authorizer)
        check_filter(wanted)
        matching = [acl for acl in store if wanted.matches(acl)]
        if matching:
            broker.commit_metadata(broker.metadata.decide_acls((), matching))
    except RequestError as error:
        return DeleteAclsFilterResult(error.code, error.message)
    return DeleteAclsFilterResult(
        error_message=None,
        matching_acls=[
            DeleteAclsMatchingAcl(
                error_message=None,
                resource_type=acl.resource_type,
                resource_name=acl.resource_name,
                pattern_type=acl.pattern_type,
                principal=acl.principal,
                host=acl.host,
                operation=acl.operation,
                permission_type=acl.permission,
            )
            for acl in matching
        ],
    )
