"""The programs of the lab `story`: processes with an address, and what they say they did.

Each is started as a person would start it, and stopped with Ctrl-C. When the
address changes it is started again with the new one, and nothing else differs.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from ottla.engine.parent import end_with_parent
from ottla.labs.bench import LabError

STOP_LIMIT_S: Final = 60.0
HTTP_LIMIT_S: Final = 10.0
PAUSE_S: Final = 0.1


class Program:
    """`ottla WORDS…` against whatever Kafka it is started for; its output is kept."""

    def __init__(self, name: str, words: Sequence[str], directory: Path) -> None:
        self.name = name
        self.words = list(words)
        self.log = directory / f"{name}.log"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self, bootstrap_servers: str) -> None:
        """Started, and not waited for."""
        address = ("--bootstrap-servers", bootstrap_servers)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ottla.cli.main", *self.words, *address],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                preexec_fn=end_with_parent(),  # noqa: PLW1509 (it takes no lock)
            )

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def stop(self) -> int:
        """What is in hand is finished; the exit status. Errors: LabError when it hangs."""
        if self._process is None:
            return 0
        self.ask_to_stop()
        try:
            return self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LabError(
                f"{self.name} did not stop; its output is {self.said[-300:]!r}"
            ) from None

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def total(self, pattern: str) -> int:
        """The sum of a number that it says each time it ends."""
        return sum(int(found.replace(",", "")) for found in re.findall(pattern, self.said))


class Driver:
    """Does something again and again over HTTP, as a client of the programs would.

    `act` gets a number and says whether it was acknowledged; a failure is
    tried again under the next number.
    """

    def __init__(self, name: str, act: Callable[[int], bool], interval_s: float) -> None:
        self.name = name
        self.acknowledged: set[int] = set()
        self._act = act
        self._interval_s = interval_s
        self._number = 0
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._is_over.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._number += 1
            try:
                if self._act(self._number):
                    self.acknowledged.add(self._number)
            except (OSError, ValueError):
                self._is_over.wait(PAUSE_S)
            self._is_over.wait(self._interval_s)


def call(url: str, body: Any = None, content_type: str = "application/json") -> Any:
    """The JSON (or text) answer. Errors: OSError, ValueError."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": content_type} if data else {}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 (our own)
    with urllib.request.urlopen(request, timeout=HTTP_LIMIT_S) as answer:  # noqa: S310 (same)
        text = answer.read().decode()
    return json.loads(text) if text[:1] in ("{", "[") else text


def answers(url: str) -> bool:
    try:
        call(url)
    except (OSError, ValueError):
        return False
    return True


def start_worker(url: str) -> None:
    """Ask one of Instigator's services to start, as soon as it listens. Errors: LabError."""
    deadline = time.monotonic() + STOP_LIMIT_S
    while not answers(url):
        if time.monotonic() > deadline:
            raise LabError(f"{url} does not answer")
        time.sleep(PAUSE_S)
