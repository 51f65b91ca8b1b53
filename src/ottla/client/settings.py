"""How to reach a Kafka: what a connection needs to know besides an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from ottla.client.errors import SettingsError

if TYPE_CHECKING:
    import socket

    from ottla.client.connection import Connection

DEFAULT_PORT: Final = 9092

#: A larger response is taken for something else than Kafka's protocol.
MAX_RESPONSE_BYTES: Final = 256 * 1024 * 1024


class Settings(NamedTuple):
    """Settings shared by all connections of a client; times are milliseconds.

    `secure` turns a connected socket into an encrypted one, `authenticate`
    runs before the first request (`ottla.client.security` makes both from
    Kafka's configuration keys).
    """

    client_id: str = "ottla"
    connect_timeout_ms: int = 10_000
    request_timeout_ms: int = 30_000
    max_response_bytes: int = MAX_RESPONSE_BYTES
    secure: Callable[[socket.socket, str], socket.socket] | None = None
    authenticate: Callable[[Connection], None] | None = None


def parse_address(text: str) -> tuple[str, int]:
    """`host:port`, `host`, `[ipv6]:port` -> (host, port). Errors: `SettingsError`."""
    text = text.strip().removeprefix("PLAINTEXT://").removeprefix("SSL://")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if bracket and rest[:1] in ("", ":") else "?"
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65_536)):
        raise SettingsError(f"{text!r} is not an address of the form host:port")
    return host, int(port) if port else DEFAULT_PORT


def parse_bootstrap_servers(text: str) -> list[tuple[str, int]]:
    """A comma-separated list of addresses. Errors: `SettingsError`, also for an empty one."""
    addresses = [parse_address(part) for part in text.split(",") if part.strip()]
    if not addresses:
        raise SettingsError("no bootstrap server was given")
    return addresses


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
