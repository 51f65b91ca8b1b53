"""Access control lists: who may do what with which resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ottla.cli.workers.failures import raise_for
from ottla.client.cluster import Cluster

RESOURCE_TYPES: Final = {
    "ANY": 1,
    "TOPIC": 2,
    "GROUP": 3,
    "CLUSTER": 4,
    "TRANSACTIONAL_ID": 5,
    "DELEGATION_TOKEN": 6,
    "USER": 7,
}
PATTERN_TYPES: Final = {"ANY": 1, "MATCH": 2, "LITERAL": 3, "PREFIXED": 4}
OPERATIONS: Final = {
    "ANY": 1,
    "ALL": 2,
    "READ": 3,
    "WRITE": 4,
    "CREATE": 5,
    "DELETE": 6,
    "ALTER": 7,
    "DESCRIBE": 8,
    "CLUSTER_ACTION": 9,
    "DESCRIBE_CONFIGS": 10,
    "ALTER_CONFIGS": 11,
    "IDEMPOTENT_WRITE": 12,
    "CREATE_TOKENS": 13,
    "DESCRIBE_TOKENS": 14,
    "TWO_PHASE_COMMIT": 15,
}
PERMISSIONS: Final = {"ANY": 1, "DENY": 2, "ALLOW": 3}
CLUSTER_NAME: Final = "kafka-cluster"

#: What may be allowed or denied on each type of resource, ALL apart.
SUPPORTED: Final = {
    "TOPIC": {
        *("READ", "WRITE", "CREATE", "DESCRIBE", "DELETE", "ALTER"),
        *("DESCRIBE_CONFIGS", "ALTER_CONFIGS"),
    },
    "GROUP": {"READ", "DESCRIBE", "DELETE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"},
    "CLUSTER": {
        *("CREATE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"),
        *("IDEMPOTENT_WRITE", "ALTER", "DESCRIBE"),
    },
    "TRANSACTIONAL_ID": {"DESCRIBE", "WRITE", "TWO_PHASE_COMMIT"},
    "DELEGATION_TOKEN": {"DESCRIBE"},
    "USER": {"CREATE_TOKENS", "DESCRIBE_TOKENS"},
}

_RESOURCE_NAMES: Final = {number: name for name, number in RESOURCE_TYPES.items()}
_PATTERN_NAMES: Final = {number: name for name, number in PATTERN_TYPES.items()}
_OPERATION_NAMES: Final = {number: name for name, number in OPERATIONS.items()}
_PERMISSION_NAMES: Final = {number: name for name, number in PERMISSIONS.items()}


class Resource(NamedTuple):
    """A resource, a prefix of resources, or (with ANY or MATCH) a filter for them."""

    type: str
    name: str | None
    pattern: str = "LITERAL"

    def __str__(self) -> str:
        return (
            f"ResourcePattern(resourceType={self.type}, name={self.name}, "
            f"patternType={self.pattern})"
        )


class AclEntry(NamedTuple):
    """One rule on a resource."""

    principal: str
    host: str
    operation: str
    permission: str

    def __str__(self) -> str:
        return (
            f"(principal={self.principal}, host={self.host}, operation={self.operation}, "
            f"permissionType={self.permission})"
        )


ANY_RESOURCE: Final = Resource("ANY", None, "ANY")


def describe_acls(cluster: Cluster, resource: Resource) -> dict[Resource, list[AclEntry]]:
    """The rules on the resources that a filter meets, sorted."""
    from ottla.wire.messages.describe_acls import DescribeAclsRequest

    response = cluster.request(
        DescribeAclsRequest(
            RESOURCE_TYPES[resource.type],
            resource.name,
            PATTERN_TYPES[resource.pattern],
            None,
            None,
            OPERATIONS["ANY"],
            PERMISSIONS["ANY"],
        )
    )
    raise_for(response.error_code, response.error_message)
    found = {
        Resource(
            _RESOURCE_NAMES.get(entry.resource_type, "UNKNOWN"),
            entry.resource_name,
            _PATTERN_NAMES.get(entry.pattern_type, "UNKNOWN"),
        ): sorted(
            AclEntry(
                acl.principal,
                acl.host,
                _OPERATION_NAMES.get(acl.operation, "UNKNOWN"),
                _PERMISSION_NAMES.get(acl.permission_type, "UNKNOWN"),
            )
            for acl in entry.acls
        )
        for entry in response.resources
    }
    return {resource: found[resource] for resource in sorted(found)}


def create_acls(cluster: Cluster, resource: Resource, entries: Sequence[AclEntry]) -> None:
    """Add rules to a resource. Errors: `RefusedError`."""
    from ottla.wire.messages.create_acls import AclCreation, CreateAclsRequest

    creations = [
        AclCreation(
            RESOURCE_TYPES[resource.type],
            resource.name or "",
            PATTERN_TYPES[resource.pattern],
            entry.principal,
            entry.host,
            OPERATIONS[entry.operation],
            PERMISSIONS[entry.permission],
        )
        for entry in entries
    ]
    for result in cluster.request_controller(CreateAclsRequest(creations)).results:
        raise_for(result.error_code, result.error_message)


def delete_acls(cluster: Cluster, resource: Resource, entries: Sequence[AclEntry]) -> int:
    """Remove these rules from what the filter meets, or all with none; returns how many.

    Errors: `RefusedError`.
    """
    from ottla.wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest

    rules: list[tuple[str | None, str | None, str, str]] = [*entries]
    filters = [
        DeleteAclsFilter(
            RESOURCE_TYPES[resource.type],
            resource.name,
            PATTERN_TYPES[resource.pattern],
            principal,
            host,
            OPERATIONS[operation],
            PERMISSIONS[permission],
        )
        for principal, host, operation, permission in rules or [(None, None, "ANY", "ANY")]
    ]
    removed = 0
    for result in cluster.request_controller(DeleteAclsRequest(filters)).filter_results:
        raise_for(result.error_code, result.error_message)
        for match in result.matching_acls:
            raise_for(match.error_code, match.error_message)
            removed += 1
    return removed
