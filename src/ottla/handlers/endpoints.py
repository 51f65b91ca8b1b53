"""Where a client is told to find this broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ottla.broker.connection import Connection


def endpoint(connection: Connection) -> tuple[str, int]:
    """Host and port to come back.

    The driver has set them to where the client reached us, so that 127.0.0.1,
    ::1 and every other address lead back to themselves, or to what the listener
    advertises. A TLS client comes back to the name it asked for, because that
    is the one its certificate check expects.
    """
    return connection.tls_server_name or connection.local_host, connection.local_port
