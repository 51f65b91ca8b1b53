"""Client quotas: bytes, handling time, changes and connections (KIP-13, 124, 546, 599, 612).

A quota is kept as a time: the moment by which what was used so far is paid
for at the allowed rate. Being ahead of the clock is debt, and the debt is the
throttle time: the response says it, and nothing more of the connection is
dispatched until it is over (KIP-219). An idle client saves up a burst and no
more: one second of bytes or of handling, eleven of changes and connections.

The core has no clock to measure its own time with; the server lends it one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Message

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.connection import Connection
    from ottla.broker.request import RequestContext

PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
CONTROLLER_MUTATION_RATE: Final = "controller_mutation_rate"
REQUEST_PERCENTAGE: Final = "request_percentage"
CONNECTION_CREATION_RATE: Final = "connection_creation_rate"
#: A setting of the broker, for all addresses together.
MOST_CONNECTIONS: Final = "max.connection.creation.rate"
NO_LIMIT: Final = 2**31 - 1
#: What "0 a second" means: each waits for longer than any client does.
_SLOWEST: Final = 0.001

#: What an idle client may use at once, in time at its rate.
BURST_MS: Final = 1000.0
#: The same for changes and connections, which come few and together: Kafka's window.
LONG_BURST_MS: Final = 11_000.0
#: Nobody is muted for longer than this at once.
MAX_THROTTLE_MS: Final = 30_000
#: For handling time it is one sample of Kafka's window.
MAX_REQUEST_THROTTLE_MS: Final = 1000
#: Entities whose use is remembered; the least recently used are forgotten first.
MAX_ENTITIES: Final = 10_000

_BURSTS: Final = {
    CONTROLLER_MUTATION_RATE: LONG_BURST_MS,
    CONNECTION_CREATION_RATE: LONG_BURST_MS,
    MOST_CONNECTIONS: LONG_BURST_MS,
}


class Quotas:
    """Limits in force, and what was used of them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.is_active = False
        #: The time spent on requests is counted.
        self.counts_time = False
        self._limits_connections = False
        self.clock_ms: Callable[[], float] | None = None
        #: (quota key, entity) -> monotonic time, in ms, by which the use is paid for.
        self._paid_until: dict[tuple[str, object], float] = {}

    def lend_clock(self, clock_ms: Callable[[], float]) -> None:
        """Measure handling time by this clock: milliseconds, with fractions."""
        self.clock_ms = clock_ms
        self.changed()

    def changed(self) -> None:
        """The metadata has other quotas now."""
        limits = {key for quota in self._broker.metadata.quotas.values() for key in quota}
        self.is_active = bool(limits)
        self.counts_time = self.clock_ms is not None and REQUEST_PERCENTAGE in limits
        self._limits_connections = CONNECTION_CREATION_RATE in limits

    def use(self, key: str, connection: Connection, client_id: str | None, amount: float) -> int:
        """Count an amount against the quota; returns the throttle time in milliseconds.

        The connection is muted for that long.
        """
        throttle_ms = self.count(key, connection, client_id, amount)
        if throttle_ms:
            self.mute(connection, throttle_ms)
        return throttle_ms

    def count(self, key: str, connection: Connection, client_id: str | None, amount: float) -> int:
        """Count an amount; returns how long it takes to be paid for, in milliseconds."""
        if not self.is_active:
            return 0
        found = self._limit(key, connection.principal.removeprefix("User:"), client_id or "")
        return 0 if found is None else self._count(key, *found, amount)

    def _count(self, key: str, entity: object, rate: float, amount: float) -> int:
        return max(0, min(int(self._debt_ms(key, entity, rate, amount)), MAX_THROTTLE_MS))

    def _debt_ms(self, key: str, entity: object, rate: float, amount: float) -> float:
        """Count an amount; how long it takes to be paid for, below 0 within the burst."""
        now = float(self._broker.mono_ms)
        burst_ms = _BURSTS.get(key, BURST_MS)
        paid_until = max(self._paid_until.pop((key, entity), -math.inf), now - burst_ms)
        paid_until += amount / rate * 1000
        if len(self._paid_until) >= MAX_ENTITIES:
            del self._paid_until[next(iter(self._paid_until))]
        self._paid_until[key, entity] = paid_until
        return paid_until - now

    def begin(self, request: RequestContext) -> None:
        """A request's handling begins."""
        if self.counts_time and self.clock_ms is not None:
            request.began_ms = self.clock_ms()

    def charge_time(self, request: RequestContext, response: Message | None) -> None:
        """Count the time spent on a request so far, once; the response tells the throttle time."""
        if request.began_ms is None or self.clock_ms is None:
            return
        spent_ms = self.clock_ms() - request.began_ms
        request.began_ms = None
        connection = request.connection
        # 100 % is one thread for the whole time: 1000 ms a second.
        debt_ms = self.count(REQUEST_PERCENTAGE, connection, request.client_id, spent_ms / 10)
        throttle_ms = min(debt_ms, MAX_REQUEST_THROTTLE_MS)
        if not throttle_ms:
            return
        self.mute(connection, throttle_ms)
        told_ms = getattr(response, "throttle_time_ms", None)
        if response is not None and told_ms is not None:
            response.throttle_time_ms = max(told_ms, throttle_ms)  # type: ignore[attr-defined]

    def connection_opened(self, connection: Connection) -> None:
        """Count a connection. One too many for the broker (`max.connection.creation.rate`) is
        served when its turn comes; one too many for its address is closed then (KIP-612)."""
        most = self._broker.config.number(MOST_CONNECTIONS)
        if most < NO_LIMIT:
            wait_ms = int(self._debt_ms(MOST_CONNECTIONS, "", max(most, _SLOWEST), 1))
            if wait_ms > 0:
                self.mute(connection, wait_ms)
        if not self._limits_connections:
            return
        host = connection.peer_host.removeprefix("::ffff:")
        quotas = self._broker.metadata.quotas
        for name in (host, None):
            rate = quotas.get((("ip", name),), {}).get(CONNECTION_CREATION_RATE)
            if rate is None:
                continue
            throttle_ms = self._count(CONNECTION_CREATION_RATE, host, rate, 1)
            if throttle_ms:
                self.mute(connection, throttle_ms, "it exceeded its address's connection rate")
            return

    def _limit(self, key: str, user: str, client_id: str) -> tuple[object, float] | None:
        """The quota that applies: of the most exact entity that has one (KIP-55)."""
        quotas = self._broker.metadata.quotas
        for users, clients in (
            (user, client_id),
            (user, None),
            (user, ""),
            (None, client_id),
            (None, None),
            (None, ""),
            ("", client_id),
            ("", None),
        ):
            # "" stands for an entity without that part, None for its default.
            parts: list[tuple[str, str | None]] = []
            if clients != "":
                parts.append(("client-id", clients))
            if users != "":
                parts.append(("user", users))
            rate = quotas.get(tuple(parts), {}).get(key)
            if rate is not None:
                # A default holds for each client apart, not for all together.
                whose = (user if users != "" else "", client_id if clients != "" else "")
                return whose, rate
        return None

    def mute(self, connection: Connection, throttle_ms: int, then_close: str = "") -> None:
        """Dispatch nothing of the connection for so long; then go on, or close it."""
        deadlines = self._broker.deadlines
        until_ms = self._broker.mono_ms + throttle_ms
        connection.muted_until_ms = max(connection.muted_until_ms, until_ms)
        connection.mute()

        def unmute(wall_ms: int, mono_ms: int) -> None:
            if then_close:
                connection.close(then_close)
            elif mono_ms >= connection.muted_until_ms:
                connection.unmute()

        deadlines.at(until_ms, unmute)


class Mutations:
    """What one request changes of the topics and partitions there are (KIP-599).

    `is_strict`: a client that knows THROTTLING_QUOTA_EXCEEDED is refused while
    it is in debt; one that does not is slowed down.
    """

    def __init__(self, request: RequestContext, *, is_strict: bool) -> None:
        self._request = request
        self._is_strict = is_strict
        self._throttle_ms = 0

    def admit(self, count: int) -> None:
        """So many partitions are created or deleted; raises `RequestError` if they may not be."""
        if self._is_strict:
            self._throttle_ms = self._count(0)
            if self._throttle_ms:
                raise RequestError(
                    ErrorCode.THROTTLING_QUOTA_EXCEEDED, "The throttling quota has been exceeded."
                )
            self._count(count)
        else:
            self._throttle_ms = self._count(count)

    def settle(self) -> int:
        """Mute the connection where it has to wait; returns the throttle time in milliseconds."""
        if self._throttle_ms:
            self._request.broker.quotas.mute(self._request.connection, self._throttle_ms)
        return self._throttle_ms

    def _count(self, count: int) -> int:
        request = self._request
        return request.broker.quotas.count(
            CONTROLLER_MUTATION_RATE, request.connection, request.client_id, count
        )
