"""Access control lists and quotas; what cannot be moved is said."""

from __future__ import annotations

from typing import Final

from ottla.client.cluster import Cluster
from ottla.client.errors import ClientError
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import alter_client_quotas as altering
from ottla.wire.messages.create_acls import AclCreation, CreateAclsRequest
from ottla.wire.messages.describe_acls import DescribeAclsRequest
from ottla.wire.messages.describe_client_quotas import DescribeClientQuotasRequest
from ottla.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
)

ANY: Final = 1


def move_acls(source: Cluster, target: Cluster) -> str:
    """Returns what was done, as a sentence."""
    asked = DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY)
    try:
        found = source.request(asked)
        if found.error_code == ErrorCode.SECURITY_DISABLED:
            return "no access control lists: the source has no authorizer"
        if found.error_code:
            return f"access control lists cannot be read: {ErrorCode(found.error_code).name}"
        creations = [
            AclCreation(
                r.resource_type,
                r.resource_name,
                r.pattern_type,
                a.principal,
                a.host,
                a.operation,
                a.permission_type,
            )
            for r in found.resources
            for a in r.acls
        ]
        if not creations:
            return "no access control lists"
        results = target.request_controller(CreateAclsRequest(creations)).results
    except ClientError as error:
        return f"access control lists were not moved: {error}"
    failed = [r for r in results if r.error_code]
    if failed:
        reason = failed[0].error_message or ErrorCode(failed[0].error_code).name
        return f"{len(failed)} of {len(creations)} access control lists were refused: {reason}"
    return f"{len(creations)} access control lists moved"


def move_quotas(source: Cluster, target: Cluster) -> str:
    """Returns what was done, as a sentence."""
    try:
        found = source.request(DescribeClientQuotasRequest())
        if found.error_code:
            return f"quotas cannot be read: {ErrorCode(found.error_code).name}"
        entries = [
            altering.EntryData(
                [altering.EntityData(e.entity_type, e.entity_name) for e in entry.entity],
                [altering.OpData(v.key, v.value) for v in entry.values],
            )
            for entry in found.entries or ()
        ]
        if not entries:
            return "no quotas"
        answer = target.request_controller(altering.AlterClientQuotasRequest(entries))
    except ClientError as error:
        return f"quotas were not moved: {error}"
    failed = [e for e in answer.entries if e.error_code]
    if failed:
        return f"{len(failed)} of {len(entries)} quotas were refused: {failed[0].error_message}"
    return f"{len(entries)} quotas moved"


def count_scram_users(source: Cluster) -> str:
    """Kafka gives nobody the stored keys: users need their passwords set anew."""
    try:
        answer = source.request(DescribeUserScramCredentialsRequest(users=None))
    except ClientError as error:
        return f"SCRAM users are not known: {error}"
    users = [r.user for r in answer.results if not r.error_code]
    if not users:
        return "no SCRAM users"
    return (
        f"{len(users)} SCRAM users cannot be moved, because Kafka never shows stored keys: set"
        f" their passwords anew ({', '.join(users[:5])})"
    )
