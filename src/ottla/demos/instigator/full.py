"""The write-up's quick start in one command: Kafka, console and Burrow around both services."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ottla.demos.kafka_clients import DemoError, Settings
from ottla.engine import EngineError, obtain
from ottla.engine.parent import end_with_parent

#: Where the write-up's Kafka Manager and Burrow listened.
CONSOLE_PORT: Final = 9000
BURROW_PORT: Final = 8000
STOP_LIMIT_S: Final = 10.0


@contextlib.contextmanager
def quick_start(
    settings: Settings,
    engine: str,
    ports: Mapping[str, int],
    say: Callable[[str], None],
) -> Iterator[dict[str, str]]:
    """Settings of a Kafka with the console and Burrow around it, for a `with` block.

    `engine` is what `ottla.engine.obtain` takes, `ports` are those of `console` and `burrow`.
    Errors: DemoError.
    """
    parts = {
        "gateway": f"--burrow-port {ports['burrow']} --rest-port off --metrics-port off"
        " --admin-ports off",
        "console": f"--port {ports['console']}",
    }
    with contextlib.ExitStack() as stack:
        try:
            kafka = stack.enter_context(obtain(engine, say))
        except EngineError as error:
            raise DemoError(str(error)) from None
        say(f"Kafka                  {kafka.bootstrap_servers} ({engine})")
        for name, words in parts.items():
            stack.enter_context(_part(name, words.split(), kafka.bootstrap_servers, say))
        yield {**settings, "bootstrap.servers": kafka.bootstrap_servers}


@contextlib.contextmanager
def _part(name: str, words: list[str], servers: str, say: Callable[[str], None]) -> Iterator[None]:
    """One of the platform's parts, ready: its address was said. Errors: DemoError."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ottla.cli.main", name, *words, "--bootstrap-servers", servers],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us, who stop it in order
        preexec_fn=end_with_parent(),  # noqa: PLW1509 (it takes no lock)
    )
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if "http" in line), "")
        if not line:
            raise DemoError(f"{name} did not start; see above, or choose another port")
        door, address = line.split()
        say(f"{door:<22} {address}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
