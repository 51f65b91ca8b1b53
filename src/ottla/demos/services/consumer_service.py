"""The consumer service: reacts to both events, and answers with the producer's help."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException, Response
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.responses import PlainTextResponse, StreamingResponse

from ottla.demos.kafka_clients import Settings
from ottla.demos.services.database import HandledEvents
from ottla.demos.services.events import (
    CORRELATION_ID,
    EVENT_ID,
    ISSUED_TOKEN,
    NEW_USER_CREATED,
    Headers,
)
from ottla.demos.services.observing import Correlation, Metrics, consumer_log, correlation_id
from ottla.demos.services.retrying import HandlingError, RetryingConsumer, RetryPolicy

GROUP = "consumer-service"
CALL_TIMEOUT_S = 2.0
CALL_TRIES = 3
SUBSCRIBER_QUEUE = 1000


class LiveFeed:
    """Hands events from consumer threads to HTTP subscribers; a slow one loses, not others."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[dict[str, Any]]] = set()

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    def push(self, event: dict[str, Any]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: dict[str, Any]) -> None:
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(event)

    async def stream(self) -> AsyncIterator[str]:
        """Events as Server-Sent Events, with a comment now and then to keep it open."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(SUBSCRIBER_QUEUE)
        self._queues.add(queue)
        try:
            yield ": subscribed\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(queue.get(), 15)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                yield f"event: {event['topic']}\ndata: {json.dumps(event)}\n\n"
        finally:
            self._queues.discard(queue)


class Reactions:
    """What happens for each event: recorded once, pushed to subscribers.

    `failure_rate` makes that part of all tries fail, to show the retries; a
    payload with `"poison": true` always fails.
    """

    def __init__(self, events: HandledEvents, feed: LiveFeed, failure_rate: float = 0.0) -> None:
        self.events = events
        self.feed = feed
        self.failure_rate = failure_rate
        self.metrics = Metrics()

    def handler_for(self, topic: str) -> Any:
        def handle(payload: dict[str, Any], headers: Headers) -> None:
            if payload.get("poison") is True:
                raise HandlingError("the payload is poison")
            if random.random() < self.failure_rate:
                raise HandlingError("injected failure")
            user_id = payload.get("user_id")
            event_id = headers.get(EVENT_ID)
            if not isinstance(user_id, str) or not event_id:
                raise ValueError("user_id or event-id is missing")
            try:
                is_new = self.events.handle_once(event_id, topic, user_id)
            except OperationalError as error:
                raise HandlingError(f"the database does not answer: {error.orig}") from None
            if not is_new:
                self.metrics.count("events_repeated_total", topic)
                return
            self.metrics.count("events_handled_total", topic)
            self.feed.push({"topic": topic, "event_id": event_id, **payload})
            consumer_log.info(
                "handled %s of user %s",
                topic,
                user_id,
                extra={"correlation_id": headers.get(CORRELATION_ID, "-")},
            )

        return handle


class ProducerClient:
    """Calls the producer service, with a time-out and a few tries."""

    def __init__(self, base_url: str, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, timeout=timeout_s)

    async def user(self, user_id: str) -> dict[str, Any] | None:
        """The user; None when there is none. Errors: 503 when the service does not answer."""
        headers = {"x-correlation-id": correlation_id.get()}
        for attempt in range(1, CALL_TRIES + 1):
            try:
                answer = await self._client.get(f"/users/{user_id}", headers=headers)
            except httpx.HTTPError as error:
                reason = type(error).__name__
            else:
                if answer.status_code == 200:
                    found: dict[str, Any] = answer.json()
                    return found
                if answer.status_code == 404:
                    return None
                reason = f"status {answer.status_code}"
            if attempt < CALL_TRIES:
                await asyncio.sleep(0.1 * 2 ** (attempt - 1))
        raise HTTPException(503, f"The producer service does not answer ({reason}); try again.")

    async def close(self) -> None:
        await self._client.aclose()


def consumers(
    settings: Settings, reactions: Reactions, policy: RetryPolicy, group: str = GROUP
) -> list[RetryingConsumer]:
    """The service's members: tokens committed by hand, new users automatically."""
    return [
        RetryingConsumer(
            settings, ISSUED_TOKEN, group, reactions.handler_for(ISSUED_TOKEN), policy, "manual"
        ),
        RetryingConsumer(
            settings,
            NEW_USER_CREATED,
            f"{group}-users",
            reactions.handler_for(NEW_USER_CREATED),
            policy,
            "automatic",
        ),
    ]


def application(
    engine: Engine,
    reactions: Reactions,
    members: list[RetryingConsumer],
    producer_url: str,
) -> FastAPI:
    """The HTTP side; the consumers run as long as the application does."""
    events = HandledEvents(engine)
    producer = ProducerClient(producer_url)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reactions.feed.open()
        for member in members:
            member.start()
        try:
            yield
        finally:
            await asyncio.gather(*(asyncio.to_thread(m.stop) for m in members))
            await producer.close()

    app = FastAPI(title="Consumer service", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Correlation)

    @app.get("/users/{user_id}")
    async def user(user_id: str) -> dict[str, Any]:
        """A user, asked of the producer service, with what was seen of their tokens."""
        found = await producer.user(user_id)
        if found is None:
            raise HTTPException(404, "There is no such user.")
        seen = await asyncio.to_thread(events.count, ISSUED_TOKEN, user_id)
        return {**found, "tokens_seen": seen}

    @app.get("/events")
    async def live_events() -> StreamingResponse:
        return StreamingResponse(reactions.feed.stream(), media_type="text/event-stream")

    @app.get("/stats")
    def stats() -> dict[str, Any]:
        return {
            m.topic: {"handled": m.handled, "retried": m.retried, "dead": m.dead} for m in members
        }

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready")
    def ready(response: Response) -> dict[str, object]:
        idle = {m.topic: m.trouble or "not started" for m in members if not m.is_at_work}
        if not idle:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "not ready", "not_consumed": idle}

    @app.get("/metrics")
    def metrics_text() -> Response:
        return PlainTextResponse(reactions.metrics.text())

    return app
