"""What an ACL or a filter must look like, and how the messages spell them."""

from __future__ import annotations

from typing import Final

from ottla.broker.acls import (
    ALLOW,
    ANY,
    DENY,
    LITERAL,
    MATCH,
    PREFIXED,
    Acl,
    AclFilter,
    AclStore,
)
from ottla.broker.authorizer import CLUSTER_NAME, Operation, Resource
from ottla.wire.errors import ErrorCode, RequestError

NO_AUTHORIZER: Final = "No Authorizer is configured."
_OPERATIONS: Final = frozenset(Operation)
_RESOURCES: Final = frozenset(Resource)


def store_of(authorizer: object) -> AclStore:
    """The ACLs. Errors: `RequestError` SECURITY_DISABLED without an authorizer."""
    store = getattr(authorizer, "store", None)
    if not isinstance(store, AclStore):
        raise RequestError(ErrorCode.SECURITY_DISABLED, NO_AUTHORIZER)
    return store


def _refuse(text: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_REQUEST, text)


def check_acl(acl: Acl) -> None:
    """Errors: `RequestError` INVALID_REQUEST for an entry that could never apply."""
    if acl.resource_type not in _RESOURCES:
        raise _refuse("Invalid resource type")
    if acl.pattern_type not in (LITERAL, PREFIXED):
        raise _refuse("Invalid resource pattern type")
    if acl.operation not in _OPERATIONS:
        raise _refuse("Invalid operation type")
    if acl.permission not in (ALLOW, DENY):
        raise _refuse("Invalid permission type")
    if not acl.resource_name:
        raise _refuse("Resource name should not be empty")
    if acl.resource_type == Resource.CLUSTER and acl.resource_name != CLUSTER_NAME:
        raise _refuse(f"The only valid name for the CLUSTER resource is {CLUSTER_NAME}")
    kind, separator, name = acl.principal.partition(":")
    if not kind or not separator or not name:
        raise _refuse(f"Could not parse principal from `{acl.principal}`")
    if not acl.host:
        raise _refuse("Host should not be empty")


def check_filter(wanted: AclFilter) -> None:
    """Errors: `RequestError` INVALID_REQUEST for values no ACL can have."""
    if wanted.resource_type not in _RESOURCES | {ANY}:
        raise _refuse("Invalid resource type")
    if wanted.pattern_type not in (ANY, MATCH, LITERAL, PREFIXED):
        raise _refuse("Invalid resource pattern type")
    if wanted.operation not in _OPERATIONS | {ANY}:
        raise _refuse("Invalid operation type")
    if wanted.permission not in (ANY, ALLOW, DENY):
        raise _refuse("Invalid permission type")
