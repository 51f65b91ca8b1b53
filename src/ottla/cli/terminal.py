"""The terminal's Ctrl-C for us alone, when make started us.

A terminal sends Ctrl-C to every process of its foreground group, make
included, which would then report an error although everything stopped in
order. So we take the terminal for a group of our own, and give it back.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_terminal() -> Iterator[None]:
    """Be the terminal's foreground group inside the block, if make is in it now.

    When the terminal goes away inside the block, we get SIGHUP.
    """
    descriptor = _terminal_of_make()
    if descriptor is None:
        yield
        return
    before = os.getpgrp()
    # A background group may not touch the terminal without this; and nobody could
    # continue us after Ctrl-Z, because the shell only knows make.
    old_background = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    old_suspend = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        os.setpgid(0, 0)
        os.tcsetpgrp(descriptor, os.getpgrp())
    except OSError:
        yield
        return
    try:
        with _hangup_told(descriptor):
            yield
    finally:
        try:
            os.tcsetpgrp(descriptor, before)
        except OSError:
            pass  # the terminal is gone
        signal.signal(signal.SIGTTOU, old_background)
        signal.signal(signal.SIGTSTP, old_suspend)


@contextmanager
def _hangup_told(terminal: int) -> Iterator[None]:
    """Inside the block this process gets SIGHUP once nobody holds the terminal's other end."""
    end, over = os.pipe()

    def watch() -> None:
        either = select.poll()
        for descriptor in (terminal, end):
            either.register(descriptor, 0)  # nothing but the hang-up: others read the keys
        if any(which == terminal and what & select.POLLHUP for which, what in either.poll()):
            os.kill(os.getpid(), signal.SIGHUP)

    watching = threading.Thread(target=watch, name="ottla-terminal", daemon=True)
    watching.start()
    try:
        yield
    finally:
        os.close(over)  # a hang-up, too
        watching.join()
        os.close(end)


def _terminal_of_make() -> int | None:
    """The terminal's descriptor when make runs us in its foreground."""
    if os.name != "posix" or "MAKELEVEL" not in os.environ or not sys.stdin.isatty():
        return None
    descriptor = sys.stdin.fileno()
    try:
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except OSError:
        return None
