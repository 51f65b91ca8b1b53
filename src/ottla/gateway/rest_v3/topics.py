"""API v3: topics, partitions, their offsets and replicas."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from confluent_kafka.admin import NewPartitions
from confluent_kafka.cimpl import NewTopic
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import RestError, bad_request, unprocessable
from ottla.gateway.json_bodies import (
    MAX_INT32,
    int_field,
    list_of_objects,
    partition_field,
    read_object,
    text_field,
)
from ottla.gateway.kafka_access import EARLIEST, LATEST, KafkaAccess
from ottla.gateway.raw_calls import Reassignment
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

TOPICS: Final = "/v3/clusters/{cluster}/topics"
#: Apache Kafka's brokers learn of a deletion some milliseconds after it was agreed to.
SETTLE_S: Final = 2.0
CREATE_FIELDS: Final = (
    "topic_name",
    "partitions_count",
    "replication_factor",
    "replicas_assignments",
    "configs",
    "validate_only",
)


def topic_view(
    place: Place,
    name: str,
    partitions: int,
    replicas: int,
    *,
    is_internal: bool,
    operations: list[str],
) -> dict[str, Any]:
    where = ("topics", name)
    return place.resource(
        "KafkaTopic",
        where,
        topic_name=name,
        is_internal=is_internal,
        replication_factor=replicas,
        partitions_count=partitions,
        partitions=place.related(*where, "partitions"),
        configs=place.related(*where, "configs"),
        partition_reassignments=place.related(*where, "partitions", "-", "reassignment"),
        authorized_operations=operations,
    )


def partition_view(place: Place, topic: str, number: int, leader: int | None) -> dict[str, Any]:
    where = ("topics", topic, "partitions", number)
    return place.resource(
        "KafkaPartition",
        where,
        topic_name=topic,
        partition_id=number,
        leader=None if leader is None else place.related(*where, "replicas", leader),
        replicas=place.related(*where, "replicas"),
        reassignment=place.related(*where, "reassignment"),
    )


def replica_view(
    place: Place, topic: str, number: int, broker: int, is_leader: bool, is_in_sync: bool
) -> dict[str, Any]:
    return place.resource(
        "KafkaReplica",
        ("topics", topic, "partitions", number, "replicas", broker),
        topic_name=topic,
        partition_id=number,
        broker_id=broker,
        is_leader=is_leader,
        is_in_sync=is_in_sync,
        broker=place.related("brokers", broker),
    )


def reassignment_view(place: Place, moving: Reassignment) -> dict[str, Any]:
    where = ("topics", moving.topic, "partitions", moving.partition)
    return place.resource(
        "KafkaReassignment",
        (*where, "reassignment"),
        topic_name=moving.topic,
        partition_id=moving.partition,
        adding_replicas=moving.adding,
        removing_replicas=moving.removing,
        replicas=place.related(*where, "replicas"),
    )


def described_topic_view(place: Place, topic: Any) -> dict[str, Any]:
    first = topic.partitions[0].replicas if topic.partitions else []
    operations = [op.name for op in topic.authorized_operations or []]
    return topic_view(
        place,
        topic.name,
        len(topic.partitions),
        len(first),
        is_internal=bool(topic.is_internal),
        operations=operations,
    )


class TopicRoutes:
    """Handlers of /v3/clusters/{cluster}/topics."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka

    def routes(self) -> list[Route]:
        topic = f"{TOPICS}/{{topic}}"
        partition = f"{topic}/partitions/{{partition}}"
        replicas = f"{partition}/replicas"
        return [
            Route(TOPICS, self.list_topics, methods=["GET"]),
            Route(TOPICS, self.create, methods=["POST"]),
            Route(topic, self.get_topic, methods=["GET"]),
            Route(topic, self.patch, methods=["PATCH"]),
            Route(topic, self.delete, methods=["DELETE"]),
            Route(f"{TOPICS}/-/partitions/-/reassignment", self.reassignments, methods=["GET"]),
            Route(f"{topic}/partitions", self.list_partitions, methods=["GET"]),
            Route(f"{topic}/partitions/-/reassignment", self.reassignments, methods=["GET"]),
            Route(partition, self.get_partition, methods=["GET"]),
            Route(f"{partition}/offset", self.offset, methods=["GET"]),
            Route(f"{partition}/reassignment", self.reassignment, methods=["GET"]),
            Route(replicas, self.list_replicas, methods=["GET"]),
            Route(f"{replicas}/{{broker}}", self.get_replica, methods=["GET"]),
        ]

    async def _topic(self, request: Request) -> tuple[Place, Any]:
        place = await place_of(self.kafka, request)
        try:
            return place, await self.kafka.topic(request.path_params["topic"])
        except RestError as error:
            if error.error_code == 40401:
                raise unknown_topic_or_partition() from None
            raise

    async def _partition(self, request: Request) -> tuple[Place, str, Any]:
        number = number_in_path(request, "partition")
        place, topic = await self._topic(request)
        for partition in topic.partitions:
            if partition.id == number:
                return place, topic.name, partition
        raise unknown_topic_or_partition()

    async def _settled(self, name: str, partitions: int) -> Any:
        """The topic once the brokers show what the controller has agreed to, and once each
        partition's leader knows that it leads, or after a while."""
        deadline = time.monotonic() + self.kafka.timeout_s
        leads_by = time.monotonic() + SETTLE_S
        while True:
            is_last = time.monotonic() > deadline
            try:
                topic = await self.kafka.topic(name)
                if is_last:
                    return topic
                if len(topic.partitions) >= partitions:
                    places = [(name, int(p.id)) for p in topic.partitions]
                    found = await self.kafka.offsets(places, LATEST)
                    if len(found) == len(places) or time.monotonic() > leads_by:
                        return topic
            except RestError as error:
                if is_last or error.error_code != 40401:
                    raise
            await asyncio.sleep(0.02)

    async def _gone(self, name: str) -> None:
        """Once no broker shows the topic any more, or after a while."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            try:
                await self.kafka.topic(name)
            except RestError:
                return
            await asyncio.sleep(0.02)

    async def list_topics(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        metadata = await self.kafka.metadata()
        data = [
            topic_view(
                place,
                name,
                len(topic.partitions),
                max((len(p.replicas) for p in topic.partitions.values()), default=0),
                is_internal=name in ("__consumer_offsets", "__transaction_state")
                or name == "__share_group_state",
                operations=[],
            )
            for name, topic in sorted(metadata.topics.items())
        ]
        return v3_json(place.collection("KafkaTopicList", ("topics",), data))

    async def get_topic(self, request: Request) -> Response:
        place, topic = await self._topic(request)
        return v3_json(described_topic_view(place, topic))

    async def create(self, request: Request) -> Response:
        """201 with the topic; 200 when it was only validated."""
        place = await place_of(self.kafka, request)
        limit = self.kafka.settings.max_request_bytes
        body = await read_object(request, limit, CREATE_FIELDS)
        only = optional_bool(body, "validate_only")
        try:
            wanted = new_topic(body)
            futures = self.kafka.admin().create_topics(
                [wanted], validate_only=only, request_timeout=self.kafka.timeout_s
            )
        except (ValueError, TypeError) as error:
            raise bad_request(str(error)) from None
        await self.kafka.wait(futures[wanted.topic])
        if only:
            view = topic_view(
                place,
                wanted.topic,
                max(wanted.num_partitions, 0),
                max(wanted.replication_factor, 0),
                is_internal=False,
                operations=[],
            )
            return v3_json(view)
        view = described_topic_view(place, await self._settled(wanted.topic, 1))
        answer = v3_json(view, 201)
        answer.headers["location"] = view["metadata"]["self"]
        return answer

    async def patch(self, request: Request) -> Response:
        """More partitions; there can never be fewer."""
        place, topic = await self._topic(request)
        limit = self.kafka.settings.max_request_bytes
        body = await read_object(request, limit, ("partitions_count",))
        count = int_field(body, "partitions_count", minimum=1, maximum=MAX_INT32)
        if count != len(topic.partitions):
            try:
                futures = self.kafka.admin().create_partitions(
                    [NewPartitions(topic.name, count)], request_timeout=self.kafka.timeout_s
                )
            except (ValueError, TypeError) as error:
                raise bad_request(str(error)) from None
            await self.kafka.wait(futures[topic.name])
        return v3_json(described_topic_view(place, await self._settled(topic.name, count)))

    async def delete(self, request: Request) -> Response:
        _, topic = await self._topic(request)
        futures = self.kafka.admin().delete_topics(
            [topic.name], request_timeout=self.kafka.timeout_s
        )
        await self.kafka.wait(futures[topic.name])
        await self._gone(topic.name)
        return no_content()

    async def list_partitions(self, request: Request) -> Response:
        place, topic = await self._topic(request)
        data = [
            partition_view(place, topic.name, p.id, None if p.leader is None else p.leader.id)
            for p in sorted(topic.partitions, key=lambda p: int(p.id))
        ]
        segments = ("topics", topic.name, "partitions")
        return v3_json(place.collection("KafkaPartitionList", segments, data))

    async def get_partition(self, request: Request) -> Response:
        place, topic, found = await self._partition(request)
        leader = None if found.leader is None else found.leader.id
        return v3_json(partition_view(place, topic, found.id, leader))

    async def offset(self, request: Request) -> Response:
        """Where the partition begins and ends."""
        place, topic, found = await self._partition(request)
        where = [(topic, found.id)]
        earliest = await self.kafka.offsets(where, EARLIEST)
        latest = await self.kafka.offsets(where, LATEST)
        if not earliest or not latest:
            raise unknown_topic_or_partition()
        return v3_json(
            place.resource(
                "KafkaPartitionOffset",
                ("topics", topic, "partitions", found.id, "offset"),
                topic_name=topic,
                partition_id=found.id,
                earliest_offset=earliest[where[0]],
                latest_offset=latest[where[0]],
            )
        )

    async def reassignment(self, request: Request) -> Response:
        """How one partition's replicas are moving; 404 when they stay where they are."""
        place, topic, found = await self._partition(request)
        moving = await self.kafka.call(self.kafka.raw.reassignments, {topic: [int(found.id)]})
        for one in moving:
            return v3_json(reassignment_view(place, one))
        raise not_found(f"A reassignment of {topic}-{found.id} in progress")

    async def reassignments(self, request: Request) -> Response:
        """Reassignments in progress: of a topic, or all."""
        place = await place_of(self.kafka, request)
        segments: tuple[object, ...] = ("topics", "-", "partitions", "-", "reassignment")
        wanted: dict[str, list[int]] | None = None
        if "topic" in request.path_params:
            _, topic = await self._topic(request)
            segments = ("topics", topic.name, "partitions", "-", "reassignment")
            wanted = {topic.name: [int(p.id) for p in topic.partitions]}
        moving = await self.kafka.call(self.kafka.raw.reassignments, wanted)
        data = [reassignment_view(place, one) for one in moving]
        return v3_json(place.collection("KafkaReassignmentList", segments, data))

    async def _replicas(self, request: Request) -> tuple[Place, tuple[object, ...], list[Any]]:
        place, topic, found = await self._partition(request)
        in_sync = {node.id for node in found.isr}
        leader = None if found.leader is None else found.leader.id
        data = [
            replica_view(place, topic, found.id, n.id, n.id == leader, n.id in in_sync)
            for n in found.replicas
        ]
        return place, ("topics", topic, "partitions", found.id, "replicas"), data

    async def list_replicas(self, request: Request) -> Response:
        place, segments, data = await self._replicas(request)
        return v3_json(place.collection("KafkaReplicaList", segments, data))

    async def get_replica(self, request: Request) -> Response:
        broker = number_in_path(request, "broker")
        _, _, data = await self._replicas(request)
        for replica in data:
            if replica["broker_id"] == broker:
                return v3_json(replica)
        raise not_found(f"A replica on broker {broker}")


