"""The platform in one terminal: broker, parts, traffic, dashboard; one end for all.

The broker runs in this process, everything else in processes of its own.
Stopping goes from the outside in: first what makes traffic, then what shows
it, then the doors, the broker last, so that whatever was acknowledged to
anybody is on the disk when we end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ottla import __version__
from ottla.cli import children, instances
from ottla.cli.connection_options import CONFIG_VARIABLE, ENVIRONMENT_VARIABLE
from ottla.cli.main import available
from ottla.server.limits import raise_file_limit
from ottla.server.server import Server

if TYPE_CHECKING:
    from ottla.server.settings import Configuration

STATUS_INTERVAL_S: Final = 5.0

#: Together with the broker's own stop these stay within five seconds.
TRAFFIC_STOP_LIMIT_S: Final = 2.0
PART_STOP_LIMIT_S: Final = 1.0

#: Parts started unless `--bare`, each if its verb is installed.
OPTIONAL_PARTS: Final = {"gateway": ["--announce-json"], "console": []}


@dataclass(frozen=True)
class PlatformOptions:
    """What `ottla up` was asked for, the broker's configuration aside."""

    name: str
    data_directory: Path
    containers: bool = False
    is_bare: bool = False
    demo: str | None = None
    dashboard: bool = False
    ready_fd: int | None = None


