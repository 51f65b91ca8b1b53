"""The commands of ZooKeeper's admin server, answered for what took over its roles.

`/commands` lists them, `/commands/{name}` answers one, by its long or short
name. Every answer has `command` and `error`; a command whose subject is gone
(sessions, watches, traces) says in `error` where the matter lives now, and
none is a 404 among the names ZooKeeper documents.
"""

from __future__ import annotations

import html
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import ottla
from ottla.gateway.errors import RestError
from ottla.gateway.kafka_access import KafkaAccess

Answer = dict[str, Any]

#: Long name -> (short names, what it answers).
COMMANDS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "configuration": (("conf", "config"), "the broker's configuration"),
    "connection_stat_reset": (("crst",), "gone: counters only grow; take differences of /metrics"),
    "connections": (("cons",), "the brokers this gateway talks to"),
    "dirs": (("dirs",), "sizes of the log directories"),
    "dump": (("dump",), "gone: sessions; see consumer groups"),
    "environment": (("env", "envi"), "the gateway's environment"),
    "get_trace_mask": (("gtmk",), "gone: trace masks; see log levels"),
    "is_read_only": (("isro",), "whether writes are possible"),
    "monitor": (("mntr",), "flat metrics of the cluster"),
    "ruok": (("ruok",), "whether the cluster answers"),
    "server_stats": (("srvr",), "version, role and counts"),
    "set_trace_mask": (("stmk",), "gone: trace masks; see log levels"),
    "stat_reset": (("srst",), "gone: counters only grow; take differences of /metrics"),
    "stats": (("stat",), "server_stats and connections in one"),
    "watch_summary": (("wchs",), "gone: watches; clients poll metadata instead"),
    "watches": (("wchc",), "gone: watches; clients poll metadata instead"),
    "watches_by_path": (("wchp",), "gone: watches; clients poll metadata instead"),
    "initial_configuration": (("icfg",), "the broker's configuration at its start"),
    "leader": (("lead",), "the controller"),
    "system_properties": (("sysp",), "the gateway's environment"),
    "hash": (("hash",), "gone: tree digests; batches carry a CRC-32C each"),
    "last_snapshot": (("lsnp",), "gone: ZooKeeper's snapshots; see kafka-metadata-quorum"),
    "observers": (("obsr",), "gone: ZooKeeper's observers; see kafka-metadata-quorum"),
    "voting_view": (("vovi",), "the quorum's voters"),
    "zabstate": (("zabs",), "gone: ZooKeeper's protocol; see kafka-metadata-quorum"),
}

GONE: Final = {
    "connection_stat_reset": "Counters are never reset: rates are differences of /metrics.",
    "stat_reset": "Counters are never reset: rates are differences of /metrics.",
    "dump": "There are no sessions: membership is in kafka-consumer-groups --describe --members.",
    "get_trace_mask": "There are no trace masks: log levels are set with the usual configuration.",
    "set_trace_mask": "There are no trace masks: log levels are set with the usual configuration.",
    "watch_summary": "There are no watches: clients refresh metadata (metadata.max.age.ms).",
    "watches": "There are no watches: clients refresh metadata (metadata.max.age.ms).",
    "watches_by_path": "There are no watches: clients refresh metadata (metadata.max.age.ms).",
    "hash": "There is no tree digest: every record batch carries a CRC-32C (ottla verify).",
    "last_snapshot": "Metadata snapshots: kafka-metadata-quorum --bootstrap-server … describe"
    " --status.",
    "observers": "Observers of the quorum: kafka-metadata-quorum --bootstrap-server … describe"
    " --replication.",
    "zabstate": "The quorum's state: kafka-metadata-quorum --bootstrap-server … describe --status.",
}


@dataclass(frozen=True, slots=True)
class Role:
    """One of ZooKeeper's roles, and where it lives now."""

    name: str
    was: str
    now: str
    see: str


