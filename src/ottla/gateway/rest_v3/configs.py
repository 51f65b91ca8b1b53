"""API v3: configurations of topics, brokers and the whole cluster.

One set of handlers serves all three: they differ in the resource that Kafka
keeps the entries of, in their kind and in their path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import RestError, bad_request, unprocessable
from ottla.gateway.json_bodies import list_of_objects, read_object, text_field
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.rest_v3.resources import (
    Place,
    no_content,
    not_found,
    number_in_path,
    optional_bool,
    place_of,
    unknown_topic_or_partition,
    v3_json,
)

CLUSTER: Final = "/v3/clusters/{cluster}"
ALTER_FIELDS: Final = ("data", "validate_only")
_SOURCES: Final = {
    "UNKNOWN_CONFIG": "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG": "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG": "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG": "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG": "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG": "DEFAULT_CONFIG",
    "GROUP_CONFIG": "GROUP_CONFIG",
    "CLIENT_METRICS_CONFIG": "CLIENT_METRICS_CONFIG",
}


@dataclass(frozen=True)
class Owner:
    """Whose configuration a request is about; `name` "" is every broker."""

    resource: str
    name: str
    kind: str
    segments: tuple[object, ...]
    fields: dict[str, object] = field(default_factory=dict)


def source_name(source: object) -> str:
    try:
        return _SOURCES.get(ConfigSource(source).name, "UNKNOWN")
    except ValueError:
        return "UNKNOWN"


def topic_owner(name: str) -> Owner:
    return Owner(
        "topic", name, "KafkaTopicConfig", ("topics", name, "configs"), {"topic_name": name}
    )


def broker_owner(broker: int) -> Owner:
    return Owner(
        "broker",
        str(broker),
        "KafkaBrokerConfig",
        ("brokers", broker, "configs"),
        {"broker_id": broker},
    )


CLUSTER_OWNER: Final = Owner(
    "broker", "", "KafkaClusterConfig", ("broker-configs",), {"config_type": "BROKER"}
)


def synonyms_of(entry: Any) -> list[dict[str, Any]]:
    found = entry.synonyms or {}
    return [
        {"name": s.name, "value": s.value, "source": source_name(s.source)}
        for s in (found.values() if isinstance(found, dict) else found)
    ]


def view(place: Place, owner: Owner, entry: Any) -> dict[str, Any]:
    """One entry as a resource; sensitive values are null, as Kafka sends them."""
    return place.resource(
        owner.kind,
        (*owner.segments, entry.name),
        **owner.fields,
        name=entry.name,
        value=entry.value,
        is_default=bool(entry.is_default),
        is_read_only=bool(entry.is_read_only),
        is_sensitive=bool(entry.is_sensitive),
        source=source_name(entry.source),
        synonyms=synonyms_of(entry),
    )


class ConfigRoutes:
    """Handlers of all `configs` routes."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka

    def routes(self) -> list[Route]:
        found = [
            Route(f"{CLUSTER}/topics/-/configs", self.all_topics, methods=["GET"]),
            Route(f"{CLUSTER}/brokers/-/configs", self.all_brokers, methods=["GET"]),
        ]
        for path in (
            f"{CLUSTER}/topics/{{topic}}/configs",
            f"{CLUSTER}/brokers/{{broker}}/configs",
            f"{CLUSTER}/broker-configs",
        ):
            one = f"{path}/{{name}}"
            found += [
                Route(path, self.list_entries, methods=["GET"]),
                Route(f"{path}:alter", self.alter, methods=["POST"]),
                Route(one, self.get_entry, methods=["GET"]),
                Route(one, self.put_entry, methods=["PUT"]),
                Route(one, self.delete_entry, methods=["DELETE"]),
            ]
        return found

    async def _owner(self, request: Request) -> tuple[Place, Owner]:
        place = await place_of(self.kafka, request)
        if "topic" in request.path_params:
            return place, topic_owner(request.path_params["topic"])
        if "broker" in request.path_params:
            broker = number_in_path(request, "broker")
            cluster = await self.kafka.describe_cluster()
            if broker not in {node.id for node in cluster.nodes}:
                raise not_found(f"Broker {broker}")
            return place, broker_owner(broker)
        return place, CLUSTER_OWNER

    async def _entries(self, owner: Owner) -> dict[str, Any]:
        """Entries of the owner; of the cluster only those that were set."""
        if owner is CLUSTER_OWNER:
            # librdkafka has no name for the default of all brokers, so it is
            # read from any broker's synonyms.
            cluster = await self.kafka.describe_cluster()
            entries = await self.kafka.configs("broker", str(cluster.nodes[0].id))
            default = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG.value
            return {
                name: synonym
                for name, entry in entries.items()
                for synonym in (entry.synonyms or {}).values()
                if synonym.source == default
            }
        try:
            return await self.kafka.configs(owner.resource, owner.name)
        except RestError as error:
            if error.error_code in (40403, 40002) and owner.resource == "topic":
                raise unknown_topic_or_partition() from None
            raise

    async def list_entries(self, request: Request) -> Response:
        place, owner = await self._owner(request)
        entries = await self._entries(owner)
        data = [view(place, owner, entry) for _, entry in sorted(entries.items())]
        return v3_json(place.collection(f"{owner.kind}List", owner.segments, data))

    async def all_topics(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        metadata = await self.kafka.metadata()
        owners = [topic_owner(name) for name in sorted(metadata.topics)]
        return await self._of_all(place, owners, "KafkaTopicConfigList", ("topics", "-", "configs"))

    async def all_brokers(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        cluster = await self.kafka.describe_cluster()
        owners = [broker_owner(node.id) for node in cluster.nodes]
        segments = ("brokers", "-", "configs")
        return await self._of_all(place, owners, "KafkaBrokerConfigList", segments)

    async def _of_all(
        self, place: Place, owners: list[Owner], kind: str, segments: tuple[object, ...]
    ) -> Response:
        entries = await self.kafka.gather(self._entries(owner) for owner in owners)
        data = [
            view(place, owner, entry)
            for owner, found in zip(owners, entries, strict=True)
            for _, entry in sorted(found.items())
        ]
        return v3_json(place.collection(kind, segments, data))

    async def _entry(self, owner: Owner, name: str) -> Any:
        entries = await self._entries(owner)
        if name not in entries:
            raise not_found(f"Config {name}")
        return entries[name]

    async def get_entry(self, request: Request) -> Response:
        place, owner = await self._owner(request)
        entry = await self._entry(owner, request.path_params["name"])
        return v3_json(view(place, owner, entry))

    async def put_entry(self, request: Request) -> Response:
        _, owner = await self._owner(request)
        name = request.path_params["name"]
        limit = self.kafka.settings.max_request_bytes
        body = await read_object(request, limit, ("value",))
        if owner is not CLUSTER_OWNER:
            await self._entry(owner, name)
        await self._alter(owner, [change(name, body.get("value"), "SET")])
        return no_content()

    async def delete_entry(self, request: Request) -> Response:
        _, owner = await self._owner(request)
        name = request.path_params["name"]
        if owner is not CLUSTER_OWNER:
            await self._entry(owner, name)
        await self._alter(owner, [change(name, None, "DELETE")])
        return no_content()

    async def alter(self, request: Request) -> Response:
        _, owner = await self._owner(request)
        limit = self.kafka.settings.max_request_bytes
        body = await read_object(request, limit, ALTER_FIELDS)
        changes = [
            change(text_field(item, "name"), item.get("value"), str(item.get("operation") or "SET"))
            for item in list_of_objects(body, "data", ("name", "value", "operation"))
        ]
        if owner is not CLUSTER_OWNER:
            entries = await self._entries(owner)
            for entry in changes:
                if entry.name not in entries:
                    raise not_found(f"Config {entry.name}")
        await self._alter(owner, changes, validate_only=optional_bool(body, "validate_only"))
        return no_content()

    async def _alter(
        self, owner: Owner, changes: list[ConfigEntry], *, validate_only: bool = False
    ) -> None:
        if owner is CLUSTER_OWNER:
            raise RestError(
                400,
                40002,
                "The default of all brokers cannot be set through this gateway;"
                " set it on a broker: brokers/{id}/configs.",
            )
        resource = ConfigResource(
            getattr(ResourceType, owner.resource.upper()), owner.name, incremental_configs=changes
        )
        try:
            futures = self.kafka.admin().incremental_alter_configs(
                [resource], validate_only=validate_only, request_timeout=self.kafka.timeout_s
            )
        except (ValueError, TypeError) as error:
            raise bad_request(str(error)) from None
        await self.kafka.wait(next(iter(futures.values())))


def change(name: str, value: object, operation: str) -> ConfigEntry:
    """Errors: 422 for an operation or a value that is neither text, number nor boolean."""
    if operation not in ("SET", "DELETE"):
        raise unprocessable(f"operation must be SET or DELETE, not {operation}")
    if operation == "SET" and (value is None or isinstance(value, list | dict)):
        raise unprocessable(f"value of {name} must be a text, a number, true or false")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return ConfigEntry(
        name,
        text if operation == "SET" else None,
        incremental_operation=getattr(AlterConfigOpType, operation),
    )
