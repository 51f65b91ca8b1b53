"""Quotas of users, clients and addresses, and the SCRAM credentials of users."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from ottla.cli.workers.failures import raise_for
from ottla.client.cluster import Cluster
from ottla.wire.errors import ErrorCode

#: (entity type, name or None for the default), such as ("user", "alice").
Entity: TypeAlias = tuple[tuple[str, str | None], ...]

USER_QUOTAS: Final = (
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
)
IP_QUOTAS: Final = ("connection_creation_rate",)

#: Mechanism → (number on the wire, hash, fewest iterations).
SCRAM: Final = {"SCRAM-SHA-256": (1, "sha256", 4096), "SCRAM-SHA-512": (2, "sha512", 4096)}
DEFAULT_ITERATIONS: Final = 4096
MAX_ITERATIONS: Final = 16384

EXACT, DEFAULT, ANY = 0, 1, 2


def describe_quotas(
    cluster: Cluster, components: Sequence[tuple[str, str | None, int]]
) -> list[tuple[Entity, dict[str, float]]]:
    """Quotas of the entities made of exactly these (type, name, match) components."""
    from ottla.wire.messages.describe_client_quotas import (
        ComponentData,
        DescribeClientQuotasRequest,
    )

    request = DescribeClientQuotasRequest(
        [ComponentData(type_, kind, name) for type_, name, kind in components], strict=True
    )
    response = cluster.request(request)
    raise_for(response.error_code, response.error_message)
    return [
        (
            tuple((part.entity_type, part.entity_name) for part in entry.entity),
            {value.key: value.value for value in entry.values},
        )
        for entry in response.entries or []
    ]


def alter_quotas(
    cluster: Cluster, entity: Entity, *, set_: Mapping[str, float], delete: Iterable[str]
) -> None:
    """Set and unset quotas of one entity. Errors: `RefusedError`."""
    from ottla.wire.messages.alter_client_quotas import (
        AlterClientQuotasRequest,
        EntityData,
        EntryData,
        OpData,
    )

    operations = [OpData(key, value, False) for key, value in set_.items()]
    operations += [OpData(key, 0, True) for key in delete]
    entry = EntryData([EntityData(type_, name) for type_, name in entity], operations)
    for result in cluster.request_controller(AlterClientQuotasRequest([entry])).entries:
        raise_for(result.error_code, result.error_message)


class ScramUser(NamedTuple):
    """A user's credentials as (mechanism, iterations), or why they are not told."""

    name: str
    credentials: list[tuple[str, int]]
    error_code: int
    error_message: str | None


def describe_scram(cluster: Cluster, users: Sequence[str]) -> list[ScramUser]:
    """SCRAM credentials of some users, or of all; those without any are left out."""
    from ottla.wire.messages.describe_user_scram_credentials import (
        DescribeUserScramCredentialsRequest,
        UserName,
    )

    names = [UserName(user) for user in users] or None
    response = cluster.request_controller(DescribeUserScramCredentialsRequest(names))
    raise_for(response.error_code, response.error_message)
    mechanisms = {number: name for name, (number, _, _) in SCRAM.items()}
    return [
        ScramUser(
            result.user,
            [(mechanisms.get(c.mechanism, "?"), c.iterations) for c in result.credential_infos],
            result.error_code,
            result.error_message,
        )
        for result in response.results
        if result.error_code != ErrorCode.RESOURCE_NOT_FOUND
    ]


def alter_scram(
    cluster: Cluster,
    user: str,
    *,
    set_: Mapping[str, tuple[int, bytes]],
    delete: Iterable[str],
) -> None:
    """Set a user's credentials, mechanism → (iterations, password), and delete others.

    The password itself does not travel: only its salted hash does (KIP-554).
    """
    from ottla.wire.messages.alter_user_scram_credentials import (
        AlterUserScramCredentialsRequest,
        ScramCredentialDeletion,
        ScramCredentialUpsertion,
    )

    upsertions = []
    for mechanism, (iterations, password) in set_.items():
        number, digest, _ = SCRAM[mechanism]
        salt = os.urandom(32)
        salted = hashlib.pbkdf2_hmac(digest, password, salt, iterations)
        upsertions.append(ScramCredentialUpsertion(user, number, iterations, salt, salted))
    deletions = [ScramCredentialDeletion(user, SCRAM[mechanism][0]) for mechanism in delete]
    response = cluster.request_controller(AlterUserScramCredentialsRequest(deletions, upsertions))
    for result in response.results:
        raise_for(result.error_code, result.error_message)
