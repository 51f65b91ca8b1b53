"""API v3: configurations of topics, brokers and the whole cluster.

One set of handlers serves all three: they differ in the resource that Kafka
keeps the entries of, in their kind and in their path.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import bad_request, unprocessable
from ottla.gateway.json_bodies import list_of_objects, read_object, text_field
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.raw_calls import BROKER, EVERY_BROKER, TOPIC, Entry
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
#: Apache Kafka's brokers learn of a change some milliseconds after it was agreed to.
SETTLE_S: Final = 2.0
ALTER_FIELDS: Final = ("data", "validate_only")
#: The protocol's numbers of the places a configuration can be given in.
_SOURCES: Final = {
    1: "DYNAMIC_TOPIC_CONFIG",
    2: "DYNAMIC_BROKER_CONFIG",
    3: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    4: "STATIC_BROKER_CONFIG",
    5: "DEFAULT_CONFIG",
}


@dataclass(frozen=True)
class Owner:
    """Whose configuration a request is about."""

    resource: int
    name: str
    kind: str
    segments: tuple[object, ...]
    source: str
    fields: dict[str, object] = field(default_factory=dict)


def source_name(source: int) -> str:
    return _SOURCES.get(source, "UNKNOWN")


def topic_owner(name: str) -> Owner:
    return Owner(
        TOPIC,
        name,
        "KafkaTopicConfig",
        ("topics", name, "configs"),
        "DYNAMIC_TOPIC_CONFIG",
        {"topic_name": name},
    )


def broker_owner(broker: int) -> Owner:
    return Owner(
        BROKER,
        str(broker),
        "KafkaBrokerConfig",
        ("brokers", broker, "configs"),
        "DYNAMIC_BROKER_CONFIG",
        {"broker_id": broker},
    )


CLUSTER_OWNER: Final = Owner(
    BROKER,
    EVERY_BROKER,
    "KafkaClusterConfig",
    ("broker-configs",),
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    {"config_type": "BROKER"},
)


def view(place: Place, owner: Owner, entry: Entry) -> dict[str, Any]:
    """One entry as a resource; sensitive values are null, as Kafka sends them."""
    return place.resource(
        owner.kind,
        (*owner.segments, entry.name),
        **owner.fields,
        name=entry.name,
        value=entry.value,
        is_default=entry.is_default,
        is_read_only=entry.is_read_only,
        is_sensitive=entry.is_sensitive,
        source=source_name(entry.source),
        synonyms=[
            {"name": s.name, "value": s.value, "source": source_name(s.source)}
            for s in entry.synonyms
        ],
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

    async def _entries(self, owner: Owner) -> dict[str, Entry]:
        """Entries of the owner; of all brokers together only those that were set."""
        found = await self.kafka.call(self.kafka.raw.configs, owner.resource, [owner.name])
        if owner.name not in found:
            raise unknown_topic_or_partition()
        return found[owner.name]

    async def list_entries(self, request: Request) -> Response:
        place, owner = await self._owner(request)
        entries = await self._entries(owner)
        data = [view(place, owner, entry) for _, entry in sorted(entries.items())]
        return v3_json(place.collection(f"{owner.kind}List", owner.segments, data))

    async def all_topics(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        names = sorted((await self.kafka.metadata()).topics)
        found = await self.kafka.call(self.kafka.raw.configs, TOPIC, names) if names else {}
        data = [
            view(place, topic_owner(name), entry)
            for name in names
            for _, entry in sorted(found.get(name, {}).items())
        ]
        return v3_json(place.collection("KafkaTopicConfigList", ("topics", "-", "configs"), data))

    async def all_brokers(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        nodes = (await self.kafka.describe_cluster()).nodes
        owners = [broker_owner(node.id) for node in sorted(nodes, key=lambda n: int(n.id))]
        data = [
            view(place, owner, entry)
            for owner in owners
            for _, entry in sorted((await self._entries(owner)).items())
        ]
        segments = ("brokers", "-", "configs")
        return v3_json(place.collection("KafkaBrokerConfigList", segments, data))

    async def _entry(self, owner: Owner, name: str) -> Entry:
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
            pairs = [(entry.name, entry.value) for entry in changes]
            await self.kafka.call(self.kafka.raw.alter_configs_of_all_brokers, pairs, validate_only)
        else:
            await self._alter_incrementally(owner, changes, validate_only=validate_only)
        if not validate_only:
            await self._settled(owner, changes)

    async def _settled(self, owner: Owner, changes: list[ConfigEntry]) -> None:
        """Once the brokers show what the controller agreed to, or after a while."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            entries = await self._entries(owner)
            if all(is_shown(owner, entry, entries.get(entry.name)) for entry in changes):
                return
            await asyncio.sleep(0.02)

    async def _alter_incrementally(
        self, owner: Owner, changes: list[ConfigEntry], *, validate_only: bool
    ) -> None:
        resource = ConfigResource(
            ResourceType(owner.resource), owner.name, incremental_configs=changes
        )
        try:
            futures = self.kafka.admin().incremental_alter_configs(
                [resource], validate_only=validate_only, request_timeout=self.kafka.timeout_s
            )
        except (ValueError, TypeError) as error:
            raise bad_request(str(error)) from None
        await self.kafka.wait(next(iter(futures.values())))


def is_shown(owner: Owner, wanted: ConfigEntry, shown: Entry | None) -> bool:
    """Whether an entry is what a change of it asked for."""
    if shown is None or source_name(shown.source) != owner.source:
        return wanted.value is None
    return wanted.value is not None and (shown.is_sensitive or shown.value == wanted.value)


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
