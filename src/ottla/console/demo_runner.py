"""Starts and stops the demos, each in a process of its own, for the cluster on the page.

A demo's standard input is a pipe whose other end the console holds, and the demo ends with it:
so no demo outlives its console, whatever becomes of that. What a secured cluster asks of its
clients reaches the demo in a file that only this user can read, gone when the demo has ended.
"""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ottla.client.properties_files import format_properties
from ottla.console.cluster import ClusterError

STOP_S = 5.0
LINES = 200
#: Settings of the console's own clients that are none of a demo's.
OWN = frozenset({"bootstrap.servers", "client.id", "log_level"})


@dataclass(frozen=True)
class Demo:
    """One of `ottla demo NAME`; `words` make it go on until it is stopped."""

    name: str
    title: str
    story: str
    words: tuple[str, ...] = ()
    #: A page that shows it live, and the topics it writes.
    page: str | None = None
    topics: tuple[str, ...] = ()
    #: What can be opened while it runs: name and address on this machine.
    doors: tuple[tuple[str, str], ...] = ()


DEMOS = (
    Demo(
        "analytics",
        "Shop analytics",
        "Users of a web shop come and go by a daily pattern; every view, click, cart, purchase and"
        " error is an event. One simulated hour takes five seconds.",
        page="/demos/analytics",
        topics=("analytics", "analytics-traffic"),
    ),
    Demo(
        "fraud",
        "Fraud detection",
        "Bank accounts are sent to a topic; a consumer asks the Veritas service about each and"
        " publishes AUTHORIZED or UNAUTHORIZED in a transaction.",
        ("--size", "1000000", "--rate", "5", "--quiet"),
        page="/demos/fraud",
        topics=("bankaccount", "bankaccount-authorized", "bankaccount-unauthorized"),
    ),
    Demo(
        "uuid",
        "UUID keys and a logging group",
        "A producer with random keys; a consumer group prints where each record came from.",
        topics=("topicgo1",),
    ),
    Demo(
        "services",
        "Two services",
        "One service registers users and issues tokens, the other follows it, with retries and"
        " dead letters. Nothing moves until somebody registers (POST /users at port 7000).",
        topics=("new-user-created", "issued-token"),
        doors=(
            ("what was handled", "http://localhost:7001/stats"),
            ("what happens", "http://localhost:7001/events"),
        ),
    ),
    Demo(
        "instigator",
        "Instigator",
        "Two small HTTP services (ports 5000 and 5001) that start and stop a producer and a"
        " consumer.",
        topics=("SampleOne",),
        doors=(
            ("start the producer", "http://localhost:5000/start_producer"),
            ("start the consumer", "http://localhost:5001/start_consumer"),
        ),
    ),
    Demo("hello", "Hello", "Makes a topic of two partitions, writes 25 messages, reads them."),
)


@dataclass
class Run:
    """A demo's process and the last of what it said."""

    process: subprocess.Popen[str]
    started: float
    lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=LINES))

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class DemoRunner:
    """At most one run of each demo on each cluster."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], Run] = {}
        self._lock = threading.Lock()

    def run_of(self, demo: str, servers: str) -> Run | None:
        return self._runs.get((demo, servers))

    def start(self, demo: Demo, client_config: Mapping[str, Any]) -> Run:
        """The demo runs on the cluster of these clients; nothing happens if it did already.

        Errors: `ClusterError` when its process cannot be started.
        """
        servers = str(client_config["bootstrap.servers"])
        with self._lock:
            run = self._runs.get((demo.name, servers))
            if run is not None and run.is_running:
                return run
            file = _settings_file({k: str(v) for k, v in client_config.items() if k not in OWN})
            words = ["--bootstrap-servers", servers, "--command-config", str(file)]
            words += ["--end-with-stdin", *demo.words]
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "ottla.cli.main", "demo", demo.name, *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    start_new_session=True,
                )
            except OSError as error:
                file.unlink(missing_ok=True)
                raise ClusterError(f"The demo cannot be started: {error.strerror}.") from None
            run = self._runs[demo.name, servers] = Run(process, time.monotonic())
            threading.Thread(target=_collect, args=(run, file), daemon=True).start()
            return run

    def stop(self, demo: Demo, servers: str) -> None:
        """The demo has ended, in order if it does so within a few seconds."""
        run = self._runs.get((demo.name, servers))
        if run is None or not run.is_running:
            return
        run.process.send_signal(signal.SIGINT)
        try:
            run.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            run.process.kill()
            run.process.wait()

    def close(self) -> None:
        """All are told to end; those that have not when the console ends are killed."""
        running = [run for run in self._runs.values() if run.is_running]
        for run in running:
            run.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_S
        for run in running:
            try:
                run.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                run.process.kill()


def _settings_file(settings: Mapping[str, str]) -> Path:
    """A properties file that only this user can read. Errors: `ClusterError`."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="ottla-demo-", suffix=".properties")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(format_properties(settings))
    except OSError as error:
        raise ClusterError(
            f"The demo's settings cannot be written to {tempfile.gettempdir()}: {error.strerror}."
        ) from None
    return Path(name)


def _collect(run: Run, file: Path) -> None:
    assert run.process.stdout is not None
    assert run.process.stdin is not None
    for line in run.process.stdout:
        run.lines.append(line.rstrip("\n"))
    run.process.stdout.close()
    run.process.wait()
    run.process.stdin.close()
    file.unlink(missing_ok=True)