class Platform:
    """Everything one `ottla up` runs."""

    def __init__(self, config: Configuration, options: PlatformOptions) -> None:
        self._config = config
        self._options = options
        self._parts: list[children.Child] = []
        self._traffic: children.Child | None = None
        self._dashboard: children.Child | None = None
        self._began = time.monotonic()
        self._started_at = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        self._said: list[str] = []

    async def run(self) -> int:
        """Start, stay until asked to stop, stop. Returns the exit status.

        Raises StartError when the broker cannot start.
        """
        raise_file_limit()
        server = self._server = Server(self._config, containers=self._options.containers)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, server.stop_wanted.set)
        await server.start()
        registration: Path | None = None
        try:
            self._announce_broker()
            registration = self._register()
            await self._start_children()
            self._register()
            self._announce_rest()
            await self._stay()
        finally:
            await self._stop()
            if registration is not None:
                registration.unlink(missing_ok=True)
        if server.failure is not None:
            print(f"ottla: {server.failure}", file=sys.stderr)
            return 1
        return 0

    # -- starting -----------------------------------------------------------------------

    async def _start_children(self) -> None:
        """Traffic and parts run; those that have doors are ready, or it was said that not."""
        options = self._options
        if self._server.stop_wanted.is_set():
            return  # somebody wanted the end while the broker was recovering
        if options.demo is not None:
            self._traffic = await self._start(options.demo, ["demo", options.demo])
        if options.is_bare:
            return
        verbs = available()
        for name, words in OPTIONAL_PARTS.items():
            if name in verbs:
                more = self._words_of(name)
                self._parts.append(await self._start(name, [name, *words, *more]))
        ready = asyncio.gather(*(part.wait_for_ready() for part in self._parts))
        stop = asyncio.ensure_future(self._server.stop_wanted.wait())
        first: set[asyncio.Future[Any]] = {ready, stop}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._server.stop_wanted.is_set():
            ready.cancel()
            return
        stop.cancel()
        for part in self._parts:
            for remark in part.remarks:
                _warn(remark)
            if not part.doors:
                _warn(f"{part.name} has not started; see {part.log}")

    def _words_of(self, name: str) -> list[str]:
        """What a part is told that only we know."""
        if name == "gateway" and self._server.metrics_port:
            return ["--broker-metrics", self._metrics_address]
        return []

    @property
    def _metrics_address(self) -> str:
        return f"http://127.0.0.1:{self._server.metrics_port}/metrics"

    async def _start(self, name: str, words: list[str]) -> children.Child:
        address = self._server.bootstrap_servers
        return await children.start(
            name,
            [*words, "--bootstrap-servers", address],
            log=instances.log_path(name, os.getpid()),
            environment=self._environment,
        )

    @property
    def _environment(self) -> dict[str, str]:
        """For the parts: their cluster is this broker, not the one a person meant before."""
        environment = {**os.environ, ENVIRONMENT_VARIABLE: self._server.bootstrap_servers}
        environment.pop(CONFIG_VARIABLE, None)
        return environment

    def _register(self) -> Path:
        instance = instances.Instance(
            name=self._options.name,
            pid=os.getpid(),
            started_at=self._started_at,
            data_directory=str(self._options.data_directory),
            bootstrap_servers=self._server.bootstrap_servers,
            parts=[
                instances.Part(child.name, child.process.pid, [list(door) for door in child.doors])
                for child in self._parts
            ],
        )
        return instances.register(instance)

    def _announce_broker(self) -> None:
        for warning in self._server.warnings:
            _warn(warning)
        took = instances.process_age_s() or time.monotonic() - self._began
        durability = "fsync" if self._config.is_fsync else "page cache"
        self._say(f"Ottla {__version__} is ready after {took:.2f} s.")
        self._say_rows([("data", f"{self._options.data_directory} ({durability})")])
        self._say_rows(self._broker_addresses())

    def _announce_rest(self) -> None:
        for child in self._parts:
            self._say_rows(child.doors)
        if self._options.ready_fd is not None:
            os.write(self._options.ready_fd, "".join(self._said).encode())
            os.close(self._options.ready_fd)
        self._say(f"A first consumer, in another terminal:\n  {self._first_consumer()}")
        self._say("Ctrl-C stops everything.")

    def _say_rows(self, rows: list[tuple[str, str]]) -> None:
        for name, address in rows:
            self._say(f"  {name:<18}{address}")

    def _say(self, text: str) -> None:
        self._said.append(f"{text}\n")
        print(text, flush=True)

    def _broker_addresses(self) -> list[tuple[str, str]]:
        """Where the broker can be connected to: (name, address)."""
        rows = [("broker", self._server.bootstrap_servers)]
        if self._server.container_address:
            rows.append(("containers", self._server.container_address))
        if self._server.metrics_port:
            rows.append(("broker metrics", self._metrics_address))
        return rows

    def _first_consumer(self) -> str:
        address = self._server.bootstrap_servers
        topic = self._options.demo or "my-topic"
        tool = "kafka-console-consumer"
        beside = Path(sys.executable).with_name(tool)
        if shutil.which(tool) is None and beside.is_file():  # an environment not activated
            tool = os.path.relpath(beside)
        return f"{tool} --bootstrap-server {address} --topic {topic} --from-beginning"

    # -- staying ------------------------------------------------------------------------

    async def _stay(self) -> None:
        """Return when somebody wants the end: a signal, the dashboard's q, a failure."""
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._watch(child)) for child in self._parts]
            if self._traffic is not None:
                others.append(tasks.create_task(self._watch(self._traffic)))
            if self._options.dashboard and is_terminal:
                others.append(tasks.create_task(self._show_dashboard()))
            elif self._options.demo is not None or not is_terminal:
                others.append(tasks.create_task(self._print_status()))
            await self._server.stop_wanted.wait()
            for task in others:
                task.cancel()

    async def _watch(self, child: children.Child) -> None:
        status = await child.process.wait()
        if not child.is_stopping:
            _warn(f"{child.name} ended with status {status}; see {child.log}")

    async def _show_dashboard(self) -> None:
        rows = [*self._broker_addresses(), *(door for part in self._parts for door in part.doors)]
        words = ["dash", "--bootstrap-servers", self._server.bootstrap_servers]
        for name, address in rows:
            words += ["--address", f"{name}={address}"]
        words += ["--footer", f"try: {self._first_consumer()}"]
        self._dashboard = await children.start(
            "dash", words, log=None, environment=self._environment
        )
        await self._dashboard.process.wait()
        self._server.stop_wanted.set()

    async def _print_status(self) -> None:
        last_bytes, last = 0, time.monotonic()
        while True:
            await asyncio.sleep(STATUS_INTERVAL_S)
            now = time.monotonic()
            figures = self._server.figures()
            rate = (figures.bytes_in - last_bytes) / (now - last)
            last_bytes, last = figures.bytes_in, now
            print(
                f"{datetime.now().astimezone():%H:%M:%S} up {int(now - self._began)} s, "
                f"{figures.records_in:,} records in, {figures.bytes_in / 1e6:,.1f} MB "
                f"({rate / 1e3:,.0f} kB/s), {figures.connections} connections, "
                f"{figures.resident_bytes / 1e6:.0f} MB of memory",
                flush=True,
            )

    # -- stopping -----------------------------------------------------------------------

    async def _stop(self) -> None:
        if self._traffic is not None:
            await self._traffic.stop(TRAFFIC_STOP_LIMIT_S)
        if self._dashboard is not None:
            await self._dashboard.stop(PART_STOP_LIMIT_S)
        await asyncio.gather(*(child.stop(PART_STOP_LIMIT_S) for child in self._parts))
        await self._server.stop()
        print("Stopped; everything acknowledged is on the disk.", flush=True)


def _warn(text: str) -> None:
    print(f"ottla: warning: {text}", file=sys.stderr, flush=True)
