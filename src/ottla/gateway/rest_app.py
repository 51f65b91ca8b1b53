"""The REST Proxy door as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from ottla.gateway.admin_commands import AdminCommands
from ottla.gateway.door import build_door
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.producing import RecordProducer
from ottla.gateway.rest_v2.consumers import ConsumerRoutes
from ottla.gateway.rest_v2.instances import ConsumerInstances
from ottla.gateway.rest_v2.topics import TopicRoutes


def rest_application(kafka: KafkaAccess, commands: AdminCommands) -> Starlette:
    """All REST Proxy routes, and the admin commands beside them."""
    producer = RecordProducer(kafka.settings)
    instances = ConsumerInstances(kafka)
    consumers = ConsumerRoutes(kafka, instances)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        expiry = consumers.background()
        try:
            yield
        finally:
            expiry.cancel()
            await instances.close()
            # Blocks for at most a few seconds: every request that produced has
            # been answered by then, or is about to learn what became of it.
            await kafka.call(producer.close)

    routes: list[BaseRoute] = [
        *TopicRoutes(kafka, producer).routes(),
        *consumers.routes(),
        *commands.routes(),
    ]
    return build_door(kafka, routes, lifespan)
