"""One gateway process: binds the doors' ports, serves them, stops in order."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from confluent_kafka import KafkaException
from starlette.applications import Starlette

from ottla.gateway.admin_commands import AdminCommands
from ottla.gateway.bounded_http import MAX_HEAD_BYTES, http_protocol
from ottla.gateway.burrow.config import BurrowConfigError, HttpAddress
from ottla.gateway.burrow.monitor import LagMonitor
from ottla.gateway.burrow.notifier import NotifierThread, notifiers_of
from ottla.gateway.burrow_app import burrow_application, load_monitor
from ottla.gateway.door import build_door, front_page
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.metrics_app import metrics_application
from ottla.gateway.rest_app import rest_application
from ottla.gateway.settings import GatewaySettings

SHUTDOWN_GRACE_S = 3


class DoorError(Exception):
    """A door cannot be opened; the text is one sentence for a person."""


@dataclass(slots=True)
class Door:
    """An application and the socket it is served on."""

    name: str
    application: Starlette
    socket: socket.socket
    certificate: str | None
    key: str | None

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.certificate else 'http'}://{shown}:{port}"


class DoorServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the process that runs several."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(name: str, host: str, port: int, warn: Callable[[str], None]) -> socket.socket:
    """A listening socket; on another free port, with a warning, when `port` is taken.

    Errors: `DoorError` when the host is not ours or the port may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's waiting only where the protocol is spelt out.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            sock.close()
            raise DoorError(
                f"{name} cannot listen on {host}:{port}: {error.strerror}; choose another host"
                " or port."
            ) from None
        sock.bind((host, 0))
        warn(f"port {port} is taken, so {name} moved to port {sock.getsockname()[1]}")
    sock.listen(256)
    sock.setblocking(False)
    return sock


def open_doors(
    settings: GatewaySettings,
    kafka: KafkaAccess,
    monitor: LagMonitor,
    warn: Callable[[str], None],
) -> list[Door]:
    """Bind every port in the settings. Errors: `DoorError`, `BurrowConfigError`."""
    doors: list[Door] = []
    commands = AdminCommands(kafka)

    def add(name: str, application: Starlette, at: HttpAddress) -> None:
        sock = bind(name, at.host or settings.host, at.port, warn)
        certificate = at.certificate or settings.tls_certificate
        key = at.key if at.certificate else settings.tls_key
        doors.append(Door(name, application, sock, certificate, key))

    if settings.rest_port is not None:
        add("REST Proxy", rest_application(kafka, commands), HttpAddress("", settings.rest_port))
    if settings.burrow_port is not None:
        wanted = monitor.config.http_addresses() if settings.burrow_port_is_default else []
        wanted = wanted or [HttpAddress("", settings.burrow_port)]
        for number, address in enumerate(wanted, 1):
            suffix = f" {number}" if len(wanted) > 1 else ""
            add(f"Burrow{suffix}", burrow_application(kafka, monitor), address)
    if settings.metrics_port is not None:
        add("Metrics", metrics_application(kafka, monitor), HttpAddress("", settings.metrics_port))
    for number, port in enumerate(settings.admin_ports, 1):
        suffix = f" {number}" if len(settings.admin_ports) > 1 else ""
        application = build_door(kafka, [front_page("/commands"), *commands.routes()])
        add(f"Admin commands{suffix}", application, HttpAddress("", port))
    return doors


async def serve(
    settings: GatewaySettings,
    on_ready: Callable[[list[Door]], None],
    stop: asyncio.Event,
    warn: Callable[[str], None] = lambda text: print(f"gateway: {text}", file=sys.stderr),
) -> None:
    """Serve all doors until `stop` is set; running requests are finished first."""
    kafka = KafkaAccess(settings)
    try:
        monitor = load_monitor(kafka)
        notifier = NotifierThread(monitor, notifiers_of(monitor.config.modules("notifier")))
    except BurrowConfigError as error:
        raise DoorError(str(error)) from None
    try:
        kafka.admin()
    except KafkaException as error:
        raise DoorError(f"the Kafka client cannot be set up: {error.args[0].str()}") from None
    try:
        doors = open_doors(settings, kafka, monitor, warn)
    except BurrowConfigError as error:
        raise DoorError(str(error)) from None
    if settings.burrow_port is not None or settings.metrics_port is not None:
        monitor.start()
        notifier.start()
    servers = [
        DoorServer(
            uvicorn.Config(
                door.application,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
                ssl_certfile=door.certificate,
                ssl_keyfile=door.key,
                http=http_protocol(),
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            )
        )
        for door in doors
    ]
    stopped = asyncio.gather(
        *(server.serve(sockets=[door.socket]) for server, door in zip(servers, doors, strict=True))
    )
    started = asyncio.gather(*(server.has_started.wait() for server in servers))
    started_or_failed: set[asyncio.Future[Any]] = {started, stopped}
    await asyncio.wait(started_or_failed, return_when=asyncio.FIRST_COMPLETED)
    on_ready(doors)
    asked_to_stop = asyncio.ensure_future(stop.wait())
    until: set[asyncio.Future[Any]] = {asked_to_stop, stopped}
    try:
        await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
        kafka.stopping.set()
        for server in servers:
            server.should_exit = True
        await stopped
    finally:
        asked_to_stop.cancel()
        await kafka.call(notifier.stop)
        await kafka.call(monitor.stop)
        kafka.close()
