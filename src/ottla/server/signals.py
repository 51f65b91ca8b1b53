"""Whoever wants us to end: Ctrl-C, a service manager, a closed terminal; on Windows, too."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

#: Those of them that a system has: SIGHUP is POSIX's, SIGBREAK (Ctrl-Break) Windows'.
_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


def call_when_asked_to_end(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """From now on each such signal calls `call` on the loop. Main thread only."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)

    for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
        try:
            loop.add_signal_handler(number, call)
        except NotImplementedError:  # Windows' loops
            signal.signal(number, pass_on)
