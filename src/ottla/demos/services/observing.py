"""Correlation ids, structured logs and Prometheus counters of both services."""

from __future__ import annotations

import contextvars
import json
import logging
import sys
import time
import uuid
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="-")
HEADER = b"x-correlation-id"
log = logging.getLogger("ottla.demos.services")
producer_log = log.getChild("producer")
consumer_log = log.getChild("consumer")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the service and the correlation id."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "service": record.name.rpartition(".")[2],
            "correlation_id": getattr(record, "correlation_id", correlation_id.get()),
            "message": record.getMessage(),
        }
        return json.dumps(line, ensure_ascii=False)


def configure_logging() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class Metrics:
    """Counters by name and label, as text for Prometheus."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, name: str, label: str = "") -> None:
        self._counts[name, label] += 1

    def value(self, name: str, label: str = "") -> int:
        return self._counts[name, label]

    def text(self) -> str:
        lines = []
        last = None
        for (name, label), number in sorted(self._counts.items()):
            if name != last:
                lines.append(f"# TYPE {name} counter")
                last = name
            lines.append(f'{name}{{kind="{label}"}} {number}' if label else f"{name} {number}")
        return "\n".join(lines) + "\n"


class Correlation:
    """Takes the correlation id from the request, or makes one, and answers with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")[:64]
        token = correlation_id.set(given or str(uuid.uuid4()))
        current = correlation_id.get()

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (HEADER, current.encode("latin-1"))]
            await send(message)

        try:
            await self.app(scope, receive, with_header)
        finally:
            correlation_id.reset(token)
