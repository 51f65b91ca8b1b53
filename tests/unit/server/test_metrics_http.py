"""The page of metrics and what its clients may do to it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ottla.server.metrics_http import MetricsEndpoint


def test_a_stop_in_the_middle_of_a_request_is_no_error() -> None:
    reported: list[dict[str, Any]] = []

    async def serve_half_a_request() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context))
        endpoint = MetricsEndpoint({})
        await endpoint.start(0)
        with socket.create_connection(("127.0.0.1", endpoint.port)) as client:
            client.sendall(b"GET /metrics")
            while len(asyncio.all_tasks()) < 2:  # noqa: ASYNC110 - nothing tells when it began
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        await endpoint.stop()

    asyncio.run(serve_half_a_request())
    assert reported == []
