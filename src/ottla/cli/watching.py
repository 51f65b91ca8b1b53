"""Live views: what a verb shows, shown again and again until Ctrl-C.

On a terminal each picture replaces the one before; anywhere else they follow
each other.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import time
from collections.abc import Callable, Hashable
from typing import Final

from ottla.cli.errors import INTERRUPTED, flush_to_reader
from ottla.cli.output import DIM, colour

DEFAULT_S: Final = 2.0
MIN_S: Final = 0.1
HOME: Final = "\x1b[H"
CLEAR_LINE: Final = "\x1b[K"
CLEAR_BELOW: Final = "\x1b[J"
CLEAR: Final = "\x1b[2J"


def add_watch_argument(parser: argparse.ArgumentParser, *, is_nested: bool = False) -> None:
    """Add `--watch`; `is_nested` in an action keeps what stood before it."""
    parser.add_argument(
        "-w",
        "--watch",
        nargs="?",
        type=float,
        const=DEFAULT_S,
        default=argparse.SUPPRESS if is_nested else None,
        metavar="S",
        help=f"show it again and again, every S seconds (default {DEFAULT_S:g}), until Ctrl-C",
    )


class Rates:
    """How fast numbers grow from one picture to the next."""

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[float, int]] = {}

    def of(self, what: Hashable, number: int) -> float | None:
        """Growth in a second since this was last asked; None the first time."""
        now = time.monotonic()
        before = self._last.get(what)
        self._last[what] = (now, number)
        if before is None or now <= before[0]:
            return None
        return round((number - before[1]) / (now - before[0]), 1)


class _Picture(io.StringIO):
    """Takes what is printed; as colourful as the terminal behind it."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def shown(show: Callable[[], None], every_s: float | None) -> int:
    """Show once, or with a period again and again; returns the exit status."""
    if every_s is None:
        show()
        return 0
    is_terminal = sys.stdout.isatty()
    try:
        if is_terminal:
            print(CLEAR, end="")
        while True:
            picture = _Picture(is_terminal=is_terminal)
            with contextlib.redirect_stdout(picture):
                show()
            if is_terminal:
                _paint(picture.getvalue(), every_s)
            else:
                print(picture.getvalue())
            flush_to_reader()
            time.sleep(max(every_s, MIN_S))
    except KeyboardInterrupt:
        if is_terminal:
            print()  # behind the terminal's own ^C
        return INTERRUPTED


def _paint(text: str, every_s: float) -> None:
    """The picture from the top of the screen, cut where the screen ends."""
    size = shutil.get_terminal_size()
    lines = text.rstrip("\n").split("\n")
    room = max(1, size.lines - 2)
    if len(lines) > room:
        left_out = len(lines) - room + 1
        lines = [*lines[: room - 1], f"… {left_out} more lines; a taller window shows them"]
    clock = time.strftime("%H:%M:%S")
    lines.append(colour(f"{clock}, every {every_s:g} s; Ctrl-C ends", DIM))
    print(HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines) + CLEAR_BELOW, end="")
