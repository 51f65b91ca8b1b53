"""The life of a broker: start, be ready, stop in order.

Order at start: take the addresses (a taken port must be told before anything
is touched), take and recover the data directory, then accept. Order at stop:
accept no more, read no more, finish the flush that is under way so that its
acknowledgements leave, mark the directory as cleanly closed, close.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from functools import partial
from typing import Any, Final, NamedTuple

from ottla.broker.config import BrokerConfig
from ottla.broker.config_types import ConfigError
from ottla.handlers.dispatch import dispatch
from ottla.server.connection import RECEIVE_BUFFER_SIZE, ClientConnection
from ottla.server.core import create_topics, open_core
from ottla.server.counted_sockets import ACCEPT_BURST
from ottla.server.driver import Driver
from ottla.server.errors import StartError
from ottla.server.limits import resident_bytes
from ottla.server.listeners import MIN_BACKLOG, Listeners, bind
from ottla.server.metrics_http import OK, UNAVAILABLE, MetricsEndpoint
from ottla.server.tls import HANDSHAKE_TIMEOUT_S

#: How long an orderly stop waits for flushes, and then for clients to take their answers.
DRAIN_LIMIT_S: Final = 3.0
GOODBYE_LIMIT_S: Final = 1.0

#: Ten thousand partitions take seconds; this only bounds a disk that hangs.
CHECKPOINT_LIMIT_S: Final = 50.0


class Figures(NamedTuple):
    """A glance at a running broker."""

    bytes_in: int
    records_in: int
    connections: int
    resident_bytes: int


class Server:
    """One broker on the running event loop."""

    def __init__(self, config: BrokerConfig, *, containers: bool = False) -> None:
        self.config = config
        self.warnings: list[str] = []
        self.metrics_port = 0
        #: Why the broker cannot go on, if it cannot.
        self.failure: str | None = None
        #: Set by a failure, and by whoever wants the server stopped: wait for it, then `stop`.
        self.stop_wanted = asyncio.Event()
        self._containers = containers
        self._driver: Driver | None = None
        self._listeners: Listeners | None = None
        self._servers: list[asyncio.Server] = []
        self._endpoint: MetricsEndpoint | None = None

    @property
    def bootstrap_servers(self) -> str:
        assert self._listeners is not None
        return self._listeners.bootstrap_servers

    @property
    def container_address(self) -> str:
        assert self._listeners is not None
        return self._listeners.container_address

    @property
    def driver(self) -> Driver:
        assert self._driver is not None
        return self._driver

    def figures(self) -> Figures:
        """What a status line shows."""
        metrics = self.driver.core.metrics
        return Figures(
            metrics.bytes_in, metrics.records_in, len(self.driver.connections), resident_bytes()
        )

    async def start(self) -> None:
        """A first produce and a first group consume succeed when this returns.

        Raises StartError with one sentence; nothing is held then.
        """
        loop = asyncio.get_running_loop()
        try:
            listeners = self._listeners = bind(self.config, containers=self._containers)
        except ConfigError as error:
            raise StartError(str(error)) from None
        warning = self.config.warning()
        self.warnings = [warning] if warning else []
        self.warnings += listeners.warnings
        try:
            driver = Driver(loop)
            self._core = open_core(self.config, driver)
        except BaseException:
            listeners.close()
            raise
        driver.attach(self._core, partial(dispatch, self._core))
        self._driver = driver
        try:
            create_topics(self._core, self.config)
            await self._open(loop, driver, listeners)
        except BaseException:
            await self.stop()
            listeners.close()
            raise

    async def _open(
        self, loop: asyncio.AbstractEventLoop, driver: Driver, listeners: Listeners
    ) -> None:
        driver.max_idle_ms = self.config.number("connections.max.idle.ms")
        driver.on_internal_error = self._on_internal_error
        loop.set_exception_handler(self._on_exception)
        shared = memoryview(bytearray(RECEIVE_BUFFER_SIZE))
        max_frame = driver.max_frame = self.config.number("socket.request.max.bytes")
        driver.max_stranger_frame = self.config.number("sasl.server.max.receive.size")
        backlog = max(MIN_BACKLOG, self.config.number("socket.listen.backlog.size"))
        driver.limits = listeners.bound[0].limits
        for bound in listeners.bound:
            make = partial(ClientConnection, driver, bound, shared, max_frame)
            for sock in bound.sockets:
                timeout = None if bound.tls is None else HANDSHAKE_TIMEOUT_S
                server = await loop.create_server(
                    make,
                    sock=sock,
                    backlog=ACCEPT_BURST,
                    ssl=bound.tls,
                    ssl_handshake_timeout=timeout,
                )
                sock.listen(backlog)  # That was what is accepted at once; this is the queue.
                self._servers.append(server)
        port = self.config.number("ottla.metrics.port")
        if port >= 0:
            await self._open_metrics(port)

    async def _open_metrics(self, port: int) -> None:
        self._endpoint = MetricsEndpoint(
            {"/metrics": self._metrics_page, "/health": self._health_page},
            self._on_internal_error,
        )
        warning = await self._endpoint.start(port)
        if warning is not None:
            self.warnings.append(warning)
        self.metrics_port = self._endpoint.port

    def _metrics_page(self) -> tuple[str, str, str]:
        from ottla.server.prometheus import CONTENT_TYPE, render

        return OK, CONTENT_TYPE, render(self._core, self.driver)

    def _health_page(self) -> tuple[str, str, str]:
        """Whoever asks wants to know whether records are taken."""
        if self.failure:
            return UNAVAILABLE, "text/plain", "failed\n"
        if self._core.is_log_directory_offline:
            return UNAVAILABLE, "text/plain", "the log directory is offline\n"
        return OK, "text/plain", "ok\n"

    def _on_internal_error(self, error: BaseException) -> None:
        """A bug. A broken invariant ends the broker: its state cannot be trusted any more."""
        print("ottla: internal error, please report it:", file=sys.stderr)
        traceback.print_exception(error)
        if isinstance(error, AssertionError):
            self.fail(f"the broker stops because of an internal error: {error!r}")

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody handled: timers, flushes and jobs cannot be skipped, so it ends the broker.

        Errors of sockets are none: a client went away, or accept ran out of files.
        """
        error = context.get("exception")
        if isinstance(error, OSError):
            return
        if error is not None:
            self._on_internal_error(error)
        self.fail(f"the broker stops because of an internal error: {context.get('message')}")

    def fail(self, reason: str) -> None:
        """The broker cannot go on."""
        if self.failure is None:
            self.failure = reason
            self.stop_wanted.set()

    async def stop(self) -> None:
        """Everything acknowledged is durable and the directory is marked as cleanly closed."""
        driver = self._driver
        if driver is None:
            return
        for server in self._servers:
            server.close()
        for client in driver.connections:
            client.stop_reading()
        try:
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await driver.drain()
            if self.failure is None:
                self._core.prepare_close()
                async with asyncio.timeout(CHECKPOINT_LIMIT_S):
                    await driver.drain()
        except TimeoutError:
            self.fail("the last flush did not end in time")
        if self._endpoint is not None:
            await self._endpoint.stop()
        if self.failure is None:
            # After an internal error the next start must not trust our last state.
            try:
                self._core.close(driver.wall_ms())
            except OSError as error:
                # What was acknowledged is durable; what is missing only makes starts faster.
                self.fail(
                    f"the data directory could not be left in order ({error.strerror}): what was "
                    "acknowledged is there, but the next start has to look for it"
                )
            driver.settle()
        for client in list(driver.connections):
            client.close("the broker stops")
        await self._wait_for_goodbyes(driver)
        driver.stop()
        self._driver = None

    async def _wait_for_goodbyes(self, driver: Driver) -> None:
        if not await driver.wait_for_no_connections(GOODBYE_LIMIT_S):
            for client in list(driver.connections):
                client.abort()
            await driver.wait_for_no_connections(GOODBYE_LIMIT_S)