def new_topic(body: dict[str, Any]) -> NewTopic:
    """The topic a create request describes. Errors: 422 for a field of the wrong shape."""
    name = text_field(body, "topic_name")
    configs = {}
    for item in list_of_objects(body, "configs", ("name", "value"), required=False):
        value = item.get("value")
        if value is None or isinstance(value, list | dict):
            raise unprocessable("value of a config must be a text, a number, true or false")
        configs[text_field(item, "name")] = (
            str(value).lower() if isinstance(value, bool) else str(value)
        )
    assignments: list[list[int]] | None = None
    rows = list_of_objects(
        body, "replicas_assignments", ("partition_id", "broker_ids"), required=False
    )
    if rows:
        by_partition: dict[int, list[int]] = {}
        for row in rows:
            brokers = row.get("broker_ids")
            if not isinstance(brokers, list) or not all(isinstance(b, int) for b in brokers):
                raise unprocessable("broker_ids must be a list of numbers")
            by_partition[partition_field(row, "partition_id")] = brokers
        assignments = [by_partition[n] for n in sorted(by_partition)]
    if assignments is not None:
        return NewTopic(
            name,
            num_partitions=len(assignments),
            replica_assignment=assignments,
            config=configs,
        )
    partitions = (
        -1
        if body.get("partitions_count") is None
        else int_field(body, "partitions_count", minimum=1)
    )
    replicas = (
        -1
        if body.get("replication_factor") is None
        else int_field(body, "replication_factor", minimum=1)
    )
    if max(partitions, replicas) > 100_000:
        raise unprocessable("partitions_count and replication_factor are at most 100000")
    return NewTopic(name, num_partitions=partitions, replication_factor=replicas, config=configs)
