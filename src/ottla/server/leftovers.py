"""Beginnings of frames, and frames of paused connections, that are kept for later.

They are small (at most one receive buffer each), but there may be as many as
there are connections. All are counted against the budget of requests; when
they alone pass it, the connection that has kept its bytes longest is closed,
for it is the one that gets nowhere. Its client connects again, if it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.broker.budget import Budget
    from ottla.server.connection import ClientConnection


class Leftovers:
    """Who keeps how much, longest first."""

    def __init__(self) -> None:
        self._sizes: dict[ClientConnection, int] = {}
        self.total_bytes = 0
        #: Connections closed for want of memory.
        self.evictions = 0

    def keep(self, client: ClientConnection, size: int, budget: Budget) -> None:
        """`client` keeps so many bytes now; closes others, or itself, when that is too much.

        Who keeps bytes of the same frame on and on keeps its place in the row.
        """
        growth = size - self._sizes.get(client, 0)
        self._sizes[client] = size
        self.total_bytes += growth
        budget.request_bytes += growth
        while self.total_bytes > budget.request_limit_bytes:
            oldest = next(iter(self._sizes))
            self.let_go(oldest, budget)
            self.evictions += 1
            oldest.evict()

    def let_go(self, client: ClientConnection, budget: Budget) -> None:
        """`client` keeps nothing any more."""
        size = self._sizes.pop(client, 0)
        if size:
            self.total_bytes -= size
            budget.release_request(size)
