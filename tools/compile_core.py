"""Compile the broker's hot modules with mypyc, beside the sources, to measure what that gives.

    python tools/compile_core.py
    PYTHONPATH=build/compiled make bench ARGS="--rows requests --no-apache"

The sources stay as they are: mypyc takes what mypy --strict has checked. Needs a
C compiler and setuptools. docs/decisions/0003 tells why this is not what is shipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "build" / "compiled"

#: What a produce request of one small record runs through, below the server.
MODULES = (
    "wire/frames.py", "batch/record_batch.py",
    "storage/validator.py", "storage/segment.py", "storage/partition_log.py",
    "storage/log_segments.py", "storage/open_files.py", "storage/unflushed.py",
    "storage/offset_index.py", "storage/time_index.py", "storage/producer_state.py",
    "storage/leader_epochs.py",
    "broker/partitions.py", "broker/connection.py", "broker/flush_rounds.py",
    "broker/metrics.py", "broker/budget.py", "broker/request.py",
    "handlers/dispatch.py", "handlers/lone_produce.py",
)  # fmt: skip

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--ignore-missing-imports", "--follow-imports=silent"]
setup(name="compiled", packages=[], ext_modules=mypycify(options + {modules!r}, opt_level="3"))
"""


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "ottla", TARGET / "ottla")
    modules = [f"ottla/{module}" for module in MODULES]
    (TARGET / "setup.py").write_text(SETUP.format(modules=modules))
    print(f"compiling {len(modules)} modules into {TARGET} (about a minute)", flush=True)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=TARGET, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit((done.stdout + done.stderr)[-2000:])
    print("measure it:  PYTHONPATH=build/compiled make bench ARGS='--rows requests --no-apache'")


if __name__ == "__main__":
    main()
