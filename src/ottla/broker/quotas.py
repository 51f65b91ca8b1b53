"""Client quotas: how many bytes a second a user or client may send and fetch (KIP-13, KIP-546).

A quota is kept as a time: the moment by which what was used so far is paid
for at the allowed rate. Being ahead of the clock is debt, and the debt is the
throttle time: the response says it, and nothing more of the connection is
dispatched until it is over (KIP-219). An idle client saves up a burst of one
second and no more.

`request_percentage` is stored and described, not enforced: the core has no
clock to measure its own time with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.connection import Connection

PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
CONTROLLER_MUTATION_RATE: Final = "controller_mutation_rate"

#: What an idle client may use at once, in time at its rate.
BURST_MS: Final = 1000.0
#: Nobody is muted for longer than this at once.
MAX_THROTTLE_MS: Final = 30_000
#: Entities whose use is remembered; the least recently used are forgotten first.
MAX_ENTITIES: Final = 10_000


class Quotas:
    """Limits in force, and what was used of them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.is_active = False
        #: (quota key, entity) -> monotonic time, in ms, by which the use is paid for.
        self._paid_until: dict[tuple[str, object], float] = {}

    def changed(self) -> None:
        """The metadata has other quotas now."""
        self.is_active = bool(self._broker.metadata.quotas)

    def use(self, key: str, connection: Connection, client_id: str | None, amount: int) -> int:
        """Count an amount against the quota; returns the throttle time in milliseconds.

        The connection is muted for that long.
        """
        if not self.is_active:
            return 0
        found = self._limit(key, connection.principal.removeprefix("User:"), client_id or "")
        if found is None:
            return 0
        entity, rate = found
        now = float(self._broker.mono_ms)
        paid_until = max(self._paid_until.pop((key, entity), 0.0), now - BURST_MS)
        paid_until += amount / rate * 1000
        if len(self._paid_until) >= MAX_ENTITIES:
            del self._paid_until[next(iter(self._paid_until))]
        self._paid_until[key, entity] = paid_until
        throttle_ms = min(int(paid_until - now), MAX_THROTTLE_MS)
        if throttle_ms <= 0:
            return 0
        self._mute(connection, throttle_ms)
        return throttle_ms

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

    def _mute(self, connection: Connection, throttle_ms: int) -> None:
        deadlines = self._broker.deadlines
        until_ms = self._broker.mono_ms + throttle_ms
        connection.muted_until_ms = max(connection.muted_until_ms, until_ms)
        connection.mute()

        def unmute(wall_ms: int, mono_ms: int) -> None:
            if mono_ms >= connection.muted_until_ms:
                connection.unmute()

        deadlines.at(until_ms, unmute)
