"""ListConfigResources (API key 74), versions 0 to 1.

v0 lists client metrics subscriptions (KIP-714); v1 every kind of resource that
can have dynamic configuration (KIP-1142).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorizer import Operation
from ottla.broker.topics import (
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
    RESOURCE_TOPIC,
)
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

ALL = (
    RESOURCE_TOPIC,
    RESOURCE_BROKER,
    RESOURCE_BROKER_LOGGER,
    RESOURCE_CLIENT_METRICS,
    RESOURCE_GROUP,
)


def handle(
    broker: Broker, request: RequestContext, message: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    """The resources of the kinds asked for; of all kinds when none is named."""
    require_cluster(request, Operation.DESCRIBE_CONFIGS)
    kinds = message.resource_types or list(ALL)
    if request.version == 0:
        kinds = [RESOURCE_CLIENT_METRICS]
    response = ListConfigResourcesResponse()
    for kind in sorted(set(kinds)):
        if kind not in ALL:
            raise RequestError(ErrorCode.UNSUPPORTED_VERSION)
        if kind == RESOURCE_TOPIC:
            names = list(broker.metadata.topics)
        elif kind in (RESOURCE_BROKER, RESOURCE_BROKER_LOGGER):
            names = [str(broker.node_id)]
        else:
            names = [name for k, name in broker.metadata.configs if k == kind]
        response.config_resources += [ConfigResource(name, kind) for name in names]
    return response
