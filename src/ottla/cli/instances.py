"""What is running on this machine, as far as this user started it with `ottla up`.

Shape: one JSON file per instance in the user's state directory, written when
the instance is ready and removed when it stops. A file whose process is gone
(killed, power cut) is dropped by the next reader.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

STOP_POLL_S: Final = 0.05


@dataclass
class Part:
    """A process of the platform beside the broker."""

    name: str
    pid: int
    #: Pairs of name and address.
    doors: list[list[str]] = field(default_factory=list)


@dataclass
class Instance:
    """One running platform; `data_directory` names the cluster where the data is not ours."""

    name: str
    pid: int
    started_at: str
    data_directory: str
    bootstrap_servers: str
    parts: list[Part] = field(default_factory=list)
    #: Pairs of name and address where the engine itself answers, too.
    doors: list[list[str]] = field(default_factory=list)
    engine: str = "embedded"
    #: How long an orderly stop may take.
    stop_limit_s: float = 15.0
    #: Tells this process from a later one with the same number.
    process_start: str = ""


def state_directory() -> Path:
    """Where instances are listed; OTTLA_STATE_DIR moves it."""
    chosen = os.environ.get("OTTLA_STATE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "ottla" / "instances"


def log_path(name: str, pid: int) -> Path:
    """Where the output of a process without a terminal goes."""
    return state_directory().parent / "logs" / f"{pid}-{name}.log"


def register(instance: Instance) -> Path:
    """List the instance; returns the file to remove at its end."""
    instance.process_start = _process_start(instance.pid)
    directory = state_directory()
    directory.mkdir(parents=True, exist_ok=True)
    digest = sha256(instance.data_directory.encode()).hexdigest()[:12]
    path = directory / f"{digest}.json"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(instance), indent=1), encoding="utf-8")
    temporary.replace(path)
    return path


def running() -> list[Instance]:
    """Instances whose process lives, by name; files of others are removed."""
    found = []
    for path in sorted(state_directory().glob("*.json")):
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            parts = [Part(**part) for part in values.pop("parts", [])]
            instance = Instance(**values, parts=parts)
        except (OSError, ValueError, TypeError):
            continue
        if is_alive(instance):
            found.append(instance)
        else:
            path.unlink(missing_ok=True)
    return sorted(found, key=lambda instance: instance.name)


def find_by_directory(directory: Path) -> Instance | None:
    """The instance that runs on this data directory."""
    return find_by_place(str(directory.resolve()))


def find_by_place(place: str) -> Instance | None:
    """The instance that runs on this data directory, or on this cluster."""
    return next((i for i in running() if i.data_directory == place), None)


def is_alive(instance: Instance) -> bool:
    """Whether the very process that registered still runs."""
    try:
        os.kill(instance.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _process_start(instance.pid) == instance.process_start


def stop(instance: Instance, timeout_s: float) -> bool:
    """Ask the instance to stop and wait; False when it is still there after `timeout_s`."""
    try:
        os.kill(instance.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    return _wait(lambda: not is_alive(instance), timeout_s)


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(STOP_POLL_S)
    return True


def resident_mb(pid: int) -> int | None:
    """Memory a process holds, in MB; None when the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return _resident_mb_by_ps(pid)
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def _resident_mb_by_ps(pid: int) -> int | None:
    import subprocess

    try:
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        return int(shown) // 1000
    except (OSError, ValueError):
        return None


def _process_start(pid: int) -> str:
    """Clock ticks since boot at which the process started, where /proc tells."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = line.rpartition(")")[2].split()
    return "gone" if state == "Z" else fields[18]


def process_age_s() -> float | None:
    """How long ago this process started, where the system tells."""
    start = _process_start(os.getpid())
    if not start.isdigit():
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(start) / os.sysconf("SC_CLK_TCK")
