"""A real `ottla up` that a trial starts, watches and kills."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path


class BrokerProcess:
    """One data directory, served on one port."""

    def __init__(self, directory: Path, settings: Sequence[str] = ()) -> None:
        self.data = directory / "data"
        self._state = directory / "state"
        self._settings = settings
        self._log = (directory / "broker.log").open("ab")
        with socket.socket() as one, socket.socket() as other:
            for free in (one, other):
                free.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
            self.metrics_port = other.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Ready when this returns: the seconds it took."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "ottla.cli.main", "up", "--bare"]
        command += ["--data-dir", str(self.data), "--port", str(self.port)]
        command += ["--set", f"ottla.metrics.port={self.metrics_port}"]
        for setting in self._settings:
            command += ["--set", setting]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "OTTLA_STATE_DIR": str(self._state), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        said = b""
        for line in self._process.stdout:
            said += line
            if b"is ready" in line:
                return time.perf_counter() - began
        raise SystemExit(f"the broker did not start: {said.decode()[-2_000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        self._log.close()

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def metric(self, name: str) -> int:
        address = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=60) as page:
            found = re.search(rf"^{name} (\d+)$", page.read().decode(), re.MULTILINE)
        assert found is not None, name
        return int(found[1])


def drop_caches(directory: Path) -> str:
    """The page cache holds nothing of these files, as far as we may; says how."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
        return "caches dropped"
    except OSError:
        pass
    for path in directory.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
    return "files let go from the cache"
