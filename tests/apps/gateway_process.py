"""A gateway on free ports in a thread of the test process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from ottla.gateway.serve import Door, serve
from ottla.gateway.settings import GatewaySettings


@contextlib.contextmanager
def running_gateway(settings: GatewaySettings) -> Iterator[dict[str, str]]:
    """Serve by the settings; gives each door's address by its name."""
    addresses: dict[str, str] = {}
    is_ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    warnings: list[str] = []

    def ready(doors: list[Door]) -> None:
        addresses.update({door.name: door.address for door in doors})
        is_ready.set()

    def run() -> None:
        try:
            loop.run_until_complete(serve(settings, ready, stop, warnings.append))
        finally:
            is_ready.set()

    thread = threading.Thread(target=run, name="gateway")
    thread.start()
    try:
        assert is_ready.wait(90)
        assert addresses, "the gateway ended before it was ready"
        yield addresses
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(90)
        loop.close()
        assert not thread.is_alive()


def any_ports(bootstrap_servers: str) -> GatewaySettings:
    """Settings with every door on a free port."""
    return GatewaySettings(
        bootstrap_servers=bootstrap_servers,
        rest_port=0,
        burrow_port=0,
        metrics_port=0,
        admin_ports=(0,),
    )
