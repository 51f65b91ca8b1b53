"""The floor of the machine: what a plain loop without any broker does with socket and disk."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.processes import usage

Figures = dict[str, float]
CHUNK: Final = 1 << 20
SMALL_APPEND: Final = 100
FSYNC_S: Final = 0.5
_SINK: Final = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
client, _ = server.accept()
memory = bytearray(1 << 20)
while client.recv_into(memory):
    pass
client.sendall(b"x")
sys.stdin.read()
"""


def measure(directory: Path, total: int) -> Figures:
    """All floors, once."""
    return {**tcp(total), **append(directory, total), **fsyncs(directory)}


def tcp(total: int) -> Figures:
    """A blocking loop that receives into the same megabyte and looks at nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", _SINK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sink:
        assert sink.stdout is not None
        port = int(sink.stdout.readline())
        chunk = bytes(CHUNK)
        with socket.create_connection(("127.0.0.1", port)) as client:
            before = usage(sink.pid)
            for _ in range(total // CHUNK):
                client.sendall(chunk)
            client.shutdown(socket.SHUT_WR)
            client.recv(1)
            spent = usage(sink.pid).since(before)
        sink.communicate("")
    megabytes = total // CHUNK * CHUNK / 1e6
    return {"tcp_mb_s": megabytes / spent.wall_s, "tcp_cpu_ms_mb": spent.cpu_s * 1e3 / megabytes}


def append(directory: Path, total: int) -> Figures:
    """Writing a file by the megabyte into the page cache."""
    chunk = bytes(CHUNK)
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        began = time.perf_counter()
        for _ in range(total // CHUNK):
            os.write(file.fileno(), chunk)
        seconds = time.perf_counter() - began
    return {"append_mb_s": total // CHUNK * CHUNK / 1e6 / seconds}


def fsyncs(directory: Path) -> Figures:
    """Appending and flushing, a megabyte or a small record at a time."""
    large = _append_and_flush(directory, bytes(CHUNK))
    small = _append_and_flush(directory, bytes(SMALL_APPEND))
    return {
        "fsync_mb_s": CHUNK / 1e6 / statistics.mean(large),
        "fsync_us_p50": statistics.median(small) * 1e6,
        "fsync_us_p99": sorted(small)[int(len(small) * 0.99)] * 1e6,
    }


def _append_and_flush(directory: Path, chunk: bytes) -> list[float]:
    """Seconds of each append with its flush."""
    samples = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        end = time.perf_counter() + FSYNC_S
        while (began := time.perf_counter()) < end:
            os.write(file.fileno(), chunk)
            os.fdatasync(file.fileno())
            samples.append(time.perf_counter() - began)
    return samples
