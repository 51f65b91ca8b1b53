"""CreateAcls (API key 30), versions 0 to 3.

v1 pattern types (KIP-290); v3 the resource type USER. Without an authorizer,
SECURITY_DISABLED, as Apache Kafka answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.acls import Acl
from ottla.broker.authorizer import Operation
from ottla.handlers.acl_checks import check_acl, store_of
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import RequestError
from ottla.wire.messages.create_acls import (
    AclCreation,
    AclCreationResult,
    CreateAclsRequest,
    CreateAclsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: CreateAclsRequest
) -> CreateAclsResponse:
    """Each entry is in force, durably, or has an error; one that exists already is fine."""
    require_cluster(request, Operation.ALTER)
    return CreateAclsResponse(results=[_create(broker, c) for c in message.creations])


def _create(broker: Broker, creation: AclCreation) -> AclCreationResult:
    acl = Acl(
        creation.resource_type,
        creation.resource_name,
        creation.resource_pattern_type,
        creation.principal,
        creation.host,
        creation.operation,
        creation.permission_type,
    )
    try:
        store = store_of(broker.authorizer)
        check_acl(acl)
        if acl not in store:
            broker.commit_metadata(broker.metadata.decide_acls([acl], ()))
    except RequestError as error:
        return AclCreationResult(error.code, error.message)
    return AclCreationResult()
