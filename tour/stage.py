"""Where a row is shown: types lines into a shell, shows what comes, keeps what was seen."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

SHOWN_LINES = 8  # of a command's output
#: Far more than a line takes on a machine that has nothing else to do.
LINE_TIMEOUT_S = 240.0

# The platform's parts, by the names it prints, and where the write-ups expect them.
USUAL_DOORS = {"REST Proxy": 8082, "Burrow": 8000, "Metrics": 9308, "Console": 9021}


def free_port(wish: int = 0) -> int:
    """The wished port if nobody listens on it, else any free one."""
    for port in (wish, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise NotSeenError("this machine has no free port")


class NotSeenError(AssertionError):
    """What the row promises was not seen."""


class Running:
    """A program left running; its output grows meanwhile."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """The first match of `pattern` in the output. Errors: NotSeenError."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.output, re.MULTILINE)
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotSeenError(f"{pattern!r} did not come; last: {self.output[-300:]!r}")
            time.sleep(0.05)


class Stage:
    """One Kafka, the doors of the platform around it, and a shell."""

    def __init__(
        self,
        engine: str,
        bootstrap_servers: str,
        doors: Mapping[str, str],
        scratch: Path,
        say: Callable[[str], None],
        ready_s: float = 0.0,
    ) -> None:
        self.engine = engine  # "embedded", "apache" or "cluster"
        self.bootstrap_servers = bootstrap_servers
        self.doors = (
            doors  # name of a door -> http address, such as Burrow -> http://127.0.0.1:8000
        )
        self.scratch = scratch
        self.ready_s = ready_s  # how long the platform took to start
        self._say = say

    def beside(self, engine: str, bootstrap_servers: str) -> Stage:
        """The same shell before another Kafka."""
        return Stage(engine, bootstrap_servers, {}, self.scratch, self._say)

    def says(self, line: str) -> None:
        self._say(f"  {line}")

    def unique(self, name: str) -> str:
        """A topic or group that no other row uses."""
        return f"{name}-{uuid4().hex[:8]}"

    def door(self, name: str) -> str:
        """The address of a door. Errors: NotSeenError when the platform has none."""
        if name not in self.doors:
            raise NotSeenError(f"the platform has no {name} here")
        return self.doors[name]

    def types(
        self,
        line: str,
        *,
        shows: str | None = None,
        status: int | None = 0,
        lines: int = SHOWN_LINES,
    ) -> str:
        """Run a line in bash; its output, both streams together.

        Errors: NotSeenError unless it ends with `status` and its output has a match of `shows`.
        """
        line = self.here(line)
        self._say(f"$ {line}")
        try:
            done = subprocess.run(
                ["bash", "-c", line],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LINE_TIMEOUT_S,
                env=self.environment,
                cwd=self.scratch,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotSeenError(f"`{line}` did not end within {LINE_TIMEOUT_S:.0f} s") from None
        output = done.stdout.decode(errors="replace")
        self._show(output, lines)
        if status is not None and done.returncode != status:
            raise NotSeenError(f"`{line}` ended with status {done.returncode}: {output[-300:]}")
        if shows is not None and not re.search(shows, output, re.MULTILINE):
            raise NotSeenError(f"`{line}` did not show {shows!r}")
        return output

    def repeats(
        self, line: str, *, until: str | Callable[[str], bool], seconds: float = 30.0
    ) -> str:
        """Run a line again and again until its output matches; only the last is shown."""
        is_seen = until if callable(until) else re.compile(until).search
        deadline = time.monotonic() + seconds
        say, self._say = self._say, lambda _: None
        try:
            while not is_seen(output := self.types(line, status=None)):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)
        finally:
            self._say = say
        self._say(f"$ {self.here(line)}")
        self._show(output, SHOWN_LINES)
        self.sees(bool(is_seen(output)), f"`{line}` did not show what was expected")
        return output

    def waits_for_http(self, address: str, seconds: float = 20.0) -> None:
        """A service answers at `address` afterwards. Errors: NotSeenError."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(address, timeout=2):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise NotSeenError(f"nothing answers at {address}") from None
                time.sleep(0.1)

    @contextlib.contextmanager
    def leaves_running(self, line: str) -> Iterator[Running]:
        """Start a line, and end it with SIGINT, as Ctrl-C would, when the block ends."""
        line = self.here(line)
        self._say(f"$ {line} &")
        log = self.scratch / f"{uuid4().hex}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.scratch,
                start_new_session=True,
            )
        running = Running(process, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise NotSeenError(f"`{line}` did not end on SIGINT") from None
            finally:
                self._show(running.output, SHOWN_LINES)

    def sees(self, condition: bool, sentence: str) -> None:
        """Errors: NotSeenError with the sentence unless the condition holds."""
        if not condition:
            raise NotSeenError(sentence)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "PYTHONUNBUFFERED": "1",
        }

    def here(self, line: str) -> str:
        """The line with the write-ups' addresses replaced where ours are others."""
        addresses = {}
        if not self.bootstrap_servers.endswith(":9092"):
            addresses["localhost:9092"] = self.bootstrap_servers
        for name, port in USUAL_DOORS.items():
            if name in self.doors and not self.doors[name].endswith(f":{port}"):
                addresses[f"localhost:{port}"] = self.doors[name].removeprefix("http://")
        for usual, ours in addresses.items():
            line = line.replace(usual, ours)
        return line

    def _show(self, output: str, count: int) -> None:
        lines = output.rstrip("\n").splitlines()
        if len(lines) > count:
            kept = count // 2
            left_out = len(lines) - 2 * kept
            lines = [*lines[:kept], f"… {left_out} more lines …", *lines[-kept:]]
        for line in lines:
            self._say(f"  {line[:150]}")
