"""Runs a plan: rows, rounds, systems in turn; tells how far it is and how long it will take."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException

from ottla.client import ClientError

Figures = dict[str, float]
#: What a measurement may end with; anything else is a fault of the bench itself.
FAILURES: Final = (
    OSError,
    RuntimeError,
    ValueError,
    AssertionError,
    subprocess.SubprocessError,
    ClientError,
    KafkaException,
)


@dataclass(frozen=True)
class Row:
    """One thing to be measured of several systems.

    `measure` takes a system's key. `seconds` is what one measurement is
    expected to take: it only steers the time that is shown as left.
    """

    key: str
    title: str
    systems: Sequence[str]
    measure: Callable[[str], Figures]
    rounds: int
    seconds: float = 2.0
    figure: str = "mb_s"


@dataclass
class Progress:
    """How much of the expected time has gone, and what it came to in truth."""

    expected_s: float
    began: float = field(default_factory=time.monotonic)
    done_s: float = 0.0
    count: int = 0

    def line(self, total: int, text: str) -> str:
        spent = time.monotonic() - self.began
        pace = spent / self.done_s if self.done_s else 1.0
        left = max(0.0, (self.expected_s - self.done_s) * pace)
        return f"[{self.count:3}/{total}] {text:<62} {left / 60:4.1f} min left"


class Runner:
    """Keeps results in `output` as they come, so that an end in between costs little."""

    def __init__(self, output: Path, profile: str, notes: Sequence[str]) -> None:
        self.profile = profile
        self.path = output / f"{profile}.json"
        output.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, Any] = {
            "machine": machine(),
            "profile": profile,
            "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "notes": list(notes),
            "rows": {},
        }

    def run(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Measure everything. A measurement that fails is noted, and the next one begins."""
        jobs = [
            (row, number, key)
            for row in rows
            for number in range(row.rounds)
            for key in _turned(row.systems, number)
        ]
        progress = Progress(sum(row.seconds for row, _, _ in jobs))
        for row, number, key in jobs:
            found = self._measure(row, key)
            progress.count += 1
            progress.done_s += row.seconds
            said = f"{row.title}, {key}: {_short(row, found)}"
            print(progress.line(len(jobs), said), flush=True)
            entry = self.results["rows"].setdefault(
                row.key, {"title": row.title, "systems": {}, "failures": {}}
            )
            if isinstance(found, str):
                entry["failures"].setdefault(key, []).append(found)
            else:
                entry["systems"].setdefault(key, []).append(found)
            if number == row.rounds - 1:
                self.save()
        self.results["took_s"] = time.monotonic() - progress.began
        self.save()
        return self.results

    def _measure(self, row: Row, key: str) -> Figures | str:
        os.sync()  # what the last one left unwritten is not this one's to wait for
        try:
            return row.measure(key)
        except FAILURES as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"

    def save(self) -> None:
        self.path.write_text(json.dumps(self.results, indent=1) + "\n")


def _turned(systems: Sequence[str], number: int) -> list[str]:
    """The systems in another order each round, so that none is always first."""
    at = number % len(systems)
    return [*systems[at:], *systems[:at]]


def _short(row: Row, found: Figures | str) -> str:
    if isinstance(found, str):
        return f"failed ({found[:60]})"
    name = row.figure if row.figure in found else next(iter(found))
    return f"{found[name]:.4g} {name}"


def machine() -> dict[str, Any]:
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "system": platform.platform(),
        "processor": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "command": " ".join(sys.argv[1:]),
    }
