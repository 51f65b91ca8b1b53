"""What is measured: our broker in a process of its own, and librdkafka's mock cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

_MOCK = """
import sys
from benchmarks.librdkafka import MockCluster
with MockCluster() as cluster:
    print(cluster.bootstrap_servers, flush=True)
    for line in sys.stdin:
        name, partitions = line.split()
        cluster.create_topic(name, int(partitions))
        print("created", flush=True)
"""

_OTTLA = """
import sys, ottla
with ottla.Broker(data_dir=sys.argv[1], durability=sys.argv[2]) as broker:
    print(broker.bootstrap_servers, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Target:
    """A running broker."""

    name: str
    bootstrap_servers: str
    pid: int
    ready_s: float
    #: How topics are made where AdminClient is not understood.
    create_topic: Callable[[str, int], None] | None = None

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class _Process:
    """A Python program that prints its broker's address and ends with its input."""

    def __init__(self, name: str, code: str, *words: str) -> None:
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # An installed Ottla is compiled; what forbids that here would be measured, too.
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        )
        address = self._answer()
        if not address:
            raise RuntimeError(f"{name} did not start")
        self.target = Target(name, address, self._process.pid, time.perf_counter() - began)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self._answer()

    def stop(self) -> None:
        self._process.communicate("", timeout=20)


@contextmanager
def ottla_broker(durability: str, directory: Path) -> Iterator[Target]:
    """Our broker, its data below `directory`."""
    with tempfile.TemporaryDirectory(dir=directory) as data:
        _Process("first start", _OTTLA, f"{data}/d", durability).stop()
        process = _Process(f"ottla, {durability}", _OTTLA, f"{data}/d", durability)
        try:
            yield process.target
        finally:
            process.stop()


@contextmanager
def mock_cluster() -> Iterator[Target]:
    """librdkafka's mock: C, in memory, no checksum, no disk: an upper bound, not an equal."""
    process = _Process("librdkafka mock", _MOCK)
    create = lambda name, partitions: process.tell(f"{name} {partitions}")  # noqa: E731
    try:
        yield replace(process.target, create_topic=create)
    finally:
        process.stop()
