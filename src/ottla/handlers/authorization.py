"""The authorizer's question, asked the way handlers need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import CLUSTER_NAME, Operation, Resource
from ottla.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from ottla.broker.request import RequestContext


def is_allowed(
    request: RequestContext, operation: Operation, resource: Resource, name: str
) -> bool:
    return request.broker.authorizer.is_allowed(request.connection, operation, resource, name)


def require(
    request: RequestContext,
    operation: Operation,
    resource: Resource,
    name: str,
    code: ErrorCode,
) -> None:
    """Refuse the whole request with `code` unless its principal may do this."""
    if not is_allowed(request, operation, resource, name):
        raise RequestError(code)


def require_cluster(request: RequestContext, operation: Operation) -> None:
    """Refuse the whole request unless its principal may do this to the cluster."""
    require(
        request,
        operation,
        Resource.CLUSTER,
        CLUSTER_NAME,
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
    )


def require_group(request: RequestContext, operation: Operation, group_id: str) -> None:
    """Refuse the whole request unless its principal may do this to the group."""
    require(request, operation, Resource.GROUP, group_id, ErrorCode.GROUP_AUTHORIZATION_FAILED)


def require_transactional_write(request: RequestContext, transactional_id: str) -> None:
    """Refuse the whole request unless its principal may write with the transactional id."""
    require(
        request,
        Operation.WRITE,
        Resource.TRANSACTIONAL_ID,
        transactional_id,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    )


def may_touch_topic(request: RequestContext, operation: Operation, topic_name: str) -> bool:
    return is_allowed(request, operation, Resource.TOPIC, topic_name)


def require_idempotent_write(request: RequestContext) -> None:
    """Refuse unless the principal may write idempotently: to the cluster, or to any topic."""
    authorizer, connection = request.broker.authorizer, request.connection
    if authorizer.is_allowed(
        connection, Operation.IDEMPOTENT_WRITE, Resource.CLUSTER, CLUSTER_NAME
    ) or authorizer.is_allowed_for_some(connection, Operation.WRITE, Resource.TOPIC):
        return
    raise RequestError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)


def may_create_topic(request: RequestContext, topic_name: str) -> bool:
    """Whether the principal may create topics, or this one."""
    return is_allowed(request, Operation.CREATE, Resource.CLUSTER, CLUSTER_NAME) or may_touch_topic(
        request, Operation.CREATE, topic_name
    )
