"""What every door has in common: health, errors, limits, access control, log.

A door answers errors as `{"error_code": …, "message": …}` and never shows a
stack trace; an unexpected failure is logged with its trace and answered as
500. `/health/live` says that the process runs, `/health/ready` that Kafka
answers, too.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ottla.gateway.errors import RestError
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.segments import EncodedSlashes, with_slashes
from ottla.gateway.settings import GatewaySettings

#: Paths whose requests may last as long as their clients wish.
STREAMED = re.compile(r"/v3/clusters/[^/]+/topics/[^/]+/records")
access_log = logging.getLogger("ottla.gateway.access")
log = logging.getLogger("ottla.gateway")

REASONS = {
    401: "HTTP 401 Unauthorized",
    404: "HTTP 404 Not Found",
    405: "HTTP 405 Method Not Allowed",
    406: "HTTP 406 Not Acceptable",
    415: "HTTP 415 Unsupported Media Type",
}


async def rest_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RestError)
    return error.response()


async def http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = REASONS.get(error.status_code, error.detail)
    response = RestError(error.status_code, error.status_code, message).response()
    response.headers.update(error.headers or {})
    return response


async def unexpected_error(request: Request, error: Exception) -> Response:
    log.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    return RestError(500, 500, "Internal error of the gateway; its log has the details.").response()


class AccessControl:
    """Asks for the basic or bearer credentials in the settings, if there are any."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self.app = app
        self.settings = settings

    def _allows(self, header: str) -> bool:
        scheme, _, credentials = header.partition(" ")
        given: str | None = None
        expected: str | None = None
        if scheme.lower() == "bearer":
            given, expected = credentials.strip(), self.settings.bearer_token
        elif scheme.lower() == "basic":
            try:
                given = base64.b64decode(credentials, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return False
            expected = self.settings.basic_auth
        if given is None or expected is None:
            return False
        return hmac.compare_digest(given.encode(), expected.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = self.settings.basic_auth or self.settings.bearer_token
        if scope["type"] == "http" and wanted and not scope["path"].startswith("/health/"):
            headers = dict(scope["headers"])
            if not self._allows(headers.get(b"authorization", b"").decode("latin-1")):
                response = RestError(401, 40101, "Authentication is required.").response()
                if self.settings.basic_auth:
                    response.headers["www-authenticate"] = 'Basic realm="ottla"'
                await response(scope, receive, send)
                return
        if scope["type"] == "http" and "\0" in scope["path"]:
            # No name has one, and the client library takes it for the end of a text.
            response = RestError(400, 400, "A path may not contain a zero byte.").response()
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)


class TimeLimit:
    """A request's body has to come within the time in the settings, or is answered 408.

    Requests that stream their body for as long as they like are let through.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self.app = app
        self.limit_s = settings.request_timeout_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or STREAMED.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self.limit_s
        is_complete = False

        async def in_time() -> Message:
            nonlocal is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                is_complete = True
                raise RestError(
                    408, 408, f"The request did not arrive within {self.limit_s:g} seconds."
                ) from None
            is_complete = not message.get("more_body", False)
            return message

        await self.app(scope, in_time, send)


class AccessLog:
    """One JSON line per request on the logger `ottla.gateway.access`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not access_log.isEnabledFor(logging.INFO):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def remember(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, remember)
        finally:
            client = scope.get("client") or ("", 0)
            access_log.info(
                json.dumps(
                    {
                        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                        "client": client[0],
                        "method": scope["method"],
                        "path": scope["path"],
                        "status": status,
                        "ms": round((time.perf_counter() - started) * 1000, 1),
                    }
                )
            )


def front_page(path: str) -> Route:
    """Whoever opens the door's address as it is printed is led to what is behind it."""

    async def lead(_: Request) -> Response:
        return RedirectResponse(path)

    return Route("/", lead)


def build_door(
    kafka: KafkaAccess,
    routes: Sequence[BaseRoute],
    lifespan: Callable[[Starlette], Any] | None = None,
    cors_origins: Sequence[str] = (),
) -> Starlette:
    """An application with the given routes and the manners every door has.

    Pages of `cors_origins` may use it, beside those of the origins in the settings.
    """
    settings = kafka.settings
    origins = [*settings.cors_origins, *cors_origins]

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        cluster = await kafka.cluster_id()
        await kafka.metadata()
        return JSONResponse({"status": "ready", "cluster_id": cluster})

    middleware = [Middleware(AccessLog)]
    if origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["*"],
                allow_headers=["*"],
            )
        )
    middleware.append(Middleware(AccessControl, settings=settings))
    middleware.append(Middleware(TimeLimit, settings=settings))
    middleware.append(Middleware(EncodedSlashes))
    return Starlette(
        routes=[Route("/health/live", live), Route("/health/ready", ready), *with_slashes(routes)],
        middleware=middleware,
        exception_handlers={
            RestError: rest_error,
            HTTPException: http_error,
            Exception: unexpected_error,
        },
        lifespan=lifespan,
    )
