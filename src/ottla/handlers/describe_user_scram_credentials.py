"""DescribeUserScramCredentials (API key 50), version 0 (KIP-554)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.describe_user_scram_credentials import (
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DescribeUserScramCredentialsRequest
) -> DescribeUserScramCredentialsResponse:
    """Mechanisms and iterations of each user asked for, of all when none is named."""
    require_cluster(request, Operation.DESCRIBE)
    credentials = broker.metadata.scram_credentials
    names = [user.name for user in message.users or ()]
    if not names:
        names = sorted({user for user, _ in credentials})
    response = DescribeUserScramCredentialsResponse()
    for name in dict.fromkeys(names):
        infos = [
            CredentialInfo(mechanism, credential.iterations)
            for (user, mechanism), credential in credentials.items()
            if user == name
        ]
        result = DescribeUserScramCredentialsResult(name, credential_infos=infos)
        if names.count(name) > 1:
            result.credential_infos = []
            result.error_code = ErrorCode.DUPLICATE_RESOURCE
            result.error_message = (
                "Cannot describe SCRAM credentials for the same user twice in a single request: "
                f"{name}"
            )
        elif not infos:
            result.error_code = ErrorCode.RESOURCE_NOT_FOUND
            result.error_message = (
                f"Attempt to describe a user credential that does not exist: {name}"
            )
        response.results.append(result)
    return response
