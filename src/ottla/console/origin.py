"""Requests of other sites are refused, and pages say what browsers may load for them.

A page of another site can make this browser send requests to the console, or
point its own name at this machine. So the `Origin` of a request must be the
console itself, and a console that asks for no password answers only to names
of this machine.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Everything a page needs comes with the console; nothing may be sent elsewhere.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


class SameOrigin:
    """ASGI middleware; `names` are the hosts it answers to, None for any."""

    def __init__(self, app: ASGIApp, names: frozenset[str] | None = None) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        problem = self.problem(dict(scope["headers"]))
        if problem is None:
            await self.app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
        else:
            start = {"type": "http.response.start", "status": 403}
            await send({**start, "headers": [(b"content-type", b"text/plain; charset=utf-8")]})
            await send({"type": "http.response.body", "body": f"{problem}\n".encode()})

    def problem(self, headers: dict[bytes, bytes]) -> str | None:
        """Why a request with these headers is refused; None when it is not."""
        host = headers.get(b"host", b"").decode("latin-1")
        name = urlsplit(f"//{host}").hostname or ""
        if self.names is not None and name not in self.names:
            return (
                f"This console answers only to names of its own machine, not to {name}; start it"
                " with --auth USER:PASSWORD to use it under another name."
            )
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc != host:
            return "This request came from another site."
        return None


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return wrapped
