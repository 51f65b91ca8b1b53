"""A broker inside this process: `with ottla.Broker() as broker: …`.

The broker runs on an event loop in a thread of its own, so it serves clients
of any kind, synchronous ones in this very thread included.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from ottla.server.errors import StartError
from ottla.server.server import Server
from ottla.server.settings import load_config

if TYPE_CHECKING:
    from ottla.server.control import Control
    from ottla.server.driver import Driver

__all__ = ["Broker", "StartError"]

#: A stop takes a few milliseconds, with thousands of partitions a few seconds; this only
#: bounds a disk that hangs.
_JOIN_LIMIT_S: Final = 60.0


class Broker:
    """A Kafka broker for as long as a `with` (or `async with`) block lasts.

    Without `data_dir` it is a throw-away: its data lives in a temporary
    directory and goes with it, and acknowledgements do not wait for the disk.
    With `data_dir` the data stays, and acknowledged means flushed. Other
    settings are Kafka's own, as text: `config={"num.partitions": "3"}`; times
    and sizes in them are milliseconds and bytes. Topics to begin with are given
    with their partitions: `topics={"orders": 3}`. `port` 0 takes a free one;
    `durability` is `"fsync"` or `"page-cache"`.

    Ready means ready: inside the block a first produce and a first group
    consume succeed without a retry. Errors: StartError, with one sentence.
    """

    def __init__(
        self,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        port: int = 0,
        durability: str | None = None,
        topics: Mapping[str, int] | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self._data_dir = None if data_dir is None else os.fspath(data_dir)
        self._temporary: str | None = None
        self._directory = ""
        self._strongest = dict(config or {})
        self._strongest.setdefault("listeners", f"PLAINTEXT://localhost:{port}")
        if durability is not None:
            self._strongest["ottla.durability"] = durability
        if topics:
            wanted = ",".join(f"{name}:{partitions}" for name, partitions in topics.items())
            self._strongest["ottla.create.topics"] = wanted
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._bootstrap_servers = ""
        self._metrics_port = 0
        self._control: Control | None = None
        self._driver: Driver | None = None
        self._error: BaseException | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` to give to a client."""
        if not self._bootstrap_servers:
            raise StartError("the broker is not running; use it in a `with` block or call start()")
        return self._bootstrap_servers

    @property
    def port(self) -> int:
        """The port in `bootstrap_servers`."""
        return int(self.bootstrap_servers.rpartition(":")[2])

    @property
    def directory(self) -> Path:
        """Where the data lives, in Kafka's layout. Errors: StartError when it is not running."""
        if not self._directory:
            raise StartError("the broker is not running; it has no directory")
        return Path(self._directory)

    @property
    def metrics_port(self) -> int:
        """Port of /metrics on 127.0.0.1; 0 unless `ottla.metrics.port` was configured."""
        return self._metrics_port

    @property
    def control(self) -> Control:
        """Faults and movable time, for tests; only a broker in this process has it."""
        if self._control is None:
            if self._driver is None or self._loop is None:
                raise StartError("the broker is not running; it has no faults and no time")
            from ottla.server.control import Control

            self._control = Control(self._loop, self._driver)
        return self._control

    def start(self) -> Self:
        """Start and wait until ready; a `with` block does it. Errors: StartError."""
        if self._thread is not None:
            raise StartError("the broker is running already")
        settings = dict(self._strongest)
        if self._data_dir is None:
            self._temporary = tempfile.mkdtemp(prefix="ottla-")
            settings["log.dirs"] = self._temporary
            settings.setdefault("ottla.durability", "page-cache")
        else:
            settings["log.dirs"] = os.path.abspath(self._data_dir)
        self._directory = settings["log.dirs"]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(settings, ready), name="ottla-broker", daemon=True
        )
        self._thread.start()
        ready.wait()
        error = self._error
        if error is not None:
            self._thread.join()
            self._forget()
            raise error
        self._pid = os.getpid()
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stop in order and, for a throw-away, delete its data. Idempotent.

        Raises StartError when the broker had failed meanwhile.
        """
        if self._thread is None:
            return
        atexit.unregister(self.stop)
        if os.getpid() != self._pid:
            self._thread = None  # a forked child: the broker and its data are its parent's
            return
        assert self._loop is not None
        assert self._stop is not None
        try:
            self._loop.call_soon_threadsafe(self._stop.set)
        except RuntimeError:
            pass  # the loop has ended by itself: the error tells why
        self._thread.join(_JOIN_LIMIT_S)
        if self._thread.is_alive():
            raise StartError(f"the broker has not stopped within {_JOIN_LIMIT_S:g} s")
        error = self._error
        self._forget()
        if error is not None:
            raise error

    def _forget(self) -> None:
        self._thread = self._loop = self._stop = self._error = None
        self._control = self._driver = None
        self._bootstrap_servers = self._directory = ""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _run(self, settings: dict[str, str], ready: threading.Event) -> None:
        try:
            # Whatever loop policy the program has set: this one is what we are tried on.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve(settings, ready))
        except StartError as error:
            self._error = error
        finally:
            if not ready.is_set():
                self._error = self._error or StartError("the broker did not start")
                ready.set()

    async def _serve(self, settings: dict[str, str], ready: threading.Event) -> None:
        server = Server(load_config(strongest=settings))
        await server.start()
        self._loop = asyncio.get_running_loop()
        self._stop = server.stop_wanted
        self._bootstrap_servers = server.bootstrap_servers
        self._metrics_port = server.metrics_port
        self._driver = server.driver
        ready.set()
        await server.stop_wanted.wait()
        await server.stop()
        if server.failure is not None:
            raise StartError(server.failure)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)
