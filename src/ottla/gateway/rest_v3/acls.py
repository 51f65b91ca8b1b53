"""API v3: access control lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
)
from confluent_kafka.admin import ResourceType as AclResourceType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import RestError, bad_request
from ottla.gateway.json_bodies import list_of_objects, read_object, text_field
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.raw_calls import Acl
from ottla.gateway.rest_v3.resources import Place, place_of, v3_json
from ottla.wire.messages.describe_acls import DescribeAclsRequest

ACLS: Final = "/v3/clusters/{cluster}/acls"
#: The protocol's kinds of resources that have another name, or none, in the client library.
_MORE_KINDS: Final = {4: "CLUSTER", 6: "DELEGATION_TOKEN", 7: "USER"}
FIELDS: Final = (
    "resource_type",
    "resource_name",
    "pattern_type",
    "principal",
    "host",
    "operation",
    "permission",
)


def named(kind: Any, text: str | None, name: str) -> Any:
    """A member of one of the client's enumerations; nothing given is ANY."""
    wanted = (text or "ANY").upper()
    wanted = {"CLUSTER": "BROKER"}.get(wanted, wanted) if kind is AclResourceType else wanted
    try:
        return kind[wanted]
    except KeyError:
        raise bad_request(f"{name} may not be {text}") from None


def wanted_by(given: Mapping[str, Any]) -> AclBindingFilter:
    """Errors: 400 for a word that names nothing."""
    # The library's annotations leave out that None stands for any.
    name: Any = given.get("resource_name")
    principal: Any = given.get("principal")
    host: Any = given.get("host")
    try:
        return AclBindingFilter(
            named(AclResourceType, given.get("resource_type"), "resource_type"),
            name,
            named(ResourcePatternType, given.get("pattern_type"), "pattern_type"),
            principal,
            host,
            named(AclOperation, given.get("operation"), "operation"),
            named(AclPermissionType, given.get("permission"), "permission"),
        )
    except (ValueError, TypeError) as error:
        raise bad_request(str(error)) from None


def binding_of(given: dict[str, Any]) -> AclBinding:
    """Errors: 422 for a missing field, 400 for a word that names nothing."""
    texts = {name: text_field(given, name) for name in FIELDS}
    try:
        return AclBinding(
            named(AclResourceType, texts["resource_type"], "resource_type"),
            texts["resource_name"],
            named(ResourcePatternType, texts["pattern_type"], "pattern_type"),
            texts["principal"],
            texts["host"],
            named(AclOperation, texts["operation"], "operation"),
            named(AclPermissionType, texts["permission"], "permission"),
        )
    except (ValueError, TypeError) as error:
        raise bad_request(str(error)) from None


def name_of(kind: Any, number: int) -> str:
    """The word for a number of the protocol, also for kinds the client library lacks."""
    if kind is AclResourceType and number in _MORE_KINDS:
        return _MORE_KINDS[number]
    try:
        return str(kind(number).name)
    except ValueError:
        return "UNKNOWN"


def view(place: Place, acl: Acl) -> dict[str, Any]:
    fields = {
        "resource_type": name_of(AclResourceType, acl.resource_type),
        "resource_name": acl.resource_name,
        "pattern_type": name_of(ResourcePatternType, acl.pattern_type),
        "principal": acl.principal,
        "host": acl.host,
        "operation": name_of(AclOperation, acl.operation),
        "permission": name_of(AclPermissionType, acl.permission),
    }
    resource = place.resource("KafkaAcl", ("acls",), **fields)
    resource["metadata"]["self"] += "?" + urlencode(fields)
    return resource


def removed(binding: Any) -> Acl:
    """The entry that a deletion tells of."""
    return Acl(
        binding.restype.value,
        binding.name,
        binding.resource_pattern_type.value,
        binding.principal,
        binding.host,
        binding.operation.value,
        binding.permission_type.value,
    )


class AclRoutes:
    """Handlers of /v3/clusters/{cluster}/acls."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka

    def routes(self) -> list[Route]:
        return [
            Route(ACLS, self.list_acls, methods=["GET"]),
            Route(ACLS, self.create, methods=["POST"]),
            Route(ACLS, self.delete, methods=["DELETE"]),
            Route(f"{ACLS}:batch", self.create_batch, methods=["POST"]),
        ]

    async def list_acls(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        wanted: Any = wanted_by(request.query_params)
        found = await self.kafka.call(
            self.kafka.raw.acls,
            DescribeAclsRequest(
                wanted.restype.value,
                wanted.name,
                wanted.resource_pattern_type.value,
                wanted.principal,
                wanted.host,
                wanted.operation.value,
                wanted.permission_type.value,
            ),
        )
        data = [view(place, acl) for acl in sorted(found)]
        return v3_json(place.collection("KafkaAclList", ("acls",), data))

    async def _create(self, bindings: list[AclBinding]) -> None:
        futures = self.kafka.admin().create_acls(bindings, request_timeout=self.kafka.timeout_s)
        for future in futures.values():
            await self.kafka.wait(future)

    async def create(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        body = await read_object(request, self.kafka.settings.max_request_bytes, FIELDS)
        await self._create([binding_of(body)])
        return Response(status_code=201, headers={"location": place.url("acls")})

    async def create_batch(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        body = await read_object(request, self.kafka.settings.max_request_bytes, ("data",))
        await self._create([binding_of(item) for item in list_of_objects(body, "data", FIELDS)])
        return Response(status_code=201, headers={"location": place.url("acls")})

    async def delete(self, request: Request) -> Response:
        """Removes what the query matches; it must say type, pattern, operation, permission."""
        place = await place_of(self.kafka, request)
        for name in ("resource_type", "pattern_type", "operation", "permission"):
            if not request.query_params.get(name):
                raise RestError(400, 400, f"{name} is required to delete ACLs")
        futures = self.kafka.admin().delete_acls(
            [wanted_by(request.query_params)], request_timeout=self.kafka.timeout_s
        )
        gone = await self.kafka.wait(next(iter(futures.values())))
        return v3_json({"data": [view(place, acl) for acl in sorted(map(removed, gone))]})
