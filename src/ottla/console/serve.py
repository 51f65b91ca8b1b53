"""Starts the console's web server on its port."""

from __future__ import annotations

import errno
import secrets
import socket
import sys

from nicegui import app, ui

from ottla.console import login
from ottla.console.clusters import Clusters
from ottla.console.pages import groups, overview, topic, topics


class ConsoleError(Exception):
    """The console cannot be started; the text is one sentence for a person."""


def free_port(host: str, port: int, *, is_strict: bool) -> int:
    """`port`, or another free one with a warning when it is taken and not insisted on.

    Errors: `ConsoleError`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if is_strict or error.errno != errno.EADDRINUSE:
                raise ConsoleError(
                    f"it cannot listen on {host}:{port}: {error.strerror}; choose another with"
                    " --port."
                ) from None
            probe.bind((host, 0))
            moved = int(probe.getsockname()[1])
            print(f"console: port {port} is taken, so it moved to port {moved}", file=sys.stderr)
            return moved
        return int(probe.getsockname()[1])


def serve(
    bootstrap_servers: str, host: str, port: int, *, is_strict: bool, credentials: str | None
) -> None:
    """Serve all pages until the process is told to stop. Errors: `ConsoleError`."""
    if credentials is None and not login.is_loopback(host):
        raise ConsoleError(
            f"{host} can be reached by others, so it needs a login: --auth USER:PASSWORD."
        )
    if credentials is not None:
        if ":" not in credentials:
            raise ConsoleError("--auth takes USER:PASSWORD.")
        login.require(credentials)
    port = free_port(host, port, is_strict=is_strict)
    clusters = Clusters(bootstrap_servers, {"client.id": "ottla-console"})
    for page in (overview, topics, topic, groups):
        page.register(clusters)
    app.on_shutdown(clusters.close)
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
    )
