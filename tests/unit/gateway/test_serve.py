"""Opening the doors."""

from __future__ import annotations

import asyncio
import socket

from ottla.gateway.serve import bind


async def test_an_answer_is_sent_at_once_and_waits_for_no_acknowledgement() -> None:
    sock = bind("REST Proxy", "127.0.0.1", 0, print)
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.BaseTransport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    server = await loop.create_server(Accepting, sock=sock)
    _, writer = await asyncio.open_connection(*sock.getsockname())
    transport = await accepted
    assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.close()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
