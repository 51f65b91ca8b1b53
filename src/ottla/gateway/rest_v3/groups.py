"""API v3: consumer groups, their members, assignments and lag."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.errors import RestError
from ottla.gateway.kafka_access import LATEST, KafkaAccess
from ottla.gateway.rest_v3.resources import (
    Place,
    not_found,
    number_in_path,
    place_of,
    v3_json,
)

GROUPS: Final = "/v3/clusters/{cluster}/consumer-groups"


class Lag(NamedTuple):
    """How far one partition's consumer is behind; no member has "" as its ids."""

    topic: str
    partition: int
    current: int
    end: int
    consumer: str
    instance: str | None
    client: str

    @property
    def records(self) -> int:
        return max(0, self.end - self.current)


def group_view(place: Place, group: Any) -> dict[str, Any]:
    where = ("consumer-groups", group.group_id)
    coordinator = group.coordinator
    return place.resource(
        "KafkaConsumerGroup",
        where,
        consumer_group_id=group.group_id,
        is_simple=bool(group.is_simple_consumer_group),
        partition_assignor=group.partition_assignor or "",
        state=getattr(group.state, "name", "UNKNOWN"),
        type=getattr(getattr(group, "type", None), "name", "UNKNOWN"),
        is_mixed_consumer_group=False,
        coordinator=None if coordinator is None else place.related("brokers", coordinator.id),
        consumers=place.related(*where, "consumers"),
        lag_summary=place.related(*where, "lag-summary"),
    )


def consumer_view(place: Place, group: str, member: Any) -> dict[str, Any]:
    where = ("consumer-groups", group, "consumers", member.member_id)
    return place.resource(
        "KafkaConsumer",
        where,
        consumer_group_id=group,
        consumer_id=member.member_id,
        instance_id=member.group_instance_id,
        client_id=member.client_id,
        assignments=place.related(*where, "assignments"),
    )


def assignment_view(
    place: Place, group: str, consumer: str, topic: str, number: int
) -> dict[str, Any]:
    head = ("consumer-groups", group)
    tail = (topic, "partitions", number)
    return place.resource(
        "KafkaConsumerAssignment",
        (*head, "consumers", consumer, "assignments", *tail),
        consumer_group_id=group,
        consumer_id=consumer,
        topic_name=topic,
        partition_id=number,
        partition=place.related("topics", *tail),
        lag=place.related(*head, "lags", *tail),
    )


def lag_view(place: Place, group: str, lag: Lag) -> dict[str, Any]:
    return place.resource(
        "KafkaConsumerLag",
        ("consumer-groups", group, "lags", lag.topic, "partitions", lag.partition),
        consumer_group_id=group,
        topic_name=lag.topic,
        partition_id=lag.partition,
        current_offset=lag.current,
        log_end_offset=lag.end,
        lag=lag.records,
        consumer_id=lag.consumer,
        instance_id=lag.instance,
        client_id=lag.client,
    )


def assigned(member: Any) -> list[tuple[str, int]]:
    if member.assignment is None:
        return []
    return sorted((p.topic, p.partition) for p in member.assignment.topic_partitions)


