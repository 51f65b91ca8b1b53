"""Serving several small HTTP services from one process, with an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from ottla.demos.kafka_clients import DemoError
from ottla.server.signals import call_when_asked_to_end

GRACE_S = 2


@dataclass(frozen=True, slots=True)
class HttpService:
    """An application on its listening socket; `hint` follows its address when shown."""

    name: str
    application: ASGIApp
    socket: socket.socket
    hint: str

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class QuietServer(uvicorn.Server):
    """A server that leaves signals to the program that runs several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(role: str, host: str, port: int) -> socket.socket:
    """Errors: `DemoError` when the port is taken or the host is not ours."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise DemoError(
            f"The {role} service cannot listen on {host}:{port} ({error.strerror}); choose another"
            f" port with --{role}-port."
        ) from None
    sock.listen(128)
    return sock


async def serve(services: Sequence[HttpService], stop: asyncio.Event) -> None:
    """Serve all until `stop` is set; their life spans have ended afterwards."""
    servers = []
    for service in services:
        config = uvicorn.Config(
            service.application,
            log_level="warning",
            lifespan="auto",
            timeout_graceful_shutdown=GRACE_S,
        )
        servers.append(QuietServer(config))
        print(f"{service.name}  {service.address}  ({service.hint})", flush=True)
    running = asyncio.gather(
        *(
            server.serve(sockets=[service.socket])
            for server, service in zip(servers, services, strict=True)
        )
    )
    asked = asyncio.ensure_future(stop.wait())
    until: set[asyncio.Future[Any]] = {asked, running}
    await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    for server in servers:
        server.should_exit = True
    await running


def serve_until_signalled(services: Sequence[HttpService]) -> None:
    """Serve all until a signal asks for the end."""

    async def main() -> None:
        stop = asyncio.Event()
        call_when_asked_to_end(asyncio.get_running_loop(), stop.set)
        await serve(services, stop)

    asyncio.run(main())
