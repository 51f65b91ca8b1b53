"""AlterClientQuotas (API key 49), versions 0 to 1 (KIP-546)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.broker.authorizer import Operation
from ottla.handlers.authorization import require_cluster
from ottla.handlers.describe_client_quotas import ENTITY_TYPES
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntryData,
    ResponseEntityData,
    ResponseEntryData,
)

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext

_USER_KEYS: Final = frozenset(
    {
        "producer_byte_rate",
        "consumer_byte_rate",
        "request_percentage",
        "controller_mutation_rate",
    }
)
_IP_KEYS: Final = frozenset({"connection_creation_rate"})
_WHOLE_KEYS: Final = frozenset(
    {"producer_byte_rate", "consumer_byte_rate", "connection_creation_rate"}
)


def handle(
    broker: Broker, request: RequestContext, message: AlterClientQuotasRequest
) -> AlterClientQuotasResponse:
    """Each entity has its quotas changed, durably, or its own error."""
    require_cluster(request, Operation.ALTER_CONFIGS)
    response = AlterClientQuotasResponse()
    named: set[tuple[tuple[str, str | None], ...]] = set()
    for entry in message.entries:
        result = ResponseEntryData(
            error_message=None,
            entity=[ResponseEntityData(e.entity_type, e.entity_name) for e in entry.entity],
        )
        response.entries.append(result)
        entity = tuple(sorted(((e.entity_type, e.entity_name) for e in entry.entity), key=str))
        try:
            if entity in named:
                raise RequestError(ErrorCode.INVALID_REQUEST, "Duplicate entity in request.")
            named.add(entity)
            changes = _check(entry)
            if changes and not message.validate_only:
                broker.commit_metadata(broker.metadata.decide_quota(entity, changes))
                broker.quotas.changed()
        except RequestError as error:
            result.error_code = error.code
            result.error_message = error.message
    return response


def _check(entry: EntryData) -> dict[str, float | None]:
    """The changes asked for, None for a limit to be removed."""
    kinds = [e.entity_type for e in entry.entity]
    if not kinds or len(set(kinds)) < len(kinds):
        raise RequestError(ErrorCode.INVALID_REQUEST, "Invalid empty client quota entity")
    for kind in kinds:
        if kind not in ENTITY_TYPES:
            raise RequestError(
                ErrorCode.INVALID_REQUEST, f"Unhandled client quota entity type: {kind}"
            )
    if any(e.entity_name == "" for e in entry.entity):
        raise RequestError(ErrorCode.INVALID_REQUEST, "Empty entity names are not allowed.")
    if "ip" in kinds and len(kinds) > 1:
        raise RequestError(ErrorCode.INVALID_REQUEST, "Invalid entity combination.")
    if kinds == ["ip"] and not _is_address(entry.entity[0].entity_name):
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"{entry.entity[0].entity_name} is not a valid IP address"
        )
    allowed = _IP_KEYS if kinds == ["ip"] else _USER_KEYS
    changes: dict[str, float | None] = {}
    for op in entry.ops:
        if op.key not in allowed:
            raise RequestError(ErrorCode.INVALID_REQUEST, f"Invalid configuration key {op.key}")
        if not op.remove and op.value <= 0:
            raise RequestError(ErrorCode.INVALID_REQUEST, f"Quota {op.key} must be greater than 0")
        if not op.remove and op.key in _WHOLE_KEYS and op.value != int(op.value):
            raise RequestError(ErrorCode.INVALID_REQUEST, f"Quota {op.key} cannot be a fraction")
        changes[op.key] = None if op.remove else op.value
    return changes


def _is_address(name: str | None) -> bool:
    """Whether it is an address (None: the default of all). Names of hosts are not looked up."""
    from ipaddress import ip_address

    try:
        return name is None or bool(ip_address(name))
    except ValueError:
        return False
