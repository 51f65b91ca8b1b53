"""The question every request asks: may this principal do this here?

The answer is yes until a real authorizer takes the place of this one; the
question is asked all the same, so that no path forgets it.
"""

from __future__ import annotations

import enum
from typing import Protocol

from ottla.broker.connection import Connection


class Operation(enum.IntEnum):
    """Operations as the ACL protocol numbers them."""

    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class Resource(enum.IntEnum):
    """Resource types as the ACL protocol numbers them."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


CLUSTER_NAME = "kafka-cluster"


class Authorizer(Protocol):
    def is_allowed(
        self, connection: Connection, operation: Operation, resource: Resource, name: str
    ) -> bool: ...

    def is_allowed_for_some(
        self, connection: Connection, operation: Operation, resource: Resource
    ) -> bool:
        """Whether there is any resource of the type on which this is allowed."""


class AllowAll:
    """No authorizer is configured: everybody may do everything."""

    def is_allowed(
        self, connection: Connection, operation: Operation, resource: Resource, name: str
    ) -> bool:
        return True

    def is_allowed_for_some(
        self, connection: Connection, operation: Operation, resource: Resource
    ) -> bool:
        return True


def authorized_operations(operations: tuple[Operation, ...]) -> int:
    """The bit field in which responses tell what a principal may do (KIP-430)."""
    bits = 0
    for operation in operations:
        bits |= 1 << operation
    return bits


#: What can be done to each resource type at all.
TOPIC_OPERATIONS = authorized_operations(
    (
        Operation.READ,
        Operation.WRITE,
        Operation.CREATE,
        Operation.DELETE,
        Operation.ALTER,
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
    )
)
GROUP_OPERATIONS = authorized_operations(
    (
        Operation.READ,
        Operation.DELETE,
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
    )
)
CLUSTER_OPERATIONS = authorized_operations(
    (
        Operation.CREATE,
        Operation.ALTER,
        Operation.DESCRIBE,
        Operation.CLUSTER_ACTION,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
        Operation.IDEMPOTENT_WRITE,
    )
)
