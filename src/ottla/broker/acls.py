"""Access control lists, as Apache Kafka's StandardAuthorizer decides by them.

An ACL allows or denies one operation (or all) on the resources that its
pattern matches, to one principal (or all) from one host (or all). A matching
DENY always wins. Without any ACL on a resource the answer is
`allow.everyone.if.no.acl.found`; super users are never asked.

Some operations follow from others: who may READ, WRITE, DELETE or ALTER may
DESCRIBE, who may ALTER_CONFIGS may DESCRIBE_CONFIGS (but denying the one does
not deny the other).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.connection import Connection

ANY: Final = 1
MATCH: Final = 2
LITERAL: Final = 3
PREFIXED: Final = 4
DENY: Final = 2
ALLOW: Final = 3

WILDCARD: Final = "*"
WILDCARD_PRINCIPAL: Final = "User:*"

#: Operation -> operations whose ALLOW also allows it.
IMPLIED_BY: Final = {
    Operation.DESCRIBE: frozenset(
        (Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER)
    ),
    Operation.DESCRIBE_CONFIGS: frozenset((Operation.ALTER_CONFIGS,)),
}


class Acl(NamedTuple):
    """One entry; numbers are the protocol's."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int

    def covers(self, resource_name: str) -> bool:
        """Whether its pattern matches this resource of its type."""
        if self.pattern_type == PREFIXED:
            return resource_name.startswith(self.resource_name)
        return self.resource_name in (resource_name, WILDCARD)


class AclFilter(NamedTuple):
    """Which ACLs a describe or delete is about; None and `ANY` match everything."""

    resource_type: int
    resource_name: str | None
    pattern_type: int
    principal: str | None
    host: str | None
    operation: int
    permission: int

    def matches(self, acl: Acl) -> bool:
        return (
            self.resource_type in (ANY, acl.resource_type)
            and self._matches_pattern(acl)
            and self.principal in (None, acl.principal)
            and self.host in (None, acl.host)
            and self.operation in (ANY, acl.operation)
            and self.permission in (ANY, acl.permission)
        )

    def _matches_pattern(self, acl: Acl) -> bool:
        if self.pattern_type == MATCH:
            return self.resource_name is None or acl.covers(self.resource_name)
        return self.pattern_type in (ANY, acl.pattern_type) and (
            self.resource_name in (None, acl.resource_name)
        )


class AclStore:
    """All ACLs, found by the resource they are about."""

    def __init__(self) -> None:
        self._literal: dict[tuple[int, str], dict[Acl, None]] = {}
        self._prefixed: dict[int, dict[Acl, None]] = {}

    def __iter__(self) -> Iterator[Acl]:
        for acls in self._literal.values():
            yield from acls
        for acls in self._prefixed.values():
            yield from acls

    def __contains__(self, acl: Acl) -> bool:
        return acl in self._bucket(acl)

    def _bucket(self, acl: Acl) -> dict[Acl, None]:
        if acl.pattern_type == PREFIXED:
            return self._prefixed.setdefault(acl.resource_type, {})
        return self._literal.setdefault((acl.resource_type, acl.resource_name), {})

    def add(self, acl: Acl) -> None:
        self._bucket(acl)[acl] = None

    def remove(self, acl: Acl) -> None:
        self._bucket(acl).pop(acl, None)

    def about(self, resource_type: int, resource_name: str) -> Iterator[Acl]:
        """Every ACL whose pattern matches the resource."""
        yield from self._literal.get((resource_type, resource_name), ())
        if resource_name != WILDCARD:
            yield from self._literal.get((resource_type, WILDCARD), ())
        for acl in self._prefixed.get(resource_type, ()):
            if resource_name.startswith(acl.resource_name):
                yield acl

    def of_type(self, resource_type: int) -> Iterator[Acl]:
        return (acl for acl in self if acl.resource_type == resource_type)


class AclAuthorizer:
    """Answers by the ACLs in `store`."""

    def __init__(self, store: AclStore, super_users: Iterable[str], allow_if_no_acl: bool) -> None:
        self.store = store
        self.super_users = frozenset(super_users)
        self.allow_if_no_acl = allow_if_no_acl

    def is_allowed(
        self, connection: Connection, operation: Operation, resource: Resource, name: str
    ) -> bool:
        principal = connection.principal
        if principal in self.super_users:
            return True
        found = is_allowed = False
        for acl in self.store.about(resource, name):
            found = True
            if acl.principal not in (principal, WILDCARD_PRINCIPAL):
                continue
            if acl.host not in (connection.peer_host, WILDCARD):
                continue
            if acl.permission == DENY:
                if acl.operation in (operation, Operation.ALL):
                    return False
            elif allows(acl, operation):
                is_allowed = True
        return is_allowed if found else self.allow_if_no_acl

    def is_allowed_for_some(
        self, connection: Connection, operation: Operation, resource: Resource
    ) -> bool:
        """Whether there is any resource of the type on which the principal may do this."""
        principal = connection.principal
        if principal in self.super_users:
            return True
        allowing: list[Acl] = []
        for acl in self.store.of_type(resource):
            is_mine = acl.principal in (principal, WILDCARD_PRINCIPAL) and acl.host in (
                connection.peer_host,
                WILDCARD,
            )
            if not is_mine:
                continue
            if acl.permission == ALLOW and allows(acl, operation):
                allowing.append(acl)
            elif (
                acl.permission == DENY
                and acl.operation in (operation, Operation.ALL)
                and acl.pattern_type == LITERAL
                and acl.resource_name == WILDCARD
            ):
                return False
        if not allowing:
            return self.allow_if_no_acl
        return any(
            self.is_allowed(connection, operation, resource, acl.resource_name) for acl in allowing
        )


def allows(acl: Acl, operation: Operation) -> bool:
    """Whether an ALLOW entry for its own operation also allows this one."""
    return acl.operation in (operation, Operation.ALL) or (
        acl.operation in IMPLIED_BY.get(operation, ())
    )
