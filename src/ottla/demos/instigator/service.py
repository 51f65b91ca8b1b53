"""The HTTP side of both services: `/`, a start route and a stop route."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ottla.demos.instigator.worker import Worker


def application(role: str, worker: Worker) -> Starlette:
    """Routes `/`, `/start_<role>` and `/stop_<role>`; GET as in the write-up, or POST."""

    async def show(_: Request) -> Response:
        return JSONResponse(
            {
                "service": role,
                **worker.state(),
                "routes": ["/", f"/start_{role}", f"/stop_{role}"],
            }
        )

    async def start(_: Request) -> Response:
        changed = await asyncio.to_thread(worker.start)
        text = f"{role} started" if changed else f"{role} was running already"
        return JSONResponse({"message": text, **worker.state()})

    async def stop(_: Request) -> Response:
        changed = await asyncio.to_thread(worker.stop)
        text = f"{role} stopped" if changed else f"{role} was not running"
        return JSONResponse({"message": text, **worker.state()})

    return Starlette(
        routes=[
            Route("/", show),
            Route(f"/start_{role}", start, methods=["GET", "POST"]),
            Route(f"/stop_{role}", stop, methods=["GET", "POST"]),
        ]
    )
