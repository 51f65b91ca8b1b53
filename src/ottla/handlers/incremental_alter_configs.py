"""IncrementalAlterConfigs (API key 44), versions 0 to 1 (KIP-339).

SET, DELETE, and APPEND and SUBTRACT for lists, on topics, brokers, groups and
client metrics. Each resource changes as a whole or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.config_changes import Resource
from ottla.handlers.config_authorization import require_config
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.incremental_alter_configs import (
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    """Each resource is changed, durably, or has its own error."""
    response = IncrementalAlterConfigsResponse()
    named: set[tuple[int, str]] = set()
    for wanted in message.resources:
        kind, name = wanted.resource_type, wanted.resource_name
        result = AlterConfigsResourceResponse(ErrorCode.NONE, None, kind, name)
        response.responses.append(result)
        try:
            if (kind, name) in named:
                raise RequestError(
                    ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
                )
            named.add((kind, name))
            _alter(broker, request, wanted, message.validate_only)
        except RequestError as error:
            result.error_code = error.code
            result.error_message = error.message
    return response


def _alter(
    broker: Broker, request: RequestContext, wanted: AlterConfigsResource, validate_only: bool
) -> None:
    kind, name = wanted.resource_type, wanted.resource_name
    require_config(request, Operation.ALTER_CONFIGS, kind, name)
    resource = Resource(broker, kind, name)
    overrides = resource.alter([(c.name, c.config_operation, c.value) for c in wanted.configs])
    resource.replace(overrides, validate_only)
