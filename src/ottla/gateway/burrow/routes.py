"""Burrow's HTTP API, version 3."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ottla.gateway.burrow.config import LEVELS
from ottla.gateway.burrow.monitor import LagMonitor, group_view

CLUSTER = "/v3/kafka/{cluster}"
CONSUMER = f"{CLUSTER}/consumer/{{consumer}}"


class BurrowRoutes:
    """The handlers; every answer has `error`, `message` and `request`."""

    def __init__(self, monitor: LagMonitor) -> None:
        self.monitor = monitor
        self.host = socket.gethostname()
        self.config = monitor.config

    def routes(self) -> list[Route]:
        return [
            Route("/burrow/admin", self.alive),
            Route("/burrow/admin/ready", self.ready),
            Route("/v3/kafka", self.clusters),
            Route(CLUSTER, self.cluster),
            Route(f"{CLUSTER}/topic", self.topics),
            Route(f"{CLUSTER}/topic/{{topic}}", self.topic),
            Route(f"{CLUSTER}/topic/{{topic}}/consumers", self.topic_consumers),
            Route(f"{CLUSTER}/consumer", self.consumers),
            Route(CONSUMER, self.consumer),
            Route(CONSUMER, self.delete, methods=["DELETE"]),
            Route(f"{CONSUMER}/topic/{{topic}}", self.delete, methods=["DELETE"]),
            Route(f"{CONSUMER}/status", self.status),
            Route(f"{CONSUMER}/lag", self.lag),
            Route("/v3/config", self.main_config),
            Route("/v3/config/cluster/{cluster}", self.cluster),
            Route("/v3/config/{kind}", self.config_list),
            Route("/v3/config/{kind}/{name}", self.config_detail),
            Route("/v3/admin/loglevel", self.get_log_level, methods=["GET"]),
            Route("/v3/admin/loglevel", self.set_log_level, methods=["POST"]),
            Route("/{anything:path}", self.unknown),
        ]

    def _answer(
        self, request: Request, message: str, content: dict[str, Any], status: int = 200
    ) -> Response:
        return JSONResponse(
            {
                "error": False,
                "message": message,
                **content,
                "request": {"url": request.url.path, "host": self.host},
            },
            status_code=status,
        )

    def _error(self, request: Request, status: int, message: str) -> Response:
        return JSONResponse(
            {
                "error": True,
                "message": message,
                "request": {"url": request.url.path, "host": self.host},
            },
            status_code=status,
        )

    async def unknown(self, _: Request) -> Response:
        return JSONResponse(
            {"error": True, "message": "invalid request type", "result": {}}, status_code=404
        )

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("GOOD")

    async def ready(self, _: Request) -> Response:
        if self.monitor.is_ready:
            return PlainTextResponse("READY")
        return PlainTextResponse("STARTING", status_code=503)

    async def clusters(self, request: Request) -> Response:
        return self._answer(request, "cluster list returned", {"clusters": self.monitor.clusters()})

    async def cluster(self, request: Request) -> Response:
        name = request.path_params["cluster"]
        table = self.config.clusters.get(name)
        if table is None:
            return self._error(request, 404, "cluster module not found")
        module = {
            "class-name": table.get("class-name", "kafka"),
            "servers": self.config.servers_of(name),
            "client-profile": self._client_profile(str(table.get("client-profile", ""))),
            "topic-refresh": int(table.get("topic-refresh", 60)),
            "offset-refresh": int(table.get("offset-refresh", 10)),
        }
        return self._answer(request, "cluster module detail returned", {"module": module})

    def _client_profile(self, name: str) -> dict[str, Any]:
        profile = self.config.modules("client-profile").get(name, {})
        return {
            "name": name,
            "client-id": profile.get("client-id", ""),
            "kafka-version": profile.get("kafka-version", ""),
            "tls": None,
            "sasl": None,
        }

    async def topics(self, request: Request) -> Response:
        topics = self.monitor.topics(request.path_params["cluster"])
        if topics is None:
            return self._error(request, 404, "cluster not found")
        return self._answer(request, "topic list returned", {"topics": topics})

    async def topic(self, request: Request) -> Response:
        params = request.path_params
        ends = self.monitor.ends(params["cluster"], params["topic"])
        if ends is None:
            return self._error(request, 404, "cluster or topic not found")
        return self._answer(request, "topic offsets returned", {"offsets": ends})

    async def topic_consumers(self, request: Request) -> Response:
        params = request.path_params
        consumers = self.monitor.consumers_of(params["cluster"], params["topic"])
        if consumers is None:
            return self._error(request, 404, "cluster not found")
        return self._answer(request, "consumers of topic returned", {"consumers": consumers})

    async def consumers(self, request: Request) -> Response:
        groups = self.monitor.groups(request.path_params["cluster"])
        if groups is None:
            return self._error(request, 404, "cluster not found")
        return self._answer(request, "consumer list returned", {"consumers": groups})

    async def consumer(self, request: Request) -> Response:
        params = request.path_params
        topics = self.monitor.detail(params["cluster"], params["consumer"])
        if topics is None:
            return self._error(request, 404, "cluster or consumer not found")
        return self._answer(request, "consumer detail returned", {"topics": topics})

    async def delete(self, request: Request) -> Response:
        params = request.path_params
        self.monitor.remove(params["cluster"], params["consumer"], params.get("topic"))
        return self._answer(request, "consumer group removed", {})

    async def status(self, request: Request) -> Response:
        return self._status(request, show_all=False)

    async def lag(self, request: Request) -> Response:
        return self._status(request, show_all=True)

    def _status(self, request: Request, *, show_all: bool) -> Response:
        """An unknown group is 404 with `error` false, as Burrow answers it."""
        cluster, group = request.path_params["cluster"], request.path_params["consumer"]
        found = self.monitor.status(cluster, group)
        if found is None:
            view: dict[str, Any] = {
                "cluster": cluster,
                "group": group,
                "status": "NOTFOUND",
                "complete": 1.0,
                "partitions": [],
                "partition_count": 0,
                "maxlag": None,
                "totallag": 0,
            }
            return self._answer(request, "consumer status returned", {"status": view}, 404)
        view = group_view(cluster, found, show_all=show_all)
        return self._answer(request, "consumer status returned", {"status": view})

    async def main_config(self, request: Request) -> Response:
        tables = self.config.tables
        general, logging_ = tables.get("general", {}), tables.get("logging", {})
        zookeeper = tables.get("zookeeper", {})
        return self._answer(
            request,
            "main config returned",
            {
                "general": {
                    "pidfile": general.get("pidfile", ""),
                    "stdout-logfile": general.get("stdout-logfile", ""),
                    "access-control-allow-origin": general.get("access-control-allow-origin", ""),
                },
                "logging": {
                    "filename": logging_.get("filename", ""),
                    "max-size": logging_.get("maxsize", 0),
                    "max-backups": logging_.get("maxbackups", 0),
                    "max-age": logging_.get("maxage", 0),
                    "use-local-time": logging_.get("use-localtime", False),
                    "use-compression": logging_.get("use-compression", False),
                    "level": logging_.get("level", "info"),
                },
                "zookeeper": {
                    "servers": zookeeper.get("servers", []),
                    "timeout": zookeeper.get("timeout", 0),
                    "root-path": zookeeper.get("root-path", ""),
                },
                "httpserver": {
                    name: {
                        "address": server.get("address", ""),
                        "tls": server.get("tls", ""),
                        "timeout": server.get("timeout", 300),
                    }
                    for name, server in self.config.modules("httpserver").items()
                },
            },
        )

    async def config_list(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in ("storage", "evaluator", "cluster", "consumer", "notifier"):
            return await self.unknown(request)
        modules = list(self.config.modules(kind))
        return self._answer(
            request, "module list returned", {"coordinator": kind, "modules": modules}
        )

    async def config_detail(self, request: Request) -> Response:
        kind, name = request.path_params["kind"], request.path_params["name"]
        if kind not in ("storage", "evaluator", "consumer", "notifier"):
            return await self.unknown(request)
        module = self.config.modules(kind).get(name)
        if module is None:
            return self._error(request, 404, f"{kind} module not found")
        return self._answer(request, f"{kind} module detail returned", {"module": module})

    async def get_log_level(self, request: Request) -> Response:
        level = logging.getLogger("ottla.burrow").getEffectiveLevel()
        name = logging.getLevelName(level).lower().replace("warning", "warn")
        return self._answer(request, "log level returned", {"level": name})

    async def set_log_level(self, request: Request) -> Response:
        try:
            body = json.loads(await request.body())
            asked = str(body["level"]).lower()
        except (ValueError, KeyError, TypeError):
            return self._error(request, 400, "could not decode message body")
        if asked not in LEVELS:
            return self._error(request, 404, "unknown log level")
        logging.getLogger("ottla.burrow").setLevel(LEVELS[asked])
        return self._answer(request, "set log level", {})
