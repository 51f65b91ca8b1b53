"""A cluster below a platform: Apache Kafka started for it, or one that is there already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from ottla.cli.errors import CommandError
from ottla.client import ClientError, Cluster, Settings
from ottla.client.errors import SettingsError
from ottla.client.offsets import end_offsets
from ottla.client.properties_files import format_properties
from ottla.client.security import secured
from ottla.engine.containers import open_standing
from ottla.engine.errors import EngineError
from ottla.engine.standing import StandingCluster
from ottla.server.errors import StartError

#: Controlled shutdown moves every leader away first.
STOP_LIMIT_S: Final = 60.0
ASKING_LIMIT_MS: Final = 5_000

T = TypeVar("T")


class Figures:
    """Counts what a cluster holds, by asking it."""

    def __init__(self, bootstrap_servers: str, properties: Mapping[str, str]) -> None:
        self._servers = bootstrap_servers
        self._settings = client_settings(properties)
        self._last = (time.monotonic(), 0)

    def text(self) -> str:
        """Brokers, topics, and records with the rate since the last time."""
        try:
            with Cluster(self._servers, self._settings) as cluster:
                metadata = cluster.metadata()
                topics = [t for t in metadata.topics if not t.is_internal]
                places = [(t.name or "", p.partition_index) for t in topics for p in t.partitions]
                shape = f"{_some(len(metadata.brokers), 'broker')}, {_some(len(topics), 'topic')}"
                try:
                    records = sum(end_offsets(cluster, places).values())
                except ClientError:
                    return f"{shape}, leaders are changing"
        except ClientError as error:
            return f"no answer: {error}"
        now = time.monotonic()
        then, before = self._last
        self._last = now, records
        rate = (records - before) / max(now - then, 1.0)
        return f"{shape}, {records:,} records written ({max(0.0, rate):,.0f}/s)"


def client_settings(properties: Mapping[str, str]) -> Settings:
    """Of the raw client, TLS and SASL included. Errors: `StartError`."""
    settings = Settings(client_id="ottla-up", request_timeout_ms=ASKING_LIMIT_MS)
    try:
        return secured(settings, properties)
    except SettingsError as error:
        raise StartError(str(error)) from None


class ClusterEngine:
    """A cluster that is there already; it is neither started nor stopped.

    `properties` are librdkafka's settings of a client, TLS and SASL included;
    the parts find them in a file that only this user can read.
    """

    kind = "cluster"
    stop_limit_s = 15.0
    farewell = "Stopped; the cluster goes on."

    def __init__(self, bootstrap_servers: str, properties: Mapping[str, str]) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.place = f"cluster {bootstrap_servers}"
        self.stop_wanted = asyncio.Event()
        self.warnings: list[str] = []
        self.failure: str | None = None
        self._properties = dict(properties)
        self._figures = Figures(bootstrap_servers, properties)
        self._cluster_id = ""
        self.client_file: Path | None = None

    async def start(self) -> None:
        """Errors: `StartError` when nobody answers."""
        settings = client_settings(self._properties)

        def ask() -> str:
            with Cluster(self.bootstrap_servers, settings) as cluster:
                metadata = cluster.metadata([])
                return f"{metadata.cluster_id}, {_some(len(metadata.brokers), 'broker')}"

        try:
            self._cluster_id = await asyncio.to_thread(ask)
        except ClientError as error:
            raise StartError(
                f"the Kafka at {self.bootstrap_servers} cannot be used: {error}"
            ) from None
        if self._properties:
            descriptor, name = tempfile.mkstemp(prefix="ottla-up-", suffix=".properties")
            self.client_file = Path(name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(format_properties(self._properties))

    async def stop(self) -> None:
        if self.client_file is not None:
            self.client_file.unlink(missing_ok=True)
            self.client_file = None

    def rows(self) -> list[tuple[str, str]]:
        return [("cluster", self._cluster_id)]

    def addresses(self) -> list[tuple[str, str]]:
        return [("broker", self.bootstrap_servers)]

    def words_for(self, part: str) -> list[str]:
        words = ["--bootstrap-servers", self.bootstrap_servers]
        if self.client_file is not None and part in ("gateway", "console"):
            words += ["--client-config", str(self.client_file)]
        return words

    async def status(self) -> str:
        return await asyncio.to_thread(self._figures.text)

    async def news(self) -> list[str]:
        return []


class ApacheEngine:
    """Apache Kafka nodes of ours, as `ottla cluster up` starts them.

    `ottla cluster kill N` and its brothers act on them from another terminal.
    """

    kind = "apache"
    client_file: Path | None = None
    stop_limit_s = STOP_LIMIT_S
    farewell = "Stopped; all nodes have shut down in order."

    def __init__(
        self,
        directory: Path,
        *,
        brokers: int,
        is_combined: bool,
        first_port: int,
        properties: Mapping[str, str],
        topics: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        self.place = str(directory)
        self.stop_wanted = asyncio.Event()
        self.warnings: list[str] = []
        self.failure: str | None = None
        self._directory, self._say = directory, say
        # Looked at again when it starts: a container engine may have to be asked.
        self._cluster = StandingCluster(directory, say)
        self._start = (is_combined, brokers, first_port, properties)
        self._topics = topics
        self._figures: Figures | None = None

    @property
    def bootstrap_servers(self) -> str:
        return self._cluster.bootstrap_servers

    async def start(self) -> None:
        is_combined, brokers, first_port, properties = self._start

        def up() -> None:
            self._cluster = open_standing(self._directory, self._say)
            self._cluster.up(
                is_combined=is_combined,
                brokers=brokers,
                first_port=first_port,
                properties=properties,
            )
            self._cluster.stop_with_us()

        starting = asyncio.ensure_future(asyncio.to_thread(up))
        stopping = asyncio.ensure_future(self.stop_wanted.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if self.stop_wanted.is_set():
            self._cluster.abandon()
            with contextlib.suppress(EngineError):
                await starting
            return
        stopping.cancel()
        try:
            await starting
            await asyncio.to_thread(self._create_topics)
        except EngineError as error:
            raise StartError(str(error)) from None
        self._figures = Figures(self.bootstrap_servers, {})

    def _create_topics(self) -> None:
        from ottla.cli.workers.topics import create_topic

        with Cluster(self.bootstrap_servers) as cluster:
            for word in self._topics:
                name, _, count = word.partition(":")
                try:
                    create_topic(cluster, name, partitions=int(count or -1), if_not_exists=True)
                except (ValueError, CommandError, ClientError) as error:
                    raise EngineError(f"topic {word} cannot be made: {error}") from None

    async def stop(self) -> None:
        await asyncio.to_thread(self._cluster.stop)

    def rows(self) -> list[tuple[str, str]]:
        nodes = self._cluster.nodes
        alone = [node for node in nodes if node.port is None]
        roles = f"{_some(len(self._cluster.brokers), 'broker')}"
        roles += f", {_some(len(alone), 'controller')}" if alone else ", controllers too"
        return [
            ("engine", f"Apache Kafka {self._cluster.version}, {roles}"),
            ("data", self.place),
        ]

    def addresses(self) -> list[tuple[str, str]]:
        return [("broker", self.bootstrap_servers)]

    def words_for(self, part: str) -> list[str]:
        return ["--bootstrap-servers", self.bootstrap_servers]

    async def status(self) -> str:
        assert self._figures is not None
        return await asyncio.to_thread(self._figures.text)

    async def news(self) -> list[str]:
        said = await asyncio.to_thread(self._cluster.changes)
        if not any(self._cluster.is_running(node) for node in self._cluster.nodes):
            self.failure = "all nodes of the cluster have ended"
            self.stop_wanted.set()
        return said


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
