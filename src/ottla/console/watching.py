"""Readers shared by all pages that look at the same thing, closed when nobody does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, TypeVar, cast


class Watch(Protocol):
    """Something that reads in a thread of its own."""

    def start(self) -> None: ...

    def close(self) -> None: ...


W = TypeVar("W", bound=Watch)

SWEEP_S = 10.0
#: So long a reader goes on after the last page asked for it.
IDLE_S = 45.0

_watches: dict[tuple[str, ...], tuple[Watch, float]] = {}


def watch(key: tuple[str, ...], make: Callable[[], W]) -> W:
    """The reader kept under `key`, started if there is none; to be asked for at each refresh."""
    found = _watches.get(key)
    if found is None:
        kept: Watch = make()
        kept.start()
    else:
        kept = found[0]
    _watches[key] = (kept, time.monotonic())
    return cast(W, kept)


async def sweep() -> None:
    """Close readers that no page has asked for lately."""
    oldest = time.monotonic() - IDLE_S
    for key in [key for key, (_, used) in _watches.items() if used < oldest]:
        idle, _ = _watches.pop(key)
        await asyncio.to_thread(idle.close)
