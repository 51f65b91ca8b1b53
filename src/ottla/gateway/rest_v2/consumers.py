"""API v2: the routes below /consumers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TopicPartition
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import (
    RestError,
    invalid_consumer_config,
    no_schema_registry,
    partition_not_found,
    unprocessable,
)
from ottla.gateway.json_bodies import (
    MAX_INT64,
    int_field,
    is_text,
    list_of_objects,
    partition_field,
    read_object,
    text_field,
)
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.rest_v2.formats import (
    FORMATS,
    SCHEMA_FORMATS,
    accepted_read_format,
    check_plain_accept,
    check_plain_content_type,
    media_type,
)
from ottla.gateway.rest_v2.instances import ConsumerInstance, ConsumerInstances, InstanceConfig
from ottla.gateway.rest_v2.topics import v2_json

T = TypeVar("T")
CREATE_FIELDS = (
    "id",
    "name",
    "format",
    "auto.offset.reset",
    "auto.commit.enable",
    "fetch.min.bytes",
    "responseMinBytes",
    "consumer.request.timeout.ms",
    "requestWaitMs",
)
OFFSET_FIELDS = ("topic", "partition", "offset", "metadata")
INSTANCE = "/consumers/{group}/instances/{instance}"
NO_CONTENT = 204


def parse_config(body: dict[str, Any]) -> InstanceConfig:
    """The wishes of a create request. Errors: 42204, 40001, 42206."""
    for field in ("id", "name", "format", "auto.offset.reset"):
        if body.get(field) is not None and not is_text(body[field]):
            raise unprocessable(f"{field} must be a text")
    format_ = str(body.get("format") or "binary").lower()
    if format_ not in FORMATS:
        raise invalid_consumer_config(f"Invalid format type: {format_}")
    if format_ in SCHEMA_FORMATS:
        raise no_schema_registry()
    reset = body.get("auto.offset.reset")
    if reset is not None and reset not in ("earliest", "latest", "none"):
        raise invalid_consumer_config(
            f"auto.offset.reset must be earliest, latest or none, not {reset}"
        )
    commit = body.get("auto.commit.enable")
    commit_text = None if commit is None else str(commit).lower()
    if commit_text not in (None, "true", "false"):
        raise invalid_consumer_config("auto.commit.enable must be true or false")
    return InstanceConfig(
        name=str(body.get("id") or body.get("name") or ""),
        format=format_,
        auto_offset_reset="error" if reset == "none" else reset,
        auto_commit=commit_text,
        fetch_min_bytes=_bounded(body, "fetch.min.bytes", "responseMinBytes", -1, 10_000_000),
        request_timeout_ms=_bounded(
            body, "consumer.request.timeout.ms", "requestWaitMs", 1, 3_600_000
        ),
    )


def _bounded(body: dict[str, Any], name: str, alias: str, low: int, high: int) -> int | None:
    value = body.get(name, body.get(alias))
    if value is None:
        return None
    try:
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise TypeError
        number = int(value)
    except (TypeError, ValueError):
        raise invalid_consumer_config(f"{name} must be a number") from None
    if not low <= number <= high:
        raise RestError(
            422,
            40001,
            "Invalid consumer configuration. It does not abide by the constraints:"
            f" {name} must be between {low} and {high}",
        )
    return number


def parse_partitions(body: dict[str, Any]) -> list[TopicPartition]:
    return [
        TopicPartition(text_field(item, "topic"), partition_field(item))
        for item in list_of_objects(body, "partitions", ("topic", "partition"))
    ]


def parse_timestamp_ms(text: Any) -> int:
    """Milliseconds since 1970 of an ISO-8601 time. Errors: 422."""
    try:
        moment = datetime.fromisoformat(str(text))
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise unprocessable(f"timestamp is not an ISO-8601 time: {text}") from None


class ConsumerRoutes:
    """Handlers of the consumer routes."""

    def __init__(self, kafka: KafkaAccess, instances: ConsumerInstances) -> None:
        self.kafka = kafka
        self.instances = instances

    def routes(self) -> list[Route]:
        return [
            Route("/consumers/{group}", self.create, methods=["POST"]),
            Route(INSTANCE, self.delete, methods=["DELETE"]),
            Route(f"{INSTANCE}/subscription", self.subscribe, methods=["POST"]),
            Route(f"{INSTANCE}/subscription", self.get_subscription, methods=["GET"]),
            Route(f"{INSTANCE}/subscription", self.unsubscribe, methods=["DELETE"]),
            Route(f"{INSTANCE}/assignments", self.assign, methods=["POST"]),
            Route(f"{INSTANCE}/assignments", self.get_assignments, methods=["GET"]),
            Route(f"{INSTANCE}/positions", self.seek, methods=["POST"]),
            Route(f"{INSTANCE}/positions/beginning", self.seek_beginning, methods=["POST"]),
            Route(f"{INSTANCE}/positions/end", self.seek_end, methods=["POST"]),
            Route(f"{INSTANCE}/records", self.read, methods=["GET"]),
            Route(f"{INSTANCE}/offsets", self.commit, methods=["POST"]),
            Route(f"{INSTANCE}/offsets", self.get_committed, methods=["GET"]),
        ]

    async def _body(
        self, request: Request, fields: tuple[str, ...], *, optional: bool = False
    ) -> dict[str, Any]:
        check_plain_content_type(request.headers.get("content-type"))
        limit = self.kafka.settings.max_request_bytes
        return await read_object(request, limit, fields, optional=optional)

    def _instance(self, request: Request) -> ConsumerInstance:
        params = request.path_params
        return self.instances.get(params["group"], params["instance"])

    async def _locked(self, instance: ConsumerInstance, work: Callable[[], T]) -> T:
        def run() -> T:
            with instance.lock:
                return work()

        return await self.kafka.call(run)

    async def create(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        config = parse_config(await self._body(request, CREATE_FIELDS, optional=True))
        group = request.path_params["group"]
        instance = await self.instances.create(group, config)
        base = f"{request.url.scheme}://{request.url.netloc}"
        path = f"/consumers/{quote(group, safe='')}/instances/{quote(config.name, safe='')}"
        return v2_json({"instance_id": instance.config.name, "base_uri": base + path})

    async def delete(self, request: Request) -> Response:
        await self.instances.delete(request.path_params["group"], request.path_params["instance"])
        return Response(status_code=NO_CONTENT)

    async def subscribe(self, request: Request) -> Response:
        body = await self._body(request, ("topics", "topic_pattern"))
        topics, pattern = body.get("topics"), body.get("topic_pattern")
        if topics is None and pattern and is_text(pattern):
            # librdkafka takes a pattern as a topic that starts with "^".
            topics = [pattern if pattern.startswith("^") else f"^{pattern}"]
        if not isinstance(topics, list) or not topics or not all(t and is_text(t) for t in topics):
            raise unprocessable("topics may not be empty")
        instance = self._instance(request)
        await self._locked(instance, lambda: instance.subscribe(topics))
        return Response(status_code=NO_CONTENT)

    async def get_subscription(self, request: Request) -> Response:
        return v2_json({"topics": self._instance(request).topics})

    async def unsubscribe(self, request: Request) -> Response:
        instance = self._instance(request)
        await self._locked(instance, instance.unsubscribe)
        return Response(status_code=NO_CONTENT)

    async def assign(self, request: Request) -> Response:
        partitions = parse_partitions(await self._body(request, ("partitions",)))
        instance = self._instance(request)
        await self._locked(instance, lambda: instance.assign(partitions))
        return Response(status_code=NO_CONTENT)

    async def get_assignments(self, request: Request) -> Response:
        instance = self._instance(request)
        partitions = await self._locked(instance, instance.assignment)
        return v2_json(
            {"partitions": [{"topic": p.topic, "partition": p.partition} for p in partitions]}
        )

    async def seek(self, request: Request) -> Response:
        body = await self._body(request, ("offsets", "timestamps"))
        targets = [
            TopicPartition(text_field(o, "topic"), partition_field(o), int_field(o, "offset"))
            for o in list_of_objects(body, "offsets", OFFSET_FIELDS, required=False)
        ]
        times = [
            TopicPartition(
                text_field(t, "topic"),
                partition_field(t),
                parse_timestamp_ms(t.get("timestamp")),
            )
            for t in list_of_objects(
                body, "timestamps", ("topic", "partition", "timestamp", "metadata"), required=False
            )
        ]
        instance = self._instance(request)

        def work() -> None:
            found = instance.consumer.offsets_for_times(times, timeout=10) if times else []
            instance.seek(targets + found)

        await self._locked(instance, work)
        return Response(status_code=NO_CONTENT)

    async def _seek_to(self, request: Request, offset: int) -> Response:
        partitions = parse_partitions(await self._body(request, ("partitions",)))
        for partition in partitions:
            partition.offset = offset
        instance = self._instance(request)
        await self._locked(instance, lambda: instance.seek(partitions))
        return Response(status_code=NO_CONTENT)

    async def seek_beginning(self, request: Request) -> Response:
        return await self._seek_to(request, OFFSET_BEGINNING)

    async def seek_end(self, request: Request) -> Response:
        return await self._seek_to(request, OFFSET_END)

    async def read(self, request: Request) -> Response:
        """Read records; `?metadata=true` adds timestamps and headers to each."""
        format_ = accepted_read_format(request.headers.get("accept"))
        params = request.path_params
        instance = self.instances.get(params["group"], params["instance"], format_)
        timeout_ms = _query_int(request, "timeout")
        max_bytes = _query_int(request, "max_bytes")
        with_metadata = request.query_params.get("metadata", "false").lower() == "true"
        records = await self._locked(instance, lambda: instance.read(timeout_ms, max_bytes))
        view = [instance.view(record, with_metadata) for record in records]
        response = v2_json(view)
        response.headers["content-type"] = media_type(instance.config.format)
        return response

    async def commit(self, request: Request) -> Response:
        body = await self._body(request, ("offsets",), optional=True)
        instance = self._instance(request)
        asynchronous = request.query_params.get("async", "false").lower() == "true"
        offsets: list[TopicPartition] | None = None
        if body.get("offsets"):
            # A client names the last record it has handled; Kafka stores the next one.
            offsets = [
                TopicPartition(
                    text_field(o, "topic"),
                    partition_field(o),
                    int_field(o, "offset", maximum=MAX_INT64 - 1) + 1,
                    o.get("metadata") or "",
                )
                for o in list_of_objects(body, "offsets", OFFSET_FIELDS)
            ]
        done = await self._locked(
            instance, lambda: instance.commit(offsets, asynchronous=asynchronous)
        )
        return v2_json(done)

    async def get_committed(self, request: Request) -> Response:
        body = await self._body(request, ("partitions",), optional=True)
        if not body:
            raise partition_not_found()
        partitions = parse_partitions(body)
        instance = self._instance(request)
        offsets = await self._locked(instance, lambda: instance.committed(partitions))
        return v2_json({"offsets": offsets})

    def background(self) -> asyncio.Task[None]:
        """Start the expiry of idle instances."""
        return asyncio.create_task(self.instances.expire_idle(), name="expire consumer instances")


def _query_int(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise RestError(404, 404, "HTTP 404 Not Found") from None
