"""Names with a slash in the path of a URL.

Groups may have one, and so may the ids of members that librdkafka makes. In a
URL it is written `%2F`, which routing would take for the end of the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from starlette.convertors import Convertor, StringConvertor
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

#: Stands for an encoded slash between the server and the route; for private use in Unicode.
_SLASH: Final = "\ue02f"


class SegmentConvertor(Convertor[str]):
    """One segment of a path, its slashes as they were meant."""

    regex = StringConvertor.regex

    def convert(self, value: str) -> str:
        return value.replace(_SLASH, "/")

    def to_string(self, value: str) -> str:
        return value.replace("/", _SLASH)


class EncodedSlashes:
    """Keeps encoded slashes apart from those that separate segments."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if b"%2f" in raw.lower():
            segments = [unquote(s).replace("/", _SLASH) for s in raw.decode("ascii").split("/")]
            scope = {**scope, "path": "/".join(segments)}
        await self.app(scope, receive, send)


def with_slashes(routes: Sequence[BaseRoute]) -> Sequence[BaseRoute]:
    """The same routes, their named segments able to hold a slash."""
    for route in routes:
        if isinstance(route, Route):
            for name, convertor in route.param_convertors.items():
                if type(convertor) is StringConvertor:
                    route.param_convertors[name] = SegmentConvertor()
    return routes
