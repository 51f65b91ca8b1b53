"""Sockets that count how many of them are open, and refuse those above the limits.

A connection counts from the moment it is accepted, before any TLS handshake,
until its descriptor is closed. So strangers cannot use up the descriptors that
the logs need: the broker itself keeps `RESERVED_FILES` of them for its own use.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Final

from ottla.broker.config import BrokerConfig
from ottla.broker.config_types import ConfigError
from ottla.server.limits import file_limit

#: Descriptors that connections may not use up: open files of logs, and all the rest.
RESERVED_FILES: Final = 512

#: Connections accepted, and connections refused, in one turn of the event loop.
ACCEPT_BURST: Final = 64

#: Elsewhere the event loop makes its own sockets, and the protocol has to count.
COUNTS_AT_ACCEPT: Final = os.name == "posix"


class ConnectionLimits:
    """How many connections are open, and how many may be."""

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._overrides_text = ""
        self._overrides: dict[str, int] = {}
        self._read_overrides()
        self._files = file_limit()
        self._open = 0
        self._by_host: dict[str, int] = {}
        self.refused = 0

    @property
    def most(self) -> int:
        """Connections that may be open: `max.connections`, or what the system has room for."""
        wanted = self._config.number("max.connections")
        if not self._files:
            return wanted
        return min(wanted, max(self._files - RESERVED_FILES, self._files // 4))

    def _read_overrides(self) -> None:
        text = self._config.text("max.connections.per.ip.overrides")
        if text != self._overrides_text:
            self._overrides = _host_limits(text)
            self._overrides_text = text

    def admit(self, host: str) -> bool:
        """Count one more connection from `host`, or refuse it. Changed settings apply at once."""
        self._read_overrides()
        here = self._by_host.get(host, 0)
        most_here = self._overrides.get(host, self._config.number("max.connections.per.ip"))
        if self._open >= self.most or here >= most_here:
            self.refused += 1
            return False
        self._open += 1
        self._by_host[host] = here + 1
        return True

    def release(self, host: str) -> None:
        """An admitted connection is gone."""
        self._open -= 1
        left = self._by_host[host] - 1
        if left:
            self._by_host[host] = left
        else:
            del self._by_host[host]


class AcceptedSocket(socket.socket):
    """One client's socket; releases its place when it is closed."""

    _limits: ConnectionLimits | None = None
    _host = ""

    def hold(self, limits: ConnectionLimits, host: str) -> None:
        """It has been admitted."""
        self._limits, self._host = limits, host

    def close(self) -> None:
        limits, self._limits = self._limits, None
        super().close()
        if limits is not None:
            limits.release(self._host)


class CountingListener(socket.socket):
    """A listening socket that hands out admitted connections only."""

    limits: ConnectionLimits

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; those that are refused are closed at once.

        Raises `BlockingIOError` when nobody waits, or after many refusals in a row:
        the event loop then does something else before it asks again.
        """
        for _ in range(ACCEPT_BURST):
            descriptor, address = self._accept()  # type: ignore[attr-defined]
            accepted = AcceptedSocket(self.family, self.type, self.proto, fileno=descriptor)
            host = host_of(address)
            if self.limits.admit(host):
                accepted.hold(self.limits, host)
                return accepted, address
            accepted.close()
        raise BlockingIOError


def host_of(name: object) -> str:
    """The host of a socket name; an IPv4 address seen through IPv6 is shown as IPv4."""
    if not isinstance(name, tuple):
        return ""  # gone already
    return str(name[0]).removeprefix("::ffff:").partition("%")[0]


def _host_limits(text: str) -> dict[str, int]:
    limits = {}
    for pair in filter(None, (p.strip() for p in text.split(","))):
        host, _, count = pair.rpartition(":")
        if not host or not count.isdigit():
            raise ConfigError(
                f"Invalid value {pair} for configuration max.connections.per.ip.overrides: "
                "allowed is host:count"
            )
        limits[host] = int(count)
    return limits