ROLES: Final = (
    Role(
        "Controller election",
        "the first broker to create /controller",
        "the leader of the metadata quorum",
        "kafka-metadata-quorum --bootstrap-server localhost:9092 describe --status",
    ),
    Role(
        "Cluster membership",
        "ephemeral nodes below /brokers/ids",
        "brokers registered with the controller, kept alive by heartbeats",
        "curl localhost:8082/brokers",
    ),
    Role(
        "Topics and their configuration",
        "/brokers/topics and /config/topics",
        "records of the metadata log",
        "kafka-topics --bootstrap-server localhost:9092 --describe",
    ),
    Role(
        "Quotas",
        "/config/users and /config/clients",
        "records of the metadata log",
        "kafka-configs --bootstrap-server localhost:9092 --describe --entity-type clients",
    ),
    Role(
        "Access control lists",
        "/kafka-acl",
        "records of the metadata log, enforced by the authorizer",
        "kafka-acls --bootstrap-server localhost:9092 --list",
    ),
    Role(
        "Users' SCRAM credentials",
        "/config/users",
        "records of the metadata log",
        "kafka-configs --bootstrap-server localhost:9092 --describe --entity-type users",
    ),
    Role(
        "Deleting topics, moving replicas, electing leaders",
        "nodes below /admin, which the controller watched",
        "requests to the controller",
        "kafka-reassign-partitions --bootstrap-server localhost:9092 --list",
    ),
    Role(
        "Features, the cluster's id, blocks of producer ids",
        "/feature, /cluster/id and /latest_producer_id_block",
        "records of the metadata log, and meta.properties of each node",
        "kafka-features --bootstrap-server localhost:9092 describe",
    ),
    Role(
        "Consumer groups and their offsets",
        "/consumers, in the oldest clients",
        "the topic __consumer_offsets and its coordinators",
        "kafka-consumer-groups --bootstrap-server localhost:9092 --all-groups --describe",
    ),
)


