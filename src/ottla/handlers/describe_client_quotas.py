"""DescribeClientQuotas (API key 48), versions 0 to 1 (KIP-546)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

EXACT: Final = 0
DEFAULT: Final = 1
ANY: Final = 2

ENTITY_TYPES: Final = ("user", "client-id", "ip")


def handle(
    broker: Broker, request: RequestContext, message: DescribeClientQuotasRequest
) -> DescribeClientQuotasResponse:
    """The quotas of the entities that match every component of the filter."""
    require_cluster(request, Operation.DESCRIBE_CONFIGS)
    wanted: dict[str, ComponentData] = {}
    for component in message.components:
        if not component.entity_type:
            raise RequestError(ErrorCode.INVALID_REQUEST, "Unexpected empty filter component.")
        if component.entity_type in wanted:
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                f"Entity type {component.entity_type} cannot appear more than once in the filter.",
            )
        if component.entity_type not in ENTITY_TYPES:
            raise RequestError(
                ErrorCode.UNSUPPORTED_VERSION, f"Custom entity type {component.entity_type}"
            )
        if component.match_type not in (EXACT, DEFAULT, ANY):
            raise RequestError(
                ErrorCode.INVALID_REQUEST, f"Unexpected match type: {component.match_type}"
            )
        wanted[component.entity_type] = component
    if "ip" in wanted and len(wanted) > 1:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, "Invalid entity filter component combination."
        )
    entries = []
    for entity, limits in broker.metadata.quotas.items():
        names = dict(entity)
        if not all(_matches(c, names) for c in wanted.values()):
            continue
        if message.strict and set(names) != set(wanted):
            continue
        entries.append(
            EntryData(
                [EntityData(kind, name) for kind, name in entity],
                [ValueData(key, value) for key, value in limits.items()],
            )
        )
    return DescribeClientQuotasResponse(entries=entries)


def _matches(component: ComponentData, names: dict[str, str | None]) -> bool:
    if component.entity_type not in names:
        return False
    name = names[component.entity_type]
    if component.match_type == EXACT:
        return name == component.match
    return component.match_type == ANY or name is None
