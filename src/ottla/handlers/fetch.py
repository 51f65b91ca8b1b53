"""Fetch (API key 1), versions 0 to 18.

v4 isolation level and aborted transactions (KIP-98); v5 log start offset; v7
sessions (KIP-227); v9 current leader epoch (KIP-320); v10 zstd; v11 rack
(KIP-392); v12 diverging epoch (KIP-595); v13 topic ids (KIP-516); v15 replica
state; v16 node endpoints (KIP-951); v17 directory ids; v18 high watermark
(followers only).

Followers do not exist here: every fetch is a consumer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.pending_fetch import PendingFetch
from ottla.broker.request import Parked
from ottla.wire.messages.fetch import FetchRequest, FetchResponse

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.request import RequestContext


def handle(
    broker: Broker, request: RequestContext, message: FetchRequest
) -> FetchResponse | Parked:
    """Records from each partition asked for, now or when there are some."""
    if request.version < 7:
        message.session_id, message.session_epoch = 0, -1
    context = broker.fetch_sessions.open(message, request.version >= 13, request.mono_ms)
    fetch = PendingFetch(request, message, context)
    response = fetch.start()
    return Parked.LATER if response is None else response
