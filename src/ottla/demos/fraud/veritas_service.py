"""Veritas as a real HTTP service, as slow and as unreliable as one likes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from socket import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ottla.demos.fraud.veritas import decide


@dataclass(frozen=True)
class Character:
    """How the service behaves."""

    seed: int
    authorized: float = 0.5  # share of the accounts
    latency_s: float = 0.05  # on average
    failure_rate: float = 0.0  # share of requests answered with status 503


def make_app(character: Character) -> Starlette:
    random = Random(character.seed)

    async def verify(request: Request) -> Response:
        try:
            card_number = (await request.json())["card_number"]
        except (ValueError, TypeError, KeyError):
            return JSONResponse({"error": "an account with its card_number is expected"}, 400)
        if character.latency_s:
            await asyncio.sleep(random.uniform(0.5, 1.5) * character.latency_s)
        if random.random() < character.failure_rate:
            return JSONResponse({"error": "Veritas is not well today"}, 503)
        authorized = decide(str(card_number), character.seed, character.authorized)
        return JSONResponse({"authorized": authorized})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "up"})

    return Starlette(routes=[Route("/verify", verify, methods=["POST"]), Route("/health", health)])


class VeritasServer(uvicorn.Server):
    """Says where it listens, once it does. Without signals of ours: `run` takes them over."""

    def __init__(
        self, character: Character, host: str, port: int, announce: Callable[[str], None]
    ) -> None:
        app = make_app(character)
        super().__init__(uvicorn.Config(app, host=host, port=port, log_level="critical"))
        self._announce = announce

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._announce(f"http://{host}:{port}")


def serve(character: Character, host: str, port: int, announce: Callable[[str], None]) -> bool:
    """Serve until SIGINT or SIGTERM; False when the address cannot be had."""
    server = VeritasServer(character, host, port, announce)
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):  # uvicorn's ways to say stopped, and port taken
        pass
    return server.started
