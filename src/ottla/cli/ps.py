"""`ottla ps`: what is running."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from ottla.cli import instances


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one row per process."""
    found = instances.running()
    if args.json:
        print(json.dumps([asdict(instance) for instance in found], indent=2))
        return 0
    if not found:
        print("Nothing is running. `ottla up` starts a broker here.")
        return 0
    rows = [("NAME", "ADDRESS", "STATE", "MEMORY", "PID", "DATA")]
    for instance in found:
        rows.append(
            (
                instance.name,
                instance.bootstrap_servers,
                f"up since {instance.started_at}",
                _memory(instance.pid),
                str(instance.pid),
                instance.data_directory,
            )
        )
        for part in instance.parts:
            state = "up" if _memory(part.pid) != "-" else "gone"
            rows.append(
                (f"  {part.name}", part.address, state, _memory(part.pid), str(part.pid), "")
            )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    return 0


def _memory(pid: int) -> str:
    size = instances.resident_mb(pid)
    return "-" if size is None else f"{size} MB"
