"""What the operating system knows of a broker's process."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CPU_CLOCK_OF_PROCESS: Final = 2


@dataclass(frozen=True)
class Usage:
    """Seconds of a clock, and of all processors together, since some beginning."""

    wall_s: float
    cpu_s: float

    def since(self, earlier: Usage) -> Usage:
        return Usage(self.wall_s - earlier.wall_s, self.cpu_s - earlier.cpu_s)


def cpu_s(pid: int) -> float:
    """Processor time a process has used so far, all threads, those that ended included."""
    # The clock every Linux process has (clock_getcpuclockid(3)): /proc counts in 10 ms steps.
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK_OF_PROCESS)


def usage(pid: int) -> Usage:
    return Usage(time.perf_counter(), cpu_s(pid))


def _status_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"no {field} of process {pid}")


def resident_mb(pid: int) -> float:
    return _status_mb(pid, "VmRSS:")


def peak_mb(pid: int) -> float:
    return _status_mb(pid, "VmHWM:")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for_port(port: int, timeout_s: float) -> None:
    """Return when somebody listens. Errors: TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody listens on port {port}") from None
            time.sleep(0.002)
