"""What the core asks of the world around it.

The server performs these on a real event loop; the simulation performs them
on a simulated one. An effect is asked for in the middle of a decision, so none
of them may call back into the broker before it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ottla.wire.message import Buffer

if TYPE_CHECKING:
    from ottla.broker.connection import Connection

T = TypeVar("T")


class Effects(Protocol):
    """Requested by the broker, performed by whoever drives it."""

    def send(self, connection: Connection, buffers: Sequence[Buffer]) -> int:
        """Send the buffers one after the other.

        Returns how many bytes this connection has not handed to the operating
        system yet, these buffers included. When that number falls later, the
        driver says so with `Broker.unsent_changed`. The buffers never change
        after the call.
        """

    def close(self, connection: Connection, reason: str) -> None:
        """Close the connection; `Broker.connection_lost` follows, later."""

    def flush_wanted(self) -> None:
        """Something is dirty: call `Broker.take_flush_round` soon. Idempotent."""

    def run_job(self, job: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        """Run `job` in a worker thread; hand its result, or the `OSError` it raised,
        to `done` on the thread that owns the broker. Jobs touch only immutable
        state. They may run at the same time and end in any order."""

    def tell(self, sentence: str) -> None:
        """Tell the person who runs the broker: something on the disk is not as it should be."""

    def resume(self, connection: Connection) -> None:
        """`connection.is_paused` has become false: dispatch its next frames."""
