"""The platform in one terminal: engine, parts, traffic, dashboard; one end for all.

The embedded broker runs in this process, everything else in processes of its
own. Stopping goes from the outside in: first what makes traffic, then what
shows it, then the doors, the engine last, so that whatever was acknowledged
to anybody is on the disk when we end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ottla import __version__
from ottla.cli import children, instances
from ottla.cli.connection_options import CONFIG_VARIABLE, ENVIRONMENT_VARIABLE
from ottla.cli.main import available
from ottla.cli.platform_engine import PlatformEngine
from ottla.server.signals import call_when_asked_to_end

NEWS_INTERVAL_S: Final = 1.0
STATUS_INTERVAL_S: Final = 5.0

#: Together with the broker's own stop these stay within five seconds.
TRAFFIC_STOP_LIMIT_S: Final = 2.0
PART_STOP_LIMIT_S: Final = 1.0

#: Parts started unless `--bare`, each if its verb is installed.
OPTIONAL_PARTS: Final = {"gateway": ["--announce-json"], "console": []}
#: What a part cannot start without, where an extra brings it.
_LIBRARIES: Final = {"console": "nicegui"}


@dataclass(frozen=True)
class PlatformOptions:
    """What `ottla up` was asked for, the engine aside."""

    name: str
    is_bare: bool = False
    demo: str | None = None
    dashboard: bool = False
    ready_fd: int | None = None
    #: What Kafka's own tools need beside the address.
    tool_words: tuple[str, ...] = ()


class Platform:
    """Everything one `ottla up` runs."""

    def __init__(self, engine: PlatformEngine, options: PlatformOptions) -> None:
        self._engine = engine
        self._options = options
        self._parts: list[children.Child] = []
        self._traffic: children.Child | None = None
        self._dashboard: children.Child | None = None
        self._began = time.monotonic()
        self._started_at = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
        self._said: list[str] = []

    async def run(self) -> int:
        """Start, stay until asked to stop, stop. Returns the exit status.

        Raises StartError when the engine cannot start.
        """
        engine = self._engine
        loop = asyncio.get_running_loop()
        call_when_asked_to_end(loop, engine.stop_wanted.set)
        registration: Path | None = None
        await engine.start()
        try:
            if engine.stop_wanted.is_set():
                return 0  # somebody wanted the end while it was starting
            self._announce_engine()
            registration = self._register()
            await self._start_children()
            self._register()
            self._announce_rest()
            await self._stay()
        finally:
            await self._stop()
            if registration is not None:
                registration.unlink(missing_ok=True)
        if engine.failure is not None:
            print(f"ottla: {engine.failure}", file=sys.stderr)
            return 1
        return 0

    # -- starting -----------------------------------------------------------------------

    async def _start_children(self) -> None:
        """Traffic and parts run; those that have doors are ready, or it was said that not."""
        options = self._options
        if options.demo is not None:
            self._traffic = await self._start(options.demo, ["demo", options.demo])
        if options.is_bare:
            return
        verbs = available()
        for name, words in OPTIONAL_PARTS.items():
            library = _LIBRARIES.get(name)
            if library is not None and find_spec(library) is None:
                self._say_rows([(name, f"not installed (pip install 'ottla[{name}]')")])
            elif name in verbs:
                self._parts.append(await self._start(name, [name, *words]))
        ready = asyncio.gather(*(part.wait_for_ready() for part in self._parts))
        stop = asyncio.ensure_future(self._engine.stop_wanted.wait())
        first: set[asyncio.Future[Any]] = {ready, stop}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._engine.stop_wanted.is_set():
            ready.cancel()
            await asyncio.wait([ready])
            with contextlib.suppress(asyncio.CancelledError):
                ready.result()  # looked at, or asyncio reports it as forgotten
            return
        stop.cancel()
        for part in self._parts:
            for remark in part.remarks:
                _warn(remark)
            if not part.doors:
                _warn(f"{part.name} has not started; see {part.log}")

    async def _start(self, name: str, words: list[str]) -> children.Child:
        return await children.start(
            name,
            [*words, *self._engine.words_for(name)],
            log=instances.log_path(name, os.getpid()),
            environment=self._environment,
        )

    @property
    def _environment(self) -> dict[str, str]:
        """For the parts: their cluster is this one, not the one a person meant before."""
        environment = {**os.environ, ENVIRONMENT_VARIABLE: self._engine.bootstrap_servers}
        environment.pop(CONFIG_VARIABLE, None)
        if self._engine.client_file is not None:
            environment[CONFIG_VARIABLE] = str(self._engine.client_file)
        return environment

    def _register(self) -> Path:
        instance = instances.Instance(
            name=self._options.name,
            pid=os.getpid(),
            started_at=self._started_at,
            data_directory=self._engine.place,
            bootstrap_servers=self._engine.bootstrap_servers,
            doors=[list(row) for row in self._engine.addresses() if "://" in row[1]],
            engine=self._engine.kind,
            stop_limit_s=self._engine.stop_limit_s,
            parts=[
                instances.Part(child.name, child.process.pid, [list(door) for door in child.doors])
                for child in self._parts
            ],
        )
        return instances.register(instance)

    def _announce_engine(self) -> None:
        for warning in self._engine.warnings:
            _warn(warning)
        took = instances.process_age_s() or time.monotonic() - self._began
        self._say(f"Ottla {__version__} is ready after {took:.2f} s.")
        self._say_rows(self._engine.rows())
        self._say_rows(self._engine.addresses())

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

    def _first_consumer(self) -> str:
        address = self._engine.bootstrap_servers
        topic = self._options.demo or "my-topic"
        tool = "kafka-console-consumer"
        beside = Path(sys.executable).with_name(tool)
        if shutil.which(tool) is None and beside.is_file():  # an environment not activated
            tool = min(os.path.relpath(beside), str(beside), key=len)
        words = [tool, "--bootstrap-server", address, *self._options.tool_words]
        return " ".join([*words, "--topic", topic, "--from-beginning"])

    # -- staying ------------------------------------------------------------------------

    async def _stay(self) -> None:
        """Return when somebody wants the end: a signal, the dashboard's q, a failure."""
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._watch(child)) for child in self._parts]
            others.append(tasks.create_task(self._tell_news()))
            if self._traffic is not None:
                others.append(tasks.create_task(self._watch(self._traffic)))
            if self._options.dashboard and is_terminal:
                others.append(tasks.create_task(self._show_dashboard()))
            elif self._options.demo is not None or not is_terminal:
                others.append(tasks.create_task(self._print_status()))
            await self._engine.stop_wanted.wait()
            for task in others:
                task.cancel()

    async def _watch(self, child: children.Child) -> None:
        if child in self._parts and not child.doors:
            await child.wait_until_ready()
            if child.doors:  # late, but here
                self._register()
                self._say_rows(child.doors)
        status = await child.process.wait()
        if not child.is_stopping:
            _warn(f"{child.name} ended with status {status}; see {child.log}")

    async def _show_dashboard(self) -> None:
        rows = [*self._engine.addresses(), *(door for part in self._parts for door in part.doors)]
        words = ["dash", *self._engine.words_for("dash")]
        for name, address in rows:
            words += ["--address", f"{name}={address}"]
        words += ["--footer", f"try: {self._first_consumer()}"]
        self._dashboard = await children.start(
            "dash", words, log=None, environment=self._environment
        )
        await self._dashboard.process.wait()
        self._engine.stop_wanted.set()

    async def _print_status(self) -> None:
        while True:
            await asyncio.sleep(STATUS_INTERVAL_S)
            status = await self._engine.status()
            up_s = int(time.monotonic() - self._began)
            print(f"{datetime.now().astimezone():%H:%M:%S} up {up_s} s, {status}", flush=True)

    async def _tell_news(self) -> None:
        while True:
            await asyncio.sleep(NEWS_INTERVAL_S)
            for sentence in await self._engine.news():
                _warn(sentence)

    # -- stopping -----------------------------------------------------------------------

    async def _stop(self) -> None:
        if self._traffic is not None:
            await self._traffic.stop(TRAFFIC_STOP_LIMIT_S)
        if self._dashboard is not None:
            await self._dashboard.stop(PART_STOP_LIMIT_S)
        await asyncio.gather(*(child.stop(PART_STOP_LIMIT_S) for child in self._parts))
        await self._engine.stop()
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(self._engine.farewell, flush=True)


def _warn(text: str) -> None:
    print(f"ottla: warning: {text}", file=sys.stderr, flush=True)
