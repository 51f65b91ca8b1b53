"""The Kafka below a platform: the broker in this process, and what every kind must offer."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Protocol

from ottla.server.garbage import collected_seldom
from ottla.server.limits import raise_file_limit
from ottla.server.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from ottla.server.settings import Configuration

#: An orderly stop of the embedded broker takes less; Apache Kafka's nodes take more.
STOP_LIMIT_S: Final = 15.0


class PlatformEngine(Protocol):
    """A Kafka that a platform starts, stands on, and stops last.

    `stop_wanted` is set by whoever wants the end, and by a `failure`. `place`
    tells instances apart: a data directory, or the address of a cluster.
    """

    kind: str
    place: str
    stop_limit_s: float
    farewell: str
    stop_wanted: asyncio.Event
    #: Properties for clients, for the parts to read; None where they need none.
    client_file: Path | None

    @property
    def failure(self) -> str | None:
        """Why it cannot go on, if it cannot."""

    @property
    def warnings(self) -> list[str]:
        """What a person should know before anything goes wrong."""

    @property
    def bootstrap_servers(self) -> str:
        """Addresses for clients."""

    async def start(self) -> None:
        """It is ready afterwards, unless the end was wanted. Errors: `StartError`."""

    async def stop(self) -> None:
        """Everything acknowledged is safe; a second call does nothing."""

    def rows(self) -> list[tuple[str, str]]:
        """What it tells of itself when it is ready: (name, text)."""

    def addresses(self) -> list[tuple[str, str]]:
        """Where it can be connected to: (name, address)."""

    def words_for(self, part: str) -> list[str]:
        """The flags with which a part of the platform finds it."""

    async def status(self) -> str:
        """A glance, for the line that comes every few seconds."""

    async def news(self) -> list[str]:
        """What has happened since it was last asked that a person should know."""


class EmbeddedEngine:
    """The broker of this very process."""

    kind = "embedded"
    stop_limit_s = STOP_LIMIT_S
    client_file: Path | None = None
    farewell = "Stopped; everything acknowledged is on the disk."

    def __init__(self, config: Configuration, directory: Path, *, containers: bool) -> None:
        self.place = str(directory)
        self._is_fsync = config.is_fsync
        self._server = Server(config, containers=containers)
        self.stop_wanted = self._server.stop_wanted
        self._garbage = ExitStack()
        self._last_bytes = 0
        self._last_asked = 0.0

    @property
    def failure(self) -> str | None:
        return self._server.failure

    @property
    def warnings(self) -> list[str]:
        return self._server.warnings

    @property
    def bootstrap_servers(self) -> str:
        return self._server.bootstrap_servers

    async def start(self) -> None:
        raise_file_limit()
        await self._server.start()
        self._garbage.enter_context(collected_seldom())
        self._last_asked = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        await self._server.stop()
        self._garbage.close()

    def rows(self) -> list[tuple[str, str]]:
        durability = "fsync" if self._is_fsync else "page cache"
        return [("data", f"{self.place} ({durability})")]

    def addresses(self) -> list[tuple[str, str]]:
        rows = [("broker", self._server.bootstrap_servers)]
        if self._server.container_address:
            rows.append(("containers", self._server.container_address))
        if self._server.metrics_port:
            rows.append(("broker metrics", self._metrics_address))
        return rows

    @property
    def _metrics_address(self) -> str:
        return f"http://127.0.0.1:{self._server.metrics_port}/metrics"

    def words_for(self, part: str) -> list[str]:
        words = ["--bootstrap-servers", self._server.bootstrap_servers]
        if part in ("gateway", "console") and self._server.metrics_port:
            words += ["--broker-metrics", self._metrics_address]
        return words

    async def status(self) -> str:
        now = asyncio.get_running_loop().time()
        figures = self._server.figures()
        rate = (figures.bytes_in - self._last_bytes) / max(now - self._last_asked, 1.0)
        self._last_bytes, self._last_asked = figures.bytes_in, now
        return (
            f"{figures.records_in:,} records in, {figures.bytes_in / 1e6:,.1f} MB "
            f"({rate / 1e3:,.0f} kB/s), {figures.connections} connections, "
            f"{figures.resident_bytes / 1e6:.0f} MB of memory"
        )

    async def news(self) -> list[str]:
        return []
