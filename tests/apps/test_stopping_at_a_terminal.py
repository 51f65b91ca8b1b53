"""Ctrl-C at a terminal ends everything in order, and make sees no error."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ottla.cli.platform import PART_STOP_LIMIT_S, TRAFFIC_STOP_LIMIT_S
from ottla.testing.kafka import eventually

LIMIT_S = 90
#: A make that runs the tests hands its own words on to those that they start.
OF_THE_OUTER_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS")


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        self.seen = b""
        self._status: int | None = None
        self._is_open = True
        self._front_group = 0
        self._pid, self._descriptor = pty.fork()
        self._ready = select.poll()  # select() refuses descriptors from 1,024 on
        if self._pid == 0:
            try:
                os.chdir(directory)
                os.environ.update(TERM="xterm-256color", OTTLA_STATE_DIR=str(directory / "state"))
                for name in OF_THE_OUTER_MAKE:
                    os.environ.pop(name, None)
                os.execvp(command[0], command)
            finally:
                os._exit(127)  # or it would go on as a second run of the tests
        self._ready.register(self._descriptor, select.POLLIN)

    def read_until(self, pattern: bytes) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, self.seen[-2000:]
            assert self._read(), self.seen[-2000:]

    def _read(self) -> bool:
        """Whether there may be more to come."""
        if self._ready.poll(200):
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:
                return False
            self.seen += data
            return bool(data)
        return True

    def type(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def wait_for_end(self) -> int:
        """Read to the end; the exit status."""
        deadline = time.monotonic() + LIMIT_S
        while self._read():
            assert time.monotonic() < deadline, self.seen[-2000:]
        return self._wait()

    def close(self) -> int:
        """Close it before its command ends, and wait for that; the exit status."""
        self._hang_up()
        return self._wait()

    def _wait(self) -> int:
        eventually(self._has_ended, bool, timeout_s=LIMIT_S)
        assert self._status is not None
        return os.waitstatus_to_exitcode(self._status)

    def _has_ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def _hang_up(self) -> None:
        if self._is_open:
            with contextlib.suppress(OSError):  # nobody is there any more
                self._front_group = os.tcgetpgrp(self._descriptor)
            os.close(self._descriptor)
            self._is_open = False

    def leave(self) -> None:
        """Nothing of it is left, whatever has happened."""
        self._hang_up()
        if not self._has_ended():
            for group in {self._pid, self._front_group} - {0}:  # make's, and ours before it
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            _, self._status = os.waitpid(self._pid, 0)


@contextlib.contextmanager
def terminal(directory: Path, *command: str) -> Iterator[Terminal]:
    """The command in the foreground of a terminal; ended at the latest with the block."""
    opened = Terminal(directory, list(command))
    try:
        yield opened
    finally:
        opened.leave()


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    if shutil.which("make") is None:
        pytest.skip("[not-on-this-platform] no make")
    command = f"@{sys.executable} -m ottla.cli.main up --bare --port 0 --set ottla.metrics.port=0"
    (tmp_path / "Makefile").write_text(f"run:\n\t{command} $(ARGS)\n")
    return tmp_path


def test_ctrl_c_under_make_is_no_error(makefile: Path) -> None:
    with terminal(makefile, "make", "run") as shown:
        shown.read_until(rb"Ctrl-C stops everything")
        shown.type(b"\x03")
        assert shown.wait_for_end() == 0, shown.seen
        assert b"Stopped; everything acknowledged is on the disk." in shown.seen
        assert b"Error" not in shown.seen


@pytest.mark.parametrize("key", [b"\x03", b"q"])
def test_the_dashboard_ends_everything(makefile: Path, key: bytes) -> None:
    with terminal(makefile, "make", "run", "ARGS=--demo analytics --dash") as shown:
        shown.read_until(rb"Pages|pages")
        shown.type(key)
        assert shown.wait_for_end() == 0, shown.seen[-2000:]
        assert b"Stopped; everything acknowledged is on the disk." in shown.seen


@pytest.mark.parametrize(
    ("more", "ready"),
    [([], rb"Ctrl-C stops everything"), (["ARGS=--demo analytics --dash"], rb"Pages|pages")],
)
def test_a_terminal_that_closes_ends_everything_in_order(
    makefile: Path, more: list[str], ready: bytes
) -> None:
    with terminal(makefile, "make", "run", *more) as shown:
        shown.read_until(ready)
        (registration,) = (makefile / "state").rglob("*.json")
        shown.close()
        assert not registration.exists()
        assert (makefile / "ottla-data" / ".kafka_cleanshutdown").exists()


def test_the_limits_of_a_stop_stay_within_five_seconds() -> None:
    assert TRAFFIC_STOP_LIMIT_S + 2 * PART_STOP_LIMIT_S < 5
