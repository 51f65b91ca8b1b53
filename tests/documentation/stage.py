"""Where a page's examples run: a Kafka of its own, a directory of its own, a shell.

The pages name the usual ports. Here they are others, so that pages can be
tried at the same time, and beside whatever else runs on the machine.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.apps.gateway_process import any_ports, running_gateway
from tests.documentation.blocks import Block

import ottla

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
LIMIT_S: Final = 300.0
#: Doors of the gateway by the port that pages name.
DOORS: Final = {
    "localhost:8082": "REST Proxy",
    "localhost:8000": "Burrow",
    "localhost:9308": "Metrics",
}
#: Programs with doors of their own: the flag for each port that their pages name.
PROGRAMS: Final = {
    "ottla demo fraud veritas": {"--port": 5050},
    "ottla demo instigator": {"--producer-port": 5000, "--consumer-port": 5001},
    "ottla demo services": {"--producer-port": 7000, "--consumer-port": 7001},
    "ottla console": {"--port": 9021},
}
#: How pages name a second Kafka, one that is there already.
OTHERS: Final = ("--to localhost:19092", "--to kafka.example.org:9092")
#: Below the ports that systems hand out, and apart for each process of the tests.
FIRST_PORT: Final = 20_000 + os.getpid() % 1_000 * 10
PYTEST_INI: Final = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""
#: `make` of the checkout is not made from within its own tests: it is asked whether it would.
PRELUDE: Final = f"""
set -eo pipefail
make() {{ command make -n --no-print-directory -C {shlex.quote(str(ROOT))} "$@" >/dev/null; }}
"""


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


class Stage(contextlib.ExitStack):
    """One page's Kafka, doors and directory."""

    def __init__(self, directory: Path, text: str) -> None:
        super().__init__()
        self.directory = directory
        self.addresses: dict[str, str] = {}
        config = {"ottla.metrics.port": "0"}
        broker = self.enter_context(ottla.Broker(config=config))
        self.addresses["localhost:9092"] = broker.bootstrap_servers
        self.addresses["localhost:9644"] = f"127.0.0.1:{broker.metrics_port}"
        self.addresses["kafka.example.com:9092"] = broker.bootstrap_servers
        if "ottla chaos --to localhost:9093" in text:  # a second listener of the same broker
            self.addresses |= {
                "localhost:9093": broker.bootstrap_servers,
                "--port 19092": "--port 0",
            }
        for name in OTHERS:
            if name in text:
                other = self.enter_context(ottla.Broker())
                self.addresses[name] = f"--to {other.bootstrap_servers}"
        if any(door in text for door in DOORS):
            doors = self.enter_context(running_gateway(any_ports(broker.bootstrap_servers)))
            for usual, name in DOORS.items():
                self.addresses[usual] = re.sub(r"https?://|/metrics$", "", doors[name])
        numbers = itertools.count(FIRST_PORT)
        for program, flags in PROGRAMS.items():
            if program in text:
                self.addresses[program] = self._with_ports(program, flags, numbers)
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "KAFKA": broker.bootstrap_servers,
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "OTTLA_CONTEXTS": str(directory / "contexts"),
            "OTTLA_STATE_DIR": str(directory / "state"),
            # What a page starts itself takes free ports instead of the usual ones.
            "KAFKA_LISTENERS": "PLAINTEXT://localhost:0",
            "KAFKA_OTTLA_METRICS_PORT": "0",
            "COLUMNS": "80",
        }
        self.callback(self._end_what_stayed)

    def _with_ports(self, program: str, flags: Mapping[str, int], numbers: Iterator[int]) -> str:
        """The program's command line with ports that are free."""
        words = [program]
        for flag, usual in flags.items():
            port = next(number for number in numbers if is_free(number))
            words += [flag, str(port)]
            for host in ("localhost", "127.0.0.1"):
                self.addresses[f"{host}:{usual}"] = f"127.0.0.1:{port}"
        return " ".join(words)

    def _end_what_stayed(self) -> None:
        """A page that failed half-way may have left a broker in the background."""
        words = [sys.executable, "-m", "ottla.cli.main", "down", "--all"]
        subprocess.run(words, env=self.environment, capture_output=True, check=False)

    def here(self, text: str) -> str:
        """The text with the addresses of this stage."""
        for usual, actual in self.addresses.items():
            text = text.replace(usual, actual)
        return text

    def run(self, block: Block) -> str:
        """Run a shell block to its end; what it printed. Errors: `AssertionError`."""
        script = f"{PRELUDE}{self.here(block.before)}\n{self.here(block.text)}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        has_failed = done.returncode != 0
        said = f"{block.where} ended with {done.returncode}:\n{block.text}\n{done.stdout}"
        assert has_failed is block.has("fails"), said
        return done.stdout

    def stay(self, block: Block) -> None:
        """Each line of the block starts, says something, and ends well at Ctrl-C."""
        if block.before:
            self.run(Block(block.page, block.line, "sh", block.before))
        for line in block.text.splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                self._stay(block, self.here(line))

    def _stay(self, block: Block, line: str) -> None:
        log = self.directory / f"output-{block.line}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", line if ";" in line or "&" in line else f"exec env {line}"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + LIMIT_S
        try:
            while not log.read_bytes():
                assert process.poll() is None, f"{block.where}: {line} ended by itself"
                assert time.monotonic() < deadline, f"{block.where}: {line} says nothing"
                time.sleep(0.05)
            assert process.poll() is None, f"{block.where}: {line}: {log.read_text()}"
            os.killpg(process.pid, signal.SIGINT)
            status = process.wait(LIMIT_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert status in (0, 130), f"{block.where}: {line}: {status}: {log.read_text()}"

    def python(self, block: Block) -> str:
        """Run a Python block: tests by pytest, anything else as a program."""
        text = f"{self.here(block.before)}\n{self.here(block.text)}"
        is_test = re.search(r"^(?:async )?def test_", block.text, re.MULTILINE)
        path = self.directory / f"test_line_{block.line}.py"
        path.write_text(text)
        options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        (self.directory / "pytest.ini").write_text(PYTEST_INI)
        done = subprocess.run(
            [sys.executable, *(options if is_test else []), str(path)],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        has_failed = done.returncode != 0
        assert has_failed is block.has("fails"), f"{block.where}:\n{done.stdout}"
        return done.stdout
