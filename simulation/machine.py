"""One simulated machine: the real broker on the simulated disk, and its network.

Plays the server's part without an event loop: it collects the effects the
broker asks for and offers them as events that may happen next, in any order
the real world allows. Flush tickets run one round at a time, as the server's
flusher does it; jobs end in any order.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from ottla.broker.broker import Broker
from ottla.broker.config import BrokerConfig
from ottla.broker.connection import Connection
from ottla.handlers.dispatch import dispatch
from ottla.storage.flush import FlushTicket
from ottla.wire.message import Buffer
from simulation.disk import SimulatedDisk

T = TypeVar("T")

SETTINGS: Final = {
    "log.dirs": "/var/data",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "log.flush.offset.checkpoint.interval.ms": "150",
    "log.retention.check.interval.ms": "400",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    # Small, so that logs roll and are compacted all the time.
    "log.segment.bytes": "12000",
    "log.index.interval.bytes": "500",
    "log.segment.delete.delay.ms": "20",
    "log.cleaner.backoff.ms": "60",
    "log.cleaner.min.cleanable.ratio": "0.01",
    "offsets.topic.segment.bytes": "1500",
    "transaction.state.log.segment.bytes": "2000",
}


class Link:
    """A client's connection: what is on its way in each direction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.to_broker: deque[bytearray] = deque()
        self.to_client = bytearray()
        self.is_open = True


class Machine:
    """Implements the broker's `Effects`; `broker` is None while the power is off."""

    def __init__(
        self, disk: SimulatedDisk, rng: random.Random, settings: Mapping[str, str]
    ) -> None:
        self._settings = {**SETTINGS, **settings}
        self.disk = disk
        self._rng = rng
        self.broker: Broker | None = None
        self._true_wall_ms = self.wall_ms = 1_700_000_000_000
        self.mono_ms = 1_000
        self.links: list[Link] = []
        #: What the person who runs the broker was told.
        self.told: list[str] = []
        self._is_flush_wanted = False
        self._tickets: list[FlushTicket] = []
        self._finished: list[tuple[FlushTicket, OSError | None]] = []
        self._jobs: list[Callable[[], None]] = []
        self._lost: list[Connection] = []

    # Life

    def start(self) -> None:
        """The broker runs; raises what `Broker.open` raises, and `PowerCut`."""
        self.stop()
        self.broker = Broker.open(
            BrokerConfig(self._settings),
            self.disk,
            self,
            self._rng.randbytes,
            self.wall_ms,
            self.mono_ms,
        )

    def stop(self) -> None:
        """The process is gone, with everything that was only in its memory."""
        self.broker = None
        for link in self.links:
            link.is_open = False
        self.links = []
        self._is_flush_wanted = False
        self._tickets, self._finished, self._jobs, self._lost = [], [], [], []

    def stop_cleanly(self) -> None:
        """As the server does it: flushes and jobs that are under way end first."""
        broker = self.broker
        assert broker is not None
        while self._tickets or self._finished or self._jobs:
            self._rng.choice(self.events())()
        broker.close(self.wall_ms)
        self.stop()

    def connect(self) -> Link | None:
        if self.broker is None:
            return None
        connection = self.broker.open_connection("PLAINTEXT", ("127.0.0.1", 9092), ("::1", 5))
        link = Link(connection)
        connection.driver_state = link
        self.links.append(link)
        return link

    def drop(self, link: Link) -> None:
        """The network loses the connection; what was on its way may or may not arrive."""
        if link.is_open:
            link.is_open = False
            self.links.remove(link)
            self._lost.append(link.connection)

    # What may happen next

    def events(self) -> list[Callable[[], None]]:
        """Everything the outside world could do to the broker now, but time."""
        found: list[Callable[[], None]] = []
        for link in self.links:
            if link.to_broker and not link.connection.is_paused:
                found.append(partial(self._deliver, link))
        if self._is_flush_wanted and not self._tickets and not self._finished:
            found.append(self._begin_round)
        found += [partial(self._run_ticket, i) for i in range(len(self._tickets))]
        found += [partial(self._finish_ticket, i) for i in range(len(self._finished))]
        found += [partial(self._run_job, i) for i in range(len(self._jobs))]
        found += [partial(self._lose, i) for i in range(len(self._lost))]
        return found

    def pass_time(self, milliseconds: int) -> None:
        self.mono_ms += milliseconds
        self._true_wall_ms += milliseconds
        self.wall_ms += milliseconds
        broker = self.broker
        assert broker is not None
        due = broker.next_deadline_ms()
        if due is not None and due <= self.mono_ms:
            broker.on_time(self.wall_ms, self.mono_ms)

    def jump_clock(self) -> None:
        """Somebody sets the wall clock: it is up to an hour behind, or up to 20 ahead. (A day
        ahead, producers would rightly be forgotten.) The other clock goes on."""
        self.wall_ms = self._true_wall_ms + self._rng.randint(-3_000_000, 72_000_000)

    def pass_time_to_next_deadline(self) -> None:
        assert self.broker is not None
        due = self.broker.next_deadline_ms()
        self.pass_time(0 if due is None else max(0, due - self.mono_ms))

    def _deliver(self, link: Link) -> None:
        assert self.broker is not None
        frame = link.to_broker.popleft()
        dispatch(self.broker, link.connection, frame, self.wall_ms, self.mono_ms)

    def _begin_round(self) -> None:
        assert self.broker is not None
        self._is_flush_wanted = False
        self._tickets = self.broker.take_flush_round()

    def _run_ticket(self, index: int) -> None:
        ticket = self._tickets[index]
        error = None
        try:
            ticket.run()
        except OSError as failure:
            error = failure
        del self._tickets[index]
        self._finished.append((ticket, error))

    def _finish_ticket(self, index: int) -> None:
        assert self.broker is not None
        ticket, error = self._finished.pop(index)
        self.broker.finish_flush(ticket, error, self.wall_ms, self.mono_ms)

    def _run_job(self, index: int) -> None:
        self._jobs.pop(index)()

    def _lose(self, index: int) -> None:
        assert self.broker is not None
        self.broker.connection_lost(self._lost.pop(index))

    # Effects

    def send(self, connection: Connection, buffers: Sequence[Buffer]) -> int:
        link = connection.driver_state
        assert isinstance(link, Link)
        for buffer in buffers:
            link.to_client += buffer
        return 0

    def close(self, connection: Connection, reason: str) -> None:
        link = connection.driver_state
        assert isinstance(link, Link)
        self.drop(link)

    def flush_wanted(self) -> None:
        self._is_flush_wanted = True

    def run_job(self, job: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        def run() -> None:
            assert self.broker is not None
            try:
                result: T | OSError = job()
            except OSError as error:
                result = error
            done(result)
            self.broker.on_time(self.wall_ms, self.mono_ms)

        self._jobs.append(run)

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)

    def resume(self, connection: Connection) -> None:
        """Nothing to do: whether a connection is paused is looked at each time."""
