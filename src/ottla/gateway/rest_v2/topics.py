"""API v2: topics, partitions, offsets, brokers, and producing to them."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import (
    V2_JSON_TYPE,
    RestError,
    partition_not_found,
    topic_not_found,
)
from ottla.gateway.json_bodies import (
    compact_json,
    list_of_objects,
    partition_field,
    read_object,
)
from ottla.gateway.kafka_access import EARLIEST, LATEST, KafkaAccess
from ottla.gateway.producing import OutgoingRecord, RecordProducer, describe_failure
from ottla.gateway.rest_v2.formats import (
    SCHEMA_FIELDS,
    check_plain_accept,
    check_schemas,
    encode_embedded,
    produce_format,
)

PRODUCE_FIELDS = ("records", *SCHEMA_FIELDS)


def v2_json(content: Any, status: int = 200) -> Response:
    return Response(compact_json(content), status_code=status, media_type=V2_JSON_TYPE)


def partition_view(partition: Any) -> dict[str, Any]:
    """A partition as API v2 shows it; `leader` is -1 while there is none."""
    leader = -1 if partition.leader is None else partition.leader.id
    in_sync = {node.id for node in partition.isr}
    return {
        "partition": partition.id,
        "leader": leader,
        "replicas": [
            {"broker": node.id, "leader": node.id == leader, "in_sync": node.id in in_sync}
            for node in partition.replicas
        ],
    }


def sorted_partitions(topic: Any) -> list[Any]:
    return sorted(topic.partitions, key=lambda p: int(p.id))


class TopicRoutes:
    """Handlers of the routes below /topics, /brokers and /."""

    def __init__(self, kafka: KafkaAccess, producer: RecordProducer) -> None:
        self.kafka = kafka
        self.producer = producer

    def routes(self) -> list[Route]:
        partition = "/topics/{topic}/partitions/{partition}"
        return [
            Route("/", self.root, methods=["GET", "POST"]),
            Route("/brokers", self.brokers, methods=["GET"]),
            Route("/topics", self.list_topics, methods=["GET"]),
            Route("/topics/{topic}", self.get_topic, methods=["GET"]),
            Route("/topics/{topic}", self.produce, methods=["POST"]),
            Route("/topics/{topic}/partitions", self.list_partitions, methods=["GET"]),
            Route(partition, self.get_partition, methods=["GET"]),
            Route(partition, self.produce, methods=["POST"]),
            Route(f"{partition}/offsets", self.get_offsets, methods=["GET"]),
        ]

    async def root(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        return v2_json({})

    async def brokers(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        metadata = await self.kafka.metadata()
        return v2_json({"brokers": sorted(metadata.brokers)})

    async def list_topics(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        metadata = await self.kafka.metadata()
        return v2_json(sorted(metadata.topics))

    async def get_topic(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        name = request.path_params["topic"]
        topic = await self.kafka.topic(name)
        configs = await self.kafka.configs("topic", name)
        return v2_json(
            {
                "name": name,
                "configs": {key: entry.value for key, entry in sorted(configs.items())},
                "partitions": [partition_view(p) for p in sorted_partitions(topic)],
            }
        )

    async def list_partitions(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        topic = await self.kafka.topic(request.path_params["topic"])
        return v2_json([partition_view(p) for p in sorted_partitions(topic)])

    async def _partition(self, request: Request) -> tuple[str, int, Any]:
        name = request.path_params["topic"]
        try:
            number = int(request.path_params["partition"])
        except ValueError:
            raise RestError(404, 404, "HTTP 404 Not Found") from None
        topic = await self.kafka.topic(name)
        found = next((p for p in topic.partitions if p.id == number), None)
        if found is None:
            raise partition_not_found()
        return name, number, found

    async def get_partition(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        _, _, partition = await self._partition(request)
        return v2_json(partition_view(partition))

    async def get_offsets(self, request: Request) -> Response:
        check_plain_accept(request.headers.get("accept"))
        name, number, _ = await self._partition(request)
        where = [(name, number)]
        beginning = await self.kafka.offsets(where, EARLIEST)
        end = await self.kafka.offsets(where, LATEST)
        if not beginning or not end:
            raise topic_not_found()
        return v2_json(
            {"beginning_offset": beginning[name, number], "end_offset": end[name, number]}
        )

    async def produce(self, request: Request) -> Response:
        """Produce to a topic, or to one partition when the path names it."""
        format_ = produce_format(request.headers.get("content-type"))
        check_plain_accept(request.headers.get("accept"))
        number: int | None = None
        fields: tuple[str, ...] = ("key", "value", "partition")
        if "partition" in request.path_params:
            _, number, _ = await self._partition(request)
            fields = ("key", "value")
        body = await read_object(request, self.kafka.settings.max_request_bytes, PRODUCE_FIELDS)
        check_schemas(format_, body)
        records = [
            outgoing(format_, record, number) for record in list_of_objects(body, "records", fields)
        ]
        deliveries = await self.producer.send(request.path_params["topic"], records)
        offsets = []
        for delivery in deliveries:
            code, message = describe_failure(delivery.error) if delivery.error else (None, None)
            offsets.append(
                {
                    "partition": delivery.partition,
                    "offset": delivery.offset,
                    "error_code": code,
                    "error": message,
                }
            )
        return v2_json({"offsets": offsets, "key_schema_id": None, "value_schema_id": None})


def outgoing(format_: str, record: dict[str, Any], partition: int | None) -> OutgoingRecord:
    """One record of a produce request. Errors: 422 for a bad partition, key or value."""
    chosen = partition
    if record.get("partition") is not None:
        chosen = partition_field(record)
    return OutgoingRecord(
        key=encode_embedded(format_, record.get("key"), "key"),
        value=encode_embedded(format_, record.get("value"), "value"),
        partition=chosen,
    )
