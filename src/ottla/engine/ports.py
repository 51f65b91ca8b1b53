"""Ports for listeners to come, which somebody else must know before."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path
from typing import Final

from ottla.engine.node import HOST

#: Where Linux says which ports it deals out itself.
_DEALT: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST: Final = 15_000
_FIRST_DEALT: Final = 32_768  # Linux's default; elsewhere they begin later
_TRIES: Final = 100

# Of its own: seeded alike (pytest-randomly does it), two processes would choose the same ports.
_random: Final = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, and that nobody gets by chance.

    The system takes the ports of outgoing connections, and those of listeners that want any
    port, from a range of its own. One from there may be gone before it is used, or while a
    broker that was killed starts again.
    """
    with contextlib.ExitStack() as held:
        return [_hold_one(held) for _ in range(count)]


def _hold_one(held: contextlib.ExitStack) -> int:
    candidates = range(_FIRST, _first_dealt())
    if len(candidates) > _TRIES:
        for port in _random.sample(candidates, _TRIES):
            with contextlib.suppress(OSError):  # taken
                held.enter_context(socket.create_server((HOST, port)))
                return port
    listener = held.enter_context(socket.create_server((HOST, 0)))
    return int(listener.getsockname()[1])


def _first_dealt() -> int:
    try:
        return int(_DEALT.read_text().split()[0])
    except OSError:
        return _FIRST_DEALT
