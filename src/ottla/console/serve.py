"""Starts the console's web server on its port."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import socket
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from nicegui import app, ui

from ottla.console import login, watching
from ottla.console.clusters import Clusters
from ottla.console.demo_runner import DemoRunner
from ottla.console.origin import LOCAL_NAMES, SameOrigin
from ottla.console.pages import (
    administration,
    anatomy,
    demos,
    exporting,
    groups,
    overview,
    topic,
    topics,
)

#: A page that was out of reach for so long goes on where it was, with what it has missed.
RECONNECT_S = 10.0
KEPT_MESSAGES = 200
#: Calls of all pages together that wait for Kafka.
WAITING_THREADS = 64


class ConsoleError(Exception):
    """The console cannot be started; the text is one sentence for a person."""


def listen(host: str, port: int, *, is_strict: bool) -> socket.socket:
    """Listening on `port`, or with a warning on another when it is taken and not insisted on.

    Errors: `ConsoleError`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        if is_strict or error.errno != errno.EADDRINUSE:
            raise ConsoleError(
                f"it cannot listen on {host}:{port}: {error.strerror}; choose another with --port."
            ) from None
        listening = socket.create_server((host, 0), family=family)
        moved = listening.getsockname()[1]
        print(f"console: port {port} is taken, so it moved to port {moved}", file=sys.stderr)
    # What accepts takes this over; without it small answers wait for acknowledgements.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


@dataclass(frozen=True)
class Options:
    """What a console was started with; credentials are USER:PASSWORD."""

    bootstrap_servers: str
    host: str
    port: int
    is_port_strict: bool
    admin: str | None = None
    viewer: str | None = None
    metrics_url: str | None = None
    #: Settings of the Kafka clients beside the address, in librdkafka's words.
    client_config: Mapping[str, str] = field(default_factory=dict)


def _user(credentials: str) -> str:
    return credentials.partition(":")[0]


def _guard(options: Options) -> None:
    """Logins and the rules about other sites are in force. Errors: `ConsoleError`."""
    for flag, credentials in (("--auth", options.admin), ("--auth-viewer", options.viewer)):
        if credentials is not None and not re.fullmatch("[^:]+:.+", credentials):
            raise ConsoleError(f"{flag} takes USER:PASSWORD.")
    if options.viewer is not None and options.admin is None:
        raise ConsoleError("--auth-viewer needs --auth: somebody must be able to change things.")
    if options.viewer is not None and _user(options.viewer) == _user(options.admin or ""):
        raise ConsoleError(f"--auth and --auth-viewer cannot both be {_user(options.viewer)}.")
    if options.admin is None and not login.is_loopback(options.host):
        raise ConsoleError(
            f"{options.host} can be reached by others, so it needs a login: --auth USER:PASSWORD."
        )
    if options.admin is not None:
        login.require(options.admin, options.viewer)
        app.add_middleware(SameOrigin)
    else:
        app.add_middleware(SameOrigin, names=LOCAL_NAMES | {options.host})


def _make_room_for_waiting() -> None:
    """Whoever waits for Kafka waits in a thread: many at a time, or one search holds up a page."""
    pool = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="console-waiting")
    asyncio.get_running_loop().set_default_executor(pool)


def serve(options: Options) -> None:
    """Serve all pages until the process is told to stop. Errors: `ConsoleError`."""
    _guard(options)
    host = options.host
    listening = listen(host, options.port, is_strict=options.is_port_strict)
    port = listening.getsockname()[1]
    # It listens from now on, so the address holds as soon as it is told.
    descriptor = listening.fileno() if os.name == "posix" else None
    if descriptor is None:
        listening.close()  # uvicorn takes over no socket on Windows; it opens its own
    clusters = Clusters(
        options.bootstrap_servers,
        {"client.id": "ottla-console", **options.client_config},
        options.metrics_url,
    )
    runner = DemoRunner()
    for page in (overview, topics, topic, groups, anatomy, administration, exporting):
        page.register(clusters)
    demos.register(clusters, runner)
    app.on_startup(_make_room_for_waiting)
    app.on_shutdown(runner.close)
    app.on_shutdown(clusters.close)
    app.timer(watching.SWEEP_S, watching.sweep)
    # NiceGUI takes a console that somebody's test has started for a test of its own.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    app.on_startup(lambda: print(f"Console  http://{host}:{port}", flush=True))
    ui.run(
        host=host,
        port=port,
        title="Ottla",
        favicon="🦦",
        show=False,
        reload=False,
        show_welcome_message=False,
        storage_secret=secrets.token_hex(16),
        uvicorn_logging_level="warning",
        # A laptop that sleeps, or a slow moment, shall not cost what somebody has typed.
        reconnect_timeout=RECONNECT_S,
        message_history_length=KEPT_MESSAGES,
        fd=descriptor,
    )
