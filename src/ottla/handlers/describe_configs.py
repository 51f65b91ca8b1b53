"""DescribeConfigs (API key 32), versions 0 to 4.

v1 synonyms (KIP-226); v3 documentation and types (KIP-569).

All keys of a resource with their effective values and where those come from.
A broker is asked by its id, or by the empty name for the cluster-wide values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.config import ConfigEntry
from ottla.broker.config_changes import Resource, check_broker_name
from ottla.broker.topics import RESOURCE_BROKER_LOGGER
from ottla.handlers.config_authorization import require_config
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: DescribeConfigsRequest
) -> DescribeConfigsResponse:
    """Effective configuration of each resource."""
    response = DescribeConfigsResponse()
    for resource in message.resources:
        result = DescribeConfigsResult(
            ErrorCode.NONE, "", resource.resource_type, resource.resource_name
        )
        response.results.append(result)
        try:
            entries = _entries(broker, request, resource)
        except RequestError as error:
            result.error_code = error.code
            result.error_message = error.message
            continue
        keys = resource.configuration_keys
        result.configs = [
            _row(entry, message)
            for entry in entries
            # No keys at all means all of them, as librdkafka has it.
            if not keys or entry.name in keys
        ]
    return response


def _entries(
    broker: Broker, request: RequestContext, resource: DescribeConfigsResource
) -> list[ConfigEntry]:
    kind, name = resource.resource_type, resource.resource_name
    require_config(request, Operation.DESCRIBE_CONFIGS, kind, name)
    if kind == RESOURCE_BROKER_LOGGER:
        check_broker_name(broker, name)
        return []
    return Resource(broker, kind, name).describe()


def _row(entry: ConfigEntry, message: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    row = DescribeConfigsResourceResult(
        entry.name,
        entry.value,
        entry.is_read_only,
        entry.is_default,
        entry.source,
        entry.is_sensitive,
        config_type=entry.type,
        documentation=entry.documentation if message.include_documentation else None,
    )
    if message.include_synonyms:
        row.synonyms = [DescribeConfigsSynonym(s.name, s.value, s.source) for s in entry.synonyms]
    return row
