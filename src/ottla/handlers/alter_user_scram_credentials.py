"""AlterUserScramCredentials (API key 51), version 0 (KIP-554).

What is stored cannot be turned back into the password, nor used to log in
elsewhere: stored key and server key only (RFC 5802).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.broker.topics import Record, ScramCredential
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
    ScramCredentialUpsertion,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

#: Mechanism number -> hash.
HASHES: Final = {1: "sha256", 2: "sha512"}
MIN_ITERATIONS: Final = 4096
MAX_ITERATIONS: Final = 16384


def handle(
    broker: Broker, request: RequestContext, message: AlterUserScramCredentialsRequest
) -> AlterUserScramCredentialsResponse:
    """Each user has the credentials asked for, durably, or an error and is as before."""
    require_cluster(request, Operation.ALTER)
    users = dict.fromkeys(
        [d.name for d in message.deletions] + [u.name for u in message.upsertions]
    )
    results = []
    for user in users:
        result = AlterUserScramCredentialsResult(user, error_message=None)
        results.append(result)
        try:
            records = _decide(broker, user, message)
            broker.commit_metadata(records)
        except RequestError as error:
            result.error_code = error.code
            result.error_message = error.message
    return AlterUserScramCredentialsResponse(results=results)


def _decide(broker: Broker, user: str, message: AlterUserScramCredentialsRequest) -> list[Record]:
    deletions = [d for d in message.deletions if d.name == user]
    upsertions = [u for u in message.upsertions if u.name == user]
    if not user:
        raise RequestError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Username must not be empty")
    for mechanism in [d.mechanism for d in deletions] + [u.mechanism for u in upsertions]:
        if mechanism not in HASHES:
            raise RequestError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")
    if len(deletions) + len(upsertions) > 1:
        raise RequestError(
            ErrorCode.DUPLICATE_RESOURCE,
            "A user credential cannot be altered twice in the same request",
        )
    metadata = broker.metadata
    records: list[Record] = []
    for deletion in deletions:
        if (user, deletion.mechanism) not in metadata.scram_credentials:
            raise RequestError(
                ErrorCode.RESOURCE_NOT_FOUND,
                "Attempt to delete a user credential that does not exist",
            )
        records += metadata.decide_scram_credential(user, deletion.mechanism, None)
    for upsertion in upsertions:
        records += metadata.decide_scram_credential(
            user, upsertion.mechanism, _credential(upsertion)
        )
    return records


def _credential(upsertion: ScramCredentialUpsertion) -> ScramCredential:
    if not MIN_ITERATIONS <= upsertion.iterations <= MAX_ITERATIONS:
        few = upsertion.iterations < MIN_ITERATIONS
        raise RequestError(
            ErrorCode.UNACCEPTABLE_CREDENTIAL,
            "Too few iterations" if few else "Too many iterations",
        )
    name = HASHES[upsertion.mechanism]
    salted = bytes(upsertion.salted_password)
    client_key = hmac.digest(salted, b"Client Key", name)
    return ScramCredential(
        upsertion.iterations,
        bytes(upsertion.salt),
        hashlib.new(name, client_key).digest(),
        hmac.digest(salted, b"Server Key", name),
    )
