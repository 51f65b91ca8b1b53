"""The REST Proxy door as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from ottla.gateway.admin_commands import AdminCommands
from ottla.gateway.door import build_door
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.openapi_page import documentation_routes
from ottla.gateway.producing import RecordProducer
from ottla.gateway.rest_v2.consumers import ConsumerRoutes
from ottla.gateway.rest_v2.instances import ConsumerInstances
from ottla.gateway.rest_v2.topics import TopicRoutes
from ottla.gateway.rest_v3.acls import AclRoutes
from ottla.gateway.rest_v3.clusters import ClusterRoutes
from ottla.gateway.rest_v3.configs import ConfigRoutes
from ottla.gateway.rest_v3.groups import GroupRoutes
from ottla.gateway.rest_v3.produce import ProduceRoutes
from ottla.gateway.rest_v3.reading import ReadingRoutes
from ottla.gateway.rest_v3.topics import TopicRoutes as V3TopicRoutes


def rest_application(kafka: KafkaAccess, commands: AdminCommands) -> Starlette:
    """All REST Proxy routes, and the admin commands beside them."""
    producer = RecordProducer(kafka.settings)
    instances = ConsumerInstances(kafka)
    consumers = ConsumerRoutes(kafka, instances)
    reading = ReadingRoutes(kafka)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        expiry = consumers.background()
        producer.open()
        try:
            yield
        finally:
            expiry.cancel()
            await instances.close()
            await kafka.call(reading.close)
            # Blocks for at most a few seconds: every request that produced has
            # been answered by then, or is about to learn what became of it.
            await kafka.call(producer.close)

    routes: list[BaseRoute] = [
        *TopicRoutes(kafka, producer).routes(),
        *consumers.routes(),
        *commands.routes(),
        *ClusterRoutes(kafka).routes(),
        *ConfigRoutes(kafka).routes(),
        *V3TopicRoutes(kafka).routes(),
        *GroupRoutes(kafka).routes(),
        *AclRoutes(kafka).routes(),
        *ProduceRoutes(kafka, producer).routes(),
        *reading.routes(),
        *documentation_routes(),
    ]
    return build_door(kafka, routes, lifespan)
