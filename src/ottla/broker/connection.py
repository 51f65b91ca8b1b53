"""A client's connection as the broker sees it: who, where, and what is in progress.

Responses leave in the order of the requests (the protocol matches them by
order, correlation ids are only a check), so every request takes a slot when it
arrives, and a finished slot waits for those before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ottla.broker.budget import Budget
from ottla.broker.effects import Effects
from ottla.wire.message import Buffer

if TYPE_CHECKING:
    from ottla.broker.authentication import Authentication
    from ottla.broker.partitions import ParkedFetch

#: Requests of one connection that may be in progress before its reading pauses.
MAX_IN_PROGRESS: Final = 64

#: Who nobody has said they are.
ANONYMOUS: Final = "User:ANONYMOUS"

#: A client with this many response bytes left to read is not asked for more requests.
MAX_UNSENT_BYTES: Final = 1024 * 1024


class ResponseSlot:
    """The place of one response in its connection's order."""

    __slots__ = ("buffers",)

    def __init__(self) -> None:
        self.buffers: Sequence[Buffer] | None = None


class Connection:
    """State of one connection; the driver keeps its socket elsewhere.

    `listener` is the listener's name (`PLAINTEXT`); `local_host` and
    `local_port` are what the client is told to come back to: where it reached us,
    or what the listener advertises. `driver_state` belongs to the driver alone.
    """

    __slots__ = (
        "authentication",
        "budget",
        "client_id",
        "client_software_name",
        "client_software_version",
        "driver_state",
        "effects",
        "finished_bytes",
        "id",
        "is_closed",
        "is_muted",
        "is_paused",
        "listener",
        "local_host",
        "local_port",
        "muted_until_ms",
        "parked_fetches",
        "peer_host",
        "peer_port",
        "principal",
        "slots",
        "tls_server_name",
        "unsent_bytes",
    )

    def __init__(
        self,
        id_: int,
        listener: str,
        local: tuple[str, int],
        peer: tuple[str, int],
        effects: Effects,
        budget: Budget,
    ) -> None:
        self.id = id_
        self.listener = listener
        self.local_host, self.local_port = local
        self.peer_host, self.peer_port = peer
        self.principal = ANONYMOUS
        #: Present on SASL listeners only.
        self.authentication: Authentication | None = None
        #: The name a TLS client asked for; it is told to come back to that name.
        self.tls_server_name: str | None = None
        self.client_id: str | None = None
        self.client_software_name = "unknown"
        self.client_software_version = "unknown"
        self.effects = effects
        self.budget = budget
        self.slots: deque[ResponseSlot] = deque()
        self.unsent_bytes = 0
        #: Responses that are ready and wait for one before them.
        self.finished_bytes = 0
        #: Do not dispatch further frames until `Effects.resume` is called.
        self.is_paused = False
        #: A barrier (authentication, throttling) holds the connection.
        self.is_muted = False
        self.muted_until_ms = 0
        self.is_closed = False
        self.driver_state: object = None
        #: Fetches that wait, so that they need not when the client has left.
        self.parked_fetches: dict[ParkedFetch, None] = {}

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self.listener} from {self.peer_host}:{self.peer_port}>"

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What responses that name addresses depend on, and who may see what."""
        host = self.tls_server_name or self.local_host
        return self.principal, self.peer_host, host, self.local_port

    def take_slot(self) -> ResponseSlot:
        """The next response's place; pauses the connection when it has enough of them."""
        slot = ResponseSlot()
        self.slots.append(slot)
        if len(self.slots) >= MAX_IN_PROGRESS:
            self.is_paused = True
        return slot

    def fill_slot(self, slot: ResponseSlot, buffers: Sequence[Buffer]) -> None:
        """The response is ready: it leaves when all before it have left.

        Empty `buffers` means that the request has no response.
        """
        assert slot.buffers is None, "a request is answered once"
        slot.buffers = buffers
        slots = self.slots
        if self.is_closed:
            return
        if slots[0] is not slot:
            self._finished_changed(sum(map(len, buffers)))
            return
        out = list(buffers)
        slots.popleft()
        while slots and slots[0].buffers is not None:
            late = slots.popleft().buffers
            assert late is not None
            self._finished_changed(-sum(map(len, late)))
            out.extend(late)
        if out:
            self.unsent_changed(self.effects.send(self, out))
        else:
            self._may_resume()

    @property
    def held_bytes(self) -> int:
        """Response bytes that memory holds for this client."""
        return self.unsent_bytes + self.finished_bytes

    def _finished_changed(self, difference: int) -> None:
        self.finished_bytes += difference
        self.budget.change_unsent(difference)

    def mute(self) -> None:
        """Dispatch nothing more of this connection until `unmute`."""
        self.is_muted = True
        self.is_paused = True

    def unmute(self) -> None:
        self.is_muted = False
        self._may_resume()

    def _may_resume(self) -> None:
        if (
            self.is_paused
            and not self.is_muted
            and len(self.slots) < MAX_IN_PROGRESS
            and self.unsent_bytes < MAX_UNSENT_BYTES
        ):
            self.is_paused = False
            self.effects.resume(self)

    def unsent_changed(self, unsent_bytes: int) -> None:
        """The driver holds this many bytes for the connection now."""
        self.budget.change_unsent(unsent_bytes - self.unsent_bytes)
        self.unsent_bytes = unsent_bytes
        if unsent_bytes >= MAX_UNSENT_BYTES:
            self.is_paused = True
        else:
            self._may_resume()

    def close(self, reason: str) -> None:
        """Ask the driver to close; what is in progress is not answered any more."""
        if not self.is_closed:
            self.is_closed = True
            self.effects.close(self, reason)

    def released(self) -> None:
        """The driver has let go of the connection and of its buffers."""
        self.is_closed = True
        for fetch in list(self.parked_fetches):
            fetch.abandon()
        self.slots.clear()
        self.budget.change_unsent(-self.held_bytes)
        self.unsent_bytes = self.finished_bytes = 0
