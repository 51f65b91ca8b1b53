"""One Apache Kafka process: its directory, its properties, its life."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ottla.engine.distribution import Distribution
from ottla.engine.errors import EngineError

HOST: Final = "127.0.0.1"
STARTED: Final = "Kafka Server started"
POLL_S: Final = 0.05
LOG_CONFIGURATION: Final = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


class Node:
    """One node of a cluster; `port` is None for a controller alone.

    Shape of `directory`: `server.properties`, `log4j2.properties`,
    `server.log` (all starts, one after the other), `data/` (Kafka's `log.dirs`).
    """

    def __init__(
        self,
        node_id: int,
        directory: Path,
        *,
        port: int | None,
        controller_port: int | None,
        distribution: Distribution,
        java_options: Sequence[str],
    ) -> None:
        self.node_id = node_id
        self.directory = directory
        self.port = port
        self.controller_port = controller_port
        self.distribution = distribution
        self.java_options = tuple(java_options)
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.is_paused = False
        self._log_start = 0
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def is_broker(self) -> bool:
        return self.port is not None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def roles(self) -> str:
        roles = ("broker" if self.port else "", "controller" if self.controller_port else "")
        return ",".join(filter(None, roles))

    def write_properties(self, properties: Mapping[str, str]) -> Path:
        """Write `server.properties`; returns its path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "log4j2.properties").write_text(LOG_CONFIGURATION)
        path = self.directory / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        return path

    def format(self, cluster_id: str, initial_controllers: str | None) -> None:
        """Format the data directory, unless it is. Errors: `EngineError`."""
        if (self.data / "meta.properties").exists():
            return
        properties = str(self.directory / "server.properties")
        words = ["format", "-t", cluster_id, "-c", properties]
        if initial_controllers is None:
            words.append("--no-initial-controllers")
        else:
            words += ["--initial-controllers", initial_controllers]
        self.distribution.run("kafka.tools.StorageTool", *words)

    def start(self) -> None:
        """Start the process and return at once."""
        assert not self.is_running, "a node runs once"
        options = [
            *self.java_options,
            f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}",
        ]
        command = self.distribution.command("kafka.Kafka", options)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.directory / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who stop it in order
            )
        self.is_paused = False
        self._watch_over(self.process.pid)

    def _watch_over(self, pid: int) -> None:
        """See to it that the node goes when we go, however that happens.

        A shell waits for the end of a pipe that only we hold open.
        """
        self._dismiss_guard()
        self._guard = subprocess.Popen(
            ["sh", "-c", "cat; kill -CONT $0; kill $0", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """Leave the process to itself: it goes on when we are gone."""
        self._dismiss_guard()
        if self.process is not None:
            self.process.returncode = 0  # nobody here waits for its end any more
            self.process = None

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None

    def wait_until_started(self, deadline: float) -> None:
        """Wait for Kafka's own word; `deadline` is in `time.monotonic` seconds.

        Errors: `EngineError`, with the reason from its log.
        """
        while STARTED not in (text := self._log_text()):
            if not self.is_running:
                raise EngineError(f"Apache Kafka node {self.node_id} ended: {_reason(text)}")
            if time.monotonic() > deadline:
                raise EngineError(
                    f"Apache Kafka node {self.node_id} did not start in time, see {self.log}"
                )
            time.sleep(POLL_S)

    def _log_text(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def terminate(self) -> None:
        """Ask the process to shut down in order; returns at once."""
        self.resume()
        if self.process is not None and self.is_running:
            self.process.terminate()

    def wait_until_ended(self, timeout_s: float) -> bool:
        """Whether the process ended by itself; after `timeout_s` it is killed."""
        if self.process is None:
            return True
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._dismiss_guard()
        return True

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self.process is not None and self.is_running:
            self.process.kill()
            self.process.wait()
        self._dismiss_guard()
        self.is_paused = False

    def pause(self) -> None:
        """Stop the process from running, as a long garbage collection or a lost network would."""
        if self.process is not None and self.is_running:
            self.process.send_signal(signal.SIGSTOP)
            self.is_paused = True

    def resume(self) -> None:
        if self.process is not None and self.is_paused:
            self.process.send_signal(signal.SIGCONT)
            self.is_paused = False


def _reason(log_text: str) -> str:
    """The line of a failed start's log that says why."""
    lines = log_text.splitlines()
    for mark in ("Address already in use", "Exception: ", "ERROR", "Error"):
        for line in lines:
            if mark in line:
                return line.strip()
    return lines[-1] if lines else "it left no log"
