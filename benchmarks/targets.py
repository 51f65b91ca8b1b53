"""What is measured: our broker in a process of its own, and librdkafka's mock cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MOCK = """
import sys, confluent_kafka
producer = confluent_kafka.Producer({"test.mock.num.brokers": 1})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
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

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _process(name: str, code: str, *words: str) -> Iterator[Target]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"{name} did not start")
        yield Target(name, address, process.pid, time.perf_counter() - began)
    finally:
        process.stdin.close()
        process.wait(20)


@contextmanager
def ottla_broker(durability: str, directory: Path) -> Iterator[Target]:
    """Our broker, its data below `directory`."""
    with tempfile.TemporaryDirectory(dir=directory) as data:
        with _process(f"ottla, {durability}", _OTTLA, f"{data}/d", durability) as target:
            yield target


@contextmanager
def mock_cluster() -> Iterator[Target]:
    """librdkafka's mock: C, in memory, no checksum, no disk: an upper bound, not an equal."""
    with _process("librdkafka mock", _MOCK) as target:
        yield target