class AdminCommands:
    """The handlers of /commands, on every port that serves them."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self.kafka = kafka
        self.started_s = time.time()
        self.by_name: dict[str, str] = {}
        for name, (short_names, _) in COMMANDS.items():
            self.by_name[name] = name
            for short in short_names:
                self.by_name.setdefault(short, name)
        self.answers: dict[str, Callable[[], Awaitable[Answer]]] = {
            "configuration": self.configuration,
            "initial_configuration": self.configuration,
            "connections": self.connections,
            "dirs": self.dirs,
            "environment": self.environment,
            "system_properties": self.environment,
            "is_read_only": self.is_read_only,
            "leader": self.leader,
            "monitor": self.monitor,
            "ruok": self.ruok,
            "server_stats": self.server_stats,
            "stats": self.stats,
            "voting_view": self.voting_view,
        }

    def routes(self) -> list[Route]:
        return [
            Route("/commands", self.index),
            Route("/commands/", self.index),
            Route("/commands/{name}", self.answer, methods=["GET", "POST"]),
            Route("/zookeeper", self.roles),
        ]

    async def index(self, _: Request) -> Response:
        rows = "".join(
            f'<tr><td><a href="/commands/{n}">{n}</a></td><td>{html.escape(t)}</td></tr>'
            for n, (_, t) in COMMANDS.items()
        )
        return HTMLResponse(page("Admin commands", f"<table>{rows}</table>{ROLES_LINK}"))

    async def roles(self, _: Request) -> Response:
        """The page that says where each of ZooKeeper's roles lives now."""
        rows = "".join(
            f"<tr><td>{html.escape(r.name)}</td><td>{html.escape(r.was)}</td>"
            f"<td>{html.escape(r.now)}</td><td><code>{html.escape(r.see)}</code></td></tr>"
            for r in ROLES
        )
        head = "<tr><th>Role</th><th>In ZooKeeper</th><th>Now</th><th>How to see it</th></tr>"
        return HTMLResponse(
            page("What ZooKeeper did, and where it lives now", f"<table>{head}{rows}</table>")
        )

    async def answer(self, request: Request) -> Response:
        asked = request.path_params["name"].lower()
        name = self.by_name.get(asked)
        if name is None:
            body: Answer = {
                "command": asked,
                "error": "There is no such command; /commands lists them.",
            }
            return JSONResponse(body, status_code=404)
        if name in GONE:
            return JSONResponse({"command": name, "error": GONE[name]})
        try:
            answer = await self.answers[name]()
        except RestError as error:
            body = {"command": name, "error": error.message}
            return JSONResponse(body, status_code=error.status)
        return JSONResponse({**answer, "command": name, "error": None})

    async def ruok(self) -> Answer:
        await self.kafka.describe_cluster()
        return {}

    async def is_read_only(self) -> Answer:
        await self.kafka.describe_cluster()
        return {"read_only": False}

    async def environment(self) -> Answer:
        return {
            "ottla.version": ottla.__version__,
            "python.version": platform.python_version(),
            "python.implementation": platform.python_implementation(),
            "os.name": platform.system(),
            "os.version": platform.release(),
            "os.arch": platform.machine(),
            "host.name": platform.node(),
            "byte.order": sys.byteorder,
            "kafka.bootstrap.servers": self.kafka.settings.bootstrap_servers,
        }

    async def configuration(self) -> Answer:
        cluster = await self.kafka.describe_cluster()
        node = cluster.controller or cluster.nodes[0]
        entries = await self.kafka.configs("broker", str(node.id))
        values = {
            key: None if entry.is_sensitive else entry.value
            for key, entry in sorted(entries.items())
        }
        return {
            "client_port": node.port,
            "data_dir": values.get("log.dirs") or values.get("log.dir"),
            "max_client_cnxns": values.get("max.connections"),
            "server_id": node.id,
            "broker": values,
        }

    async def connections(self) -> Answer:
        cluster = await self.kafka.describe_cluster()
        return {
            "connections": [
                {"remote_socket_address": f"{n.host}:{n.port}", "node_id": n.id}
                for n in cluster.nodes
            ],
            "secure_connections": [],
        }

    async def dirs(self) -> Answer:
        sizes = await self.kafka.call(self.kafka.raw.log_directory_sizes)
        return {"datadir_size": sum(sizes.values()), "logdir_size": sum(sizes.values())}

    async def leader(self) -> Answer:
        cluster = await self.kafka.describe_cluster()
        node = cluster.controller
        return {
            "is_leader": True,
            "leader_id": None if node is None else node.id,
            "leader_ip": None if node is None else node.host,
        }

    async def voting_view(self) -> Answer:
        cluster = await self.kafka.describe_cluster()
        return {"current_config": {str(n.id): f"{n.host}:{n.port}" for n in cluster.nodes}}

    async def server_stats(self) -> Answer:
        cluster = await self.kafka.describe_cluster()
        metadata = await self.kafka.metadata()
        partitions = sum(len(t.partitions) for t in metadata.topics.values())
        return {
            "version": ottla.__version__,
            "read_only": False,
            "server_stats": {
                "server_state": "standalone" if len(cluster.nodes) == 1 else "leader",
                "num_alive_client_connections": len(cluster.nodes),
                "uptime": int((time.time() - self.started_s) * 1000),
                "last_processed_zxid": None,
            },
            "node_count": len(metadata.topics),
            "partition_count": partitions,
        }

    async def stats(self) -> Answer:
        return {**(await self.server_stats()), **(await self.connections())}

    async def monitor(self) -> Answer:
        cluster = await self.kafka.describe_cluster()
        metadata = await self.kafka.metadata()
        partitions = [p for t in metadata.topics.values() for p in t.partitions.values()]
        return {
            "version": ottla.__version__,
            "server_state": "standalone" if len(cluster.nodes) == 1 else "leader",
            "cluster_id": cluster.cluster_id,
            "broker_count": len(cluster.nodes),
            "topic_count": len(metadata.topics),
            "partition_count": len(partitions),
            "offline_partition_count": sum(1 for p in partitions if p.leader < 0),
            "under_replicated_partition_count": sum(
                1 for p in partitions if len(p.isrs) < len(p.replicas)
            ),
            "uptime": int((time.time() - self.started_s) * 1000),
        }


ROLES_LINK: Final = '<p><a href="/zookeeper">What ZooKeeper did, and where it lives now</a></p>'


def page(title: str, body: str) -> str:
    """A small self-contained HTML page."""
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;"
        "color-scheme:light dark}td,th{text-align:left;padding:.3rem .8rem .3rem 0;"
        "vertical-align:top}code{font-size:.9em}"
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{style}</style><h1>{html.escape(title)}</h1>{body}</html>"
    )
