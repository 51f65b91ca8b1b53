"""A program at a terminal of its own: keys go in, what it paints comes out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import struct
import termios
import time
from collections.abc import Iterator

from tour.stage import NotSeenError, Stage

LINES, COLUMNS = 24, 80
#: Where is the cursor? Programs wait for the answer before they paint.
ASKS_FOR_CURSOR = b"\x1b[6n"
CURSOR = b"\x1b[1;1R"
#: Colours, movements, titles.
CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[ -/]*[0-~]|[\x00-\x09\x0b-\x1f]"
)


class Terminal:
    """`text` is all that was painted since the last key, without colours and movements."""

    def __init__(self, process: int, descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self._painted = b""
        self._answered = 0

    @property
    def text(self) -> str:
        return CONTROL.sub("", self._painted.decode(errors="replace"))

    def presses(self, keys: str) -> None:
        """Type; what was painted before is forgotten."""
        self._painted, self._answered = b"", 0
        os.write(self._descriptor, keys.encode())

    def shows(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """The first match of `pattern` in `text`. Errors: NotSeenError."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text, re.MULTILINE)
            if found:
                return found
            if time.monotonic() > deadline or not self._reads():
                raise NotSeenError(f"{pattern!r} did not appear; last: {self.text[-300:]!r}")

    def _reads(self) -> bool:
        """Whether the program is still there; waits a moment for what it paints."""
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self._painted += data
        for _ in range(self._painted.count(ASKS_FOR_CURSOR) - self._answered):
            self._answered += 1
            os.write(self._descriptor, CURSOR)
        return bool(data)

    def ends(self, seconds: float = 20.0) -> int:
        """The program's exit status. Errors: NotSeenError when it goes on."""
        deadline = time.monotonic() + seconds
        while self._reads():
            if time.monotonic() > deadline:
                raise NotSeenError(f"it did not end; last: {self.text[-300:]!r}")
        process, self._process = self._process, 0
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def close(self) -> None:
        """End the program if it still runs."""
        os.close(self._descriptor)  # hangs up
        if self._process:
            os.waitpid(self._process, 0)


@contextlib.contextmanager
def at_terminal(stage: Stage, line: str) -> Iterator[Terminal]:
    """A terminal with a command in its foreground."""
    words = shlex.split(stage.here(line))
    process, descriptor = pty.fork()
    if process == 0:
        os.chdir(stage.scratch)
        ours = {"TERM": "xterm-256color", "XDG_STATE_HOME": str(stage.scratch)}  # our own history
        os.execvpe(words[0], words, {**stage.environment, **ours})
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    terminal = Terminal(process, descriptor)
    try:
        yield terminal
    finally:
        terminal.close()
