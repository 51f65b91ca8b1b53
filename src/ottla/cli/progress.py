"""A line of progress on stderr, for long work that a person waits for."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final

INTERVAL_S: Final = 0.2
BAR: Final = 24


class Progress:
    """Draws itself at most five times a second, and only on a terminal."""

    def __init__(self, what: str, *, is_wanted: bool = True) -> None:
        self.what = what
        self._is_shown = is_wanted and sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = 0.0
        self._has_line = False

    def show(self, done: float | None, count: int) -> None:
        """`done` is a share from 0 to 1, None where nobody knows; `count` the records so far."""
        now = time.monotonic()
        if not self._is_shown or now - self._drawn < INTERVAL_S:
            return
        self._drawn = now
        elapsed = now - self._started
        if elapsed < 2 * INTERVAL_S:
            return
        line = f"{count:,} records, {count / elapsed:,.0f}/s"
        if done is not None:
            filled = int(done * BAR)
            left = f", {elapsed / done - elapsed:.0f} s left" if 0.01 < done < 1 else ""
            line = f"[{'#' * filled}{'.' * (BAR - filled)}] {done:4.0%} {line}{left}"
        line = f"{self.what} {line}"
        room = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[2K{line[:room]}", end="", file=sys.stderr, flush=True)
        self._has_line = True

    def clear(self) -> None:
        """Make room for other output."""
        if self._has_line:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._has_line = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