class GroupRoutes:
    """Handlers of /v3/clusters/{cluster}/consumer-groups."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka

    def routes(self) -> list[Route]:
        group = f"{GROUPS}/{{group}}"
        consumer = f"{group}/consumers/{{consumer}}"
        tail = "{topic}/partitions/{partition}"
        return [
            Route(GROUPS, self.list_groups, methods=["GET"]),
            Route(group, self.get_group, methods=["GET"]),
            Route(f"{group}/consumers", self.list_consumers, methods=["GET"]),
            Route(consumer, self.get_consumer, methods=["GET"]),
            Route(f"{consumer}/assignments", self.list_assignments, methods=["GET"]),
            Route(f"{consumer}/assignments/{tail}", self.get_assignment, methods=["GET"]),
            Route(f"{group}/lag-summary", self.lag_summary, methods=["GET"]),
            Route(f"{group}/lags", self.list_lags, methods=["GET"]),
            Route(f"{group}/lags/{tail}", self.get_lag, methods=["GET"]),
        ]

    async def _describe(self, names: list[str]) -> list[Any]:
        if not names:
            return []
        futures = self.kafka.admin().describe_consumer_groups(
            names, request_timeout=self.kafka.timeout_s
        )
        answers = await asyncio.gather(
            *(self.kafka.wait(f) for f in futures.values()), return_exceptions=True
        )
        # A group can be gone between the listing and its description.
        return [a for a in answers if not isinstance(a, BaseException)]

    async def _listed(self) -> list[str]:
        future = self.kafka.admin().list_consumer_groups(request_timeout=self.kafka.timeout_s)
        return sorted(g.group_id for g in (await self.kafka.wait(future)).valid)

    async def _group(self, request: Request) -> tuple[Place, Any]:
        place = await place_of(self.kafka, request)
        name = request.path_params["group"]
        futures = self.kafka.admin().describe_consumer_groups(
            [name], request_timeout=self.kafka.timeout_s
        )
        group = await self.kafka.wait(futures[name])
        # Kafka describes a group it has never heard of as dead.
        if group.state.name == "DEAD" and name not in await self._listed():
            raise RestError(404, 40405, f"Consumer group {name} cannot be found.")
        return place, group

    async def list_groups(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        groups = await self._describe(await self._listed())
        data = [group_view(place, group) for group in sorted(groups, key=lambda g: str(g.group_id))]
        return v3_json(place.collection("KafkaConsumerGroupList", ("consumer-groups",), data))

    async def get_group(self, request: Request) -> Response:
        place, group = await self._group(request)
        return v3_json(group_view(place, group))

    async def list_consumers(self, request: Request) -> Response:
        place, group = await self._group(request)
        data = [consumer_view(place, group.group_id, m) for m in group.members]
        segments = ("consumer-groups", group.group_id, "consumers")
        return v3_json(place.collection("KafkaConsumerList", segments, data))

    async def _member(self, request: Request) -> tuple[Place, str, Any]:
        place, group = await self._group(request)
        wanted = request.path_params["consumer"]
        for member in group.members:
            if member.member_id == wanted:
                return place, group.group_id, member
        raise not_found(f"Consumer {wanted}")

    async def get_consumer(self, request: Request) -> Response:
        place, group, member = await self._member(request)
        return v3_json(consumer_view(place, group, member))

    async def list_assignments(self, request: Request) -> Response:
        place, group, member = await self._member(request)
        data = [
            assignment_view(place, group, member.member_id, topic, number)
            for topic, number in assigned(member)
        ]
        segments = ("consumer-groups", group, "consumers", member.member_id, "assignments")
        return v3_json(place.collection("KafkaConsumerAssignmentList", segments, data))

    async def get_assignment(self, request: Request) -> Response:
        number = number_in_path(request, "partition")
        topic = request.path_params["topic"]
        place, group, member = await self._member(request)
        if (topic, number) not in assigned(member):
            raise not_found(f"An assignment of {topic}-{number}")
        return v3_json(assignment_view(place, group, member.member_id, topic, number))

    async def _lags(self, group: Any) -> list[Lag]:
        """Lags of all partitions the group has committed or is assigned."""
        asked = [ConsumerGroupTopicPartitions(group.group_id)]
        futures = self.kafka.admin().list_consumer_group_offsets(
            asked, request_timeout=self.kafka.timeout_s
        )
        answer = await self.kafka.wait(futures[group.group_id])
        committed = {
            (p.topic, p.partition): p.offset
            for p in answer.topic_partitions
            if p.error is None and p.offset >= 0
        }
        ends = await self.kafka.offsets(sorted(committed), LATEST)
        owners = {where: member for member in group.members for where in assigned(member)}
        found = []
        for (topic, number), offset in sorted(committed.items()):
            end = ends.get((topic, number))
            if end is None:
                continue
            member = owners.get((topic, number))
            found.append(
                Lag(
                    topic,
                    number,
                    offset,
                    end,
                    member.member_id if member else "",
                    member.group_instance_id if member else None,
                    member.client_id if member else "",
                )
            )
        return found

    async def list_lags(self, request: Request) -> Response:
        place, group = await self._group(request)
        name = group.group_id
        data = [lag_view(place, name, lag) for lag in await self._lags(group)]
        segments = ("consumer-groups", name, "lags")
        return v3_json(place.collection("KafkaConsumerLagList", segments, data))

    async def get_lag(self, request: Request) -> Response:
        number = number_in_path(request, "partition")
        topic = request.path_params["topic"]
        place, group = await self._group(request)
        for lag in await self._lags(group):
            if (lag.topic, lag.partition) == (topic, number):
                return v3_json(lag_view(place, group.group_id, lag))
        raise not_found(f"A lag on {topic}-{number}")

    async def lag_summary(self, request: Request) -> Response:
        """The partition that is furthest behind, and the sum; 404 before the first commit."""
        place, group = await self._group(request)
        lags = await self._lags(group)
        name = group.group_id
        if not lags:
            raise not_found(f"A committed offset of consumer group {name}")
        worst = max(lags, key=lambda lag: lag.records)
        head = ("consumer-groups", name)
        return v3_json(
            place.resource(
                "KafkaConsumerGroupLagSummary",
                (*head, "lag-summary"),
                consumer_group_id=name,
                max_lag_consumer_id=worst.consumer,
                max_lag_instance_id=worst.instance,
                max_lag_client_id=worst.client,
                max_lag_topic_name=worst.topic,
                max_lag_partition_id=worst.partition,
                max_lag=worst.records,
                total_lag=sum(lag.records for lag in lags),
                max_lag_consumer=place.related(*head, "consumers", worst.consumer)
                if worst.consumer
                else None,
                max_lag_partition=place.related(
                    "topics", worst.topic, "partitions", worst.partition
                ),
            )
        )
