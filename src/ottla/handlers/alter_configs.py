"""AlterConfigs (API key 33), versions 0 to 2.

Replaces all overrides of a resource; IncrementalAlterConfigs is what newer
clients use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.config_changes import Resource
from ottla.handlers.config_authorization import require_config
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: AlterConfigsRequest
) -> AlterConfigsResponse:
    """Each resource has exactly the overrides given, or its own error."""
    response = AlterConfigsResponse()
    for wanted in message.resources:
        kind, name = wanted.resource_type, wanted.resource_name
        result = AlterConfigsResourceResponse(ErrorCode.NONE, None, kind, name)
        response.responses.append(result)
        try:
            _replace(broker, request, wanted, message.validate_only)
        except RequestError as error:
            result.error_code = error.code
            result.error_message = error.message
    return response


def _replace(
    broker: Broker, request: RequestContext, wanted: AlterConfigsResource, validate_only: bool
) -> None:
    kind, name = wanted.resource_type, wanted.resource_name
    require_config(request, Operation.ALTER_CONFIGS, kind, name)
    resource = Resource(broker, kind, name)
    overrides: dict[str, str] = {}
    for config in wanted.configs:
        if config.value is None:
            raise RequestError(
                ErrorCode.INVALID_REQUEST, f"Null value not supported for : {config.name}"
            )
        overrides[config.name] = config.value
    resource.replace(overrides, validate_only)
