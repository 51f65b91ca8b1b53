"""What a listening socket makes of a connection."""

from __future__ import annotations

import asyncio
import socket


async def answers_leave_at_once(listening: socket.socket) -> bool:
    """Whether an accepted connection sends without waiting for acknowledgements (TCP_NODELAY).

    The socket is closed afterwards.
    """
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.BaseTransport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    server = await loop.create_server(Accepting, sock=listening)
    _, writer = await asyncio.open_connection(*listening.getsockname())
    transport = await accepted
    own = transport.get_extra_info("socket")
    is_set = bool(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    transport.close()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return is_set
