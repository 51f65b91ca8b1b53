"""A tiny HTTP endpoint on loopback: /metrics (Prometheus text) and /health.

One request per connection, GET only, a few hundred bytes at most: anything
else is answered with an error and closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from errno import EADDRINUSE
from typing import Final

MAX_REQUEST_SIZE: Final = 8192
REQUEST_TIMEOUT_S: Final = 5.0

OK: Final = "200 OK"
UNAVAILABLE: Final = "503 Service Unavailable"
#: Returns status, content type and text.
Page = Callable[[], tuple[str, str, str]]


class MetricsEndpoint:
    """Serves pages by path.

    A page that fails is answered with 500 and told to `on_error`; nobody who asks how a
    broker does may be the end of it.
    """

    def __init__(self, pages: dict[str, Page], on_error: Callable[[Exception], None]) -> None:
        self._pages = pages
        self._on_error = on_error
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int) -> str | None:
        """Listen on 127.0.0.1; port 0 takes a free one.

        A port that cannot be had is no reason to stay down: a free one is taken
        instead, and the warning to be shown is returned.
        """
        warning = None
        try:
            self._server = await self._listen(port)
        except OSError as error:
            self._server = await self._listen(0)
            why = "is taken" if error.errno == EADDRINUSE else f"cannot be had ({error.strerror})"
            warning = f"metrics port {port} {why}; it moved"
        self.port = self._server.sockets[0].getsockname()[1]
        return warning and f"{warning} to {self.port}"

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", port, limit=MAX_REQUEST_SIZE)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            # The broker stops in the middle of a request; Python 3.11 would report that as an
            # error of the loop, and the broker take it for one of its own.
            pass
        finally:
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or words[0] not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", "text/plain", "only GET\n")
        page = self._pages.get(words[1].partition("?")[0])
        if page is None:
            known = " ".join(sorted(self._pages))
            return _response("404 Not Found", "text/plain", f"not here; try {known}\n")
        try:
            status, kind, text = page()
        except Exception as error:  # noqa: BLE001 - a boundary, as the one of a connection
            self._on_error(error)
            text = "this page failed; the broker has said why\n"
            return _response("500 Internal Server Error", "text/plain", text)
        return _response(status, kind, text)


def _response(status: str, kind: str, text: str) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
