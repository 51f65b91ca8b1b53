"""Where a lab draws: lines that stay, and one picture that is drawn over while it changes.

On a terminal the picture moves and has colours; elsewhere only its last state
is printed. Pictures are made for 80 columns; where there are fewer, they are cut while
they move, and whole at the end.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Final, TextIO

WIDTH: Final = 80
_FRAME_INTERVAL_S: Final = 0.05
_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_COLOURS: Final = ("cyan", "yellow", "magenta", "green", "blue", "red")
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """Draws on `out`; `is_silent` draws nothing, for --json."""

    def __init__(self, out: TextIO | None = None, *, is_silent: bool = False) -> None:
        self._out = out or sys.stdout
        self.is_silent = is_silent
        self.is_live = self._out.isatty() and os.environ.get("TERM") != "dumb"
        self.has_colours = self.is_live and "NO_COLOR" not in os.environ
        self._drawn = 0
        self._last: list[str] = []
        self._next_frame = 0.0

    def paint(self, text: str, style: str) -> str:
        """The text in a style, where there are colours."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.has_colours else text

    def colour_of(self, number: int, text: str) -> str:
        """The text in the colour of a numbered thing, the same every time."""
        return self.paint(text, _COLOURS[number % len(_COLOURS)])

    def heading(self, text: str) -> None:
        self.say("")
        self.say(self.paint(f"── {text} ".ljust(self._width() - 2, "─"), "bold"))

    def say(self, text: str) -> None:
        """Print a line that stays; a picture being drawn is finished first."""
        self.settle()
        self._write(text + "\n")

    def draw(self, lines: Sequence[str]) -> None:
        """Draw the picture anew over the one before; at most 20 times a second."""
        self._last = list(lines)
        if self.is_live and time.monotonic() >= self._next_frame:
            self._next_frame = time.monotonic() + _FRAME_INTERVAL_S
            self._paint_picture(self._width())

    def settle(self) -> None:
        """The last picture stays as it is; the next one is drawn below it."""
        if not self._last:
            return
        if self.is_live:
            self._paint_picture(WIDTH)
        else:
            self._write("\n".join(self._last) + "\n")
        self._last = []
        self._drawn = 0

    def _width(self) -> int:
        """Columns that there are, of those that pictures are made for."""
        return min(WIDTH, shutil.get_terminal_size().columns) if self.is_live else WIDTH

    def _paint_picture(self, width: int) -> None:
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        text = "".join(f"\x1b[2K{_clipped(line, width)}\n" for line in self._last)
        self._write(f"{up}{text}\x1b[0J")
        self._drawn = len(self._last)

    def _write(self, text: str) -> None:
        if not self.is_silent:
            self._out.write(text)
            self._out.flush()


def bar(part: float, whole: float, width: int) -> str:
    """A bar of at most `width` characters, in eighths."""
    eighths = 0 if whole <= 0 else round(min(1.0, part / whole) * width * 8)
    return ("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()).ljust(width)


def plain(text: str) -> str:
    """The text without its colours."""
    return _ESCAPE.sub("", text)


def _clipped(line: str, width: int) -> str:
    """A line that wraps would spoil the drawing over; too long ones lose their colours."""
    return line if len(plain(line)) < width else plain(line)[: width - 1]
