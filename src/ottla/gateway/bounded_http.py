"""The HTTP protocol of a door: httptools where it is installed, h11 elsewhere.

h11 refuses a head that grows without end; httptools would collect it in
memory, so that limit is added here.
"""

from __future__ import annotations

import asyncio

MAX_HEAD_BYTES = 64 * 1024


def http_protocol() -> type[asyncio.Protocol] | str:
    """What uvicorn's `http` setting takes."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class BoundedProtocol(HttpToolsProtocol):
        """Answers 400 when a request's line and headers are longer than `MAX_HEAD_BYTES`."""

        is_in_head = False
        pending = 0

        def on_message_begin(self) -> None:
            self.is_in_head = True
            self.pending = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self.is_in_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.is_in_head:
                self.pending += len(data)
                if self.pending > MAX_HEAD_BYTES:
                    self.send_400_response("The headers are longer than 64 KiB.")

    return BoundedProtocol
