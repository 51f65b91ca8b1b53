"""The write-up's quick start in one command: Kafka, console and Burrow around both services."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ottla.client.properties_files import format_properties
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

    `engine` is what `ottla.engine.obtain` takes; an address is that of a Kafka which the
    settings let us into. `ports` are those of `console` and `burrow`. Errors: DemoError.
    """
    parts = {
        "gateway": f"--burrow-port {ports['burrow']} --rest-port off --metrics-port off"
        " --admin-ports off",
        "console": f"--port {ports['console']}",
    }
    with contextlib.ExitStack() as stack:
        if engine == "embedded" or engine.partition(":")[0] == "apache":
            try:
                servers = stack.enter_context(obtain(engine, say)).bootstrap_servers
            except EngineError as error:
                raise DemoError(str(error)) from None
            say(f"Kafka                  {servers} ({engine})")
            login: Mapping[str, str] = {}
        else:
            servers = engine
            say(f"Kafka                  {servers}")
            login = {k: v for k, v in settings.items() if k != "bootstrap.servers"}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ottla-demo-")))
        file = folder / "client.properties"  # nobody else may look into the folder
        file.write_text(format_properties(login), encoding="utf-8")
        for name, words in parts.items():
            own = [*words.split(), "--client-config", str(file)]
            stack.enter_context(_part(name, own, servers, say))
        yield {**login, "bootstrap.servers": servers}


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
