"""API v3: clusters, their brokers, and the replicas a broker holds."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.rest_v3.resources import (
    Place,
    not_found,
    number_in_path,
    place_of,
    v3_json,
)
from ottla.gateway.rest_v3.topics import replica_view

CLUSTER: Final = "/v3/clusters/{cluster}"


def cluster_view(place: Place, description: Any) -> dict[str, Any]:
    controller = description.controller
    return place.resource(
        "KafkaCluster",
        (),
        controller=None if controller is None else place.related("brokers", controller.id),
        acls=place.related("acls"),
        brokers=place.related("brokers"),
        broker_configs=place.related("broker-configs"),
        consumer_groups=place.related("consumer-groups"),
        topics=place.related("topics"),
        partition_reassignments=place.related("topics", "-", "partitions", "-", "reassignment"),
    )


def broker_view(place: Place, node: Any) -> dict[str, Any]:
    return place.resource(
        "KafkaBroker",
        ("brokers", node.id),
        broker_id=node.id,
        host=node.host,
        port=node.port,
        rack=node.rack,
        configs=place.related("brokers", node.id, "configs"),
        partition_replicas=place.related("brokers", node.id, "partition-replicas"),
    )


class ClusterRoutes:
    """Handlers of /v3/clusters and its brokers."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka

    def routes(self) -> list[Route]:
        broker = f"{CLUSTER}/brokers/{{broker}}"
        return [
            Route("/v3/clusters", self.list_clusters, methods=["GET"]),
            Route(CLUSTER, self.get_cluster, methods=["GET"]),
            Route(f"{CLUSTER}/brokers", self.list_brokers, methods=["GET"]),
            Route(broker, self.get_broker, methods=["GET"]),
            Route(f"{broker}/partition-replicas", self.replicas_of_broker, methods=["GET"]),
        ]

    async def list_clusters(self, request: Request) -> Response:
        description = await self.kafka.describe_cluster()
        place = Place(request, description.cluster_id)
        answer = place.collection("KafkaClusterList", (), [cluster_view(place, description)])
        answer["metadata"]["self"] = place.root
        return v3_json(answer)

    async def get_cluster(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        return v3_json(cluster_view(place, await self.kafka.describe_cluster()))

    async def list_brokers(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        nodes = (await self.kafka.describe_cluster()).nodes
        data = [broker_view(place, node) for node in sorted(nodes, key=lambda n: int(n.id))]
        return v3_json(place.collection("KafkaBrokerList", ("brokers",), data))

    async def _broker(self, number: int) -> Any:
        for node in (await self.kafka.describe_cluster()).nodes:
            if node.id == number:
                return node
        raise not_found(f"Broker {number}")

    async def get_broker(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        return v3_json(broker_view(place, await self._broker(number_in_path(request, "broker"))))

    async def replicas_of_broker(self, request: Request) -> Response:
        place = await place_of(self.kafka, request)
        broker = number_in_path(request, "broker")
        await self._broker(broker)
        metadata = await self.kafka.metadata()
        data = [
            replica_view(
                place, name, number, broker, broker == partition.leader, broker in partition.isrs
            )
            for name, topic in sorted(metadata.topics.items())
            for number, partition in sorted(topic.partitions.items())
            if broker in partition.replicas
        ]
        segments = ("brokers", broker, "partition-replicas")
        return v3_json(place.collection("KafkaReplicaList", segments, data))
