"""One bound on the memory that clients can make the broker hold.

Two things are counted: response bytes that a client has not taken yet, and
requests that are being received. A client that never reads keeps what it was
sent in memory; without a bound, 200 of them that ask for 50 MB each hold 10 GB.

Responses: every fetch may take a share of what is left, so that the sum of
any number of greedy readers approaches the limit and does not pass it. A
small floor is always granted, so that readers who do read are not stopped by
those who do not.
"""

from __future__ import annotations

from typing import Final

#: Bytes that requests and unsent responses may hold together.
DEFAULT_LIMIT_BYTES: Final = 128 * 1024 * 1024

#: A response of this size is always granted to a connection with nothing unsent.
FLOOR_BYTES: Final = 64 * 1024

#: A fetch is granted one part in this many of what is left.
SHARE: Final = 4


class Budget:
    """Counts bytes; never blocks. Who is refused waits and is asked again."""

    __slots__ = ("limit_bytes", "request_bytes", "request_limit_bytes", "unsent_bytes")

    def __init__(
        self, limit_bytes: int = DEFAULT_LIMIT_BYTES, request_limit_bytes: int = -1
    ) -> None:
        self.limit_bytes = limit_bytes
        #: Of that, what requests may hold (`queued.max.request.bytes`); -1 is all of it.
        self.request_limit_bytes = (
            limit_bytes if request_limit_bytes < 0 else min(request_limit_bytes, limit_bytes)
        )
        self.unsent_bytes = 0
        self.request_bytes = 0

    @property
    def remaining_bytes(self) -> int:
        return self.limit_bytes - self.unsent_bytes - self.request_bytes

    def response_allowance(self, connection_unsent_bytes: int) -> int:
        """How many bytes of records the next response of a connection may hold.

        Zero means: wait until something was sent.
        """
        share = self.remaining_bytes // SHARE - connection_unsent_bytes
        if share >= FLOOR_BYTES:
            return share
        return 0 if connection_unsent_bytes else FLOOR_BYTES

    def is_exhausted(self) -> bool:
        """Only floors are granted now, and no batch that is larger than the floor."""
        return self.remaining_bytes < SHARE * FLOOR_BYTES

    def admit_request(self, size: int) -> bool:
        """Count a request about to be received, or refuse it for now.

        The driver asks for frames that it does not receive into its shared
        buffer; it calls `release_request` when the frame has been dispatched or
        the connection is gone. One request is always admitted, however large.
        """
        left = min(self.remaining_bytes, self.request_limit_bytes - self.request_bytes)
        if self.request_bytes and size > left:
            return False
        self.request_bytes += size
        return True

    def release_request(self, size: int) -> None:
        self.request_bytes -= size
        assert self.request_bytes >= 0

    def change_unsent(self, difference: int) -> None:
        self.unsent_bytes += difference
        assert self.unsent_bytes >= 0
