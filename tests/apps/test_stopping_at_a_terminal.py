"""Ctrl-C at a terminal ends everything in order, and make sees no error."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import sys
import time
from pathlib import Path

import pytest

LIMIT_S = 30


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        self.seen = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ.update(TERM="xterm-256color", OTTLA_STATE_DIR=str(directory / "state"))
            os.execvp(command[0], command)

    def read_until(self, pattern: bytes) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, self.seen[-2000:]
            assert self._read(), self.seen[-2000:]

    def _read(self) -> bool:
        """Whether there may be more to come."""
        if select.select([self.descriptor], [], [], 0.2)[0]:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:
                return False
            self.seen += data
            return bool(data)
        return True

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def wait_for_end(self) -> tuple[int, float]:
        """Exit status, and how long it took."""
        began = time.monotonic()
        while self._read():
            assert time.monotonic() - began < LIMIT_S
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status), time.monotonic() - began


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    if shutil.which("make") is None:
        pytest.skip("[not-on-this-platform] no make")
    command = f"@{sys.executable} -m ottla.cli.main up --bare --port 0 --set ottla.metrics.port=0"
    (tmp_path / "Makefile").write_text(f"run:\n\t{command} $(ARGS)\n")
    return tmp_path


def test_ctrl_c_under_make_is_no_error(makefile: Path) -> None:
    terminal = Terminal(makefile, ["make", "run"])
    terminal.read_until(rb"Ctrl-C stops everything")
    terminal.type(b"\x03")
    status, seconds = terminal.wait_for_end()
    assert status == 0, terminal.seen
    assert seconds < 5
    assert b"Stopped; everything acknowledged is on the disk." in terminal.seen
    assert b"Error" not in terminal.seen


@pytest.mark.parametrize("key", [b"\x03", b"q"])
def test_the_dashboard_ends_everything(makefile: Path, key: bytes) -> None:
    terminal = Terminal(makefile, ["make", "run", "ARGS=--demo analytics --dash"])
    terminal.read_until(rb"Pages|pages")
    terminal.type(key)
    status, seconds = terminal.wait_for_end()
    assert status == 0, terminal.seen[-2000:]
    assert seconds < 5
    assert b"Stopped; everything acknowledged is on the disk." in terminal.seen
