"""The platform the tour runs on: `ottla up`, or the same doors around another Kafka."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tour.stage import NotSeenError, free_port

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
USUAL_PORT = 9092

# "  Burrow   http://127.0.0.1:8000", as `ottla up` and `ottla gateway` print it.
_DOOR = re.compile(r"^ *([A-Za-z][\w -]*?)  +(\S+)$")


class Platform(NamedTuple):
    bootstrap_servers: str
    doors: dict[str, str]
    ready_s: float


@contextlib.contextmanager
def embedded_platform(scratch: Path, say: Callable[[str], None]) -> Iterator[Platform]:
    """`ottla up` in a directory of its own; on the usual port unless that is taken."""
    port = USUAL_PORT if free_port(USUAL_PORT) == USUAL_PORT else 0
    say(f"$ ottla up{'' if port else ' --port 0'}")
    words = ["up", "--data-dir", str(scratch / "data"), "--name", "tour", "--port", str(port)]
    with _ottla(words, scratch / "up.log", until="Ctrl-C stops everything") as (text, took):
        say("\n".join(f"  {line}" for line in text.splitlines()))
        doors = doors_in(text)
        yield Platform(doors.pop("broker"), doors, took)


@contextlib.contextmanager
def platform_around(
    bootstrap_servers: str, scratch: Path, say: Callable[[str], None]
) -> Iterator[Platform]:
    """The HTTP doors for a Kafka that is there already, on free ports."""
    words = ["gateway", "--bootstrap-servers", bootstrap_servers]
    for door in ("rest", "burrow", "metrics"):
        words += [f"--{door}-port", "0"]
    words += ["--admin-ports", "0"]
    say(f"$ ottla {' '.join(words)}")
    with _ottla(words, scratch / "gateway.log", until=r"^Admin commands.*\n") as (text, took):
        yield Platform(bootstrap_servers, doors_in(text), took)


def doors_in(text: str) -> dict[str, str]:
    """Names and addresses printed by `ottla up` and `ottla gateway`."""
    return {found[1]: found[2] for line in text.splitlines() if (found := _DOOR.match(line))}


@contextlib.contextmanager
def _ottla(words: list[str], log: Path, until: str) -> Iterator[tuple[str, float]]:
    """Run `ottla WORDS…` until the block ends; gives its output up to a match of `until`."""
    start = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "ottla.cli.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    try:
        while not re.search(until, text := log.read_text(), re.MULTILINE):
            if process.poll() is not None or time.monotonic() - start > START_LIMIT_S:
                raise NotSeenError(f"`ottla {words[0]}` did not get ready: {text[-500:]}")
            time.sleep(0.02)
        yield text, time.monotonic() - start
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
