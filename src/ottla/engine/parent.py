"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn`: the child is asked to end (SIGTERM) when its parent is gone, SIGKILL or not.

    To be started from a thread that lives as long as the child may: Linux counts the end of that
    thread as the parent's. None where the system has no such thing.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: afterwards a lock of the loader may be held for ever by a
    # thread that only our parent has.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)  # we were killed before it could ask

    return ask
