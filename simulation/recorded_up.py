"""`ottla up` on a filesystem that records what is durable. For the crash tests alone.

    python -m simulation.recorded_up SIDE_DIRECTORY [--without STEP] up --data-dir DIRECTORY …

`--without` leaves out a step of `ottla.storage.safety`, to see that this is noticed.
"""

from __future__ import annotations

import os
import sys

import ottla.server.core
from ottla.cli.main import main
from ottla.seams.real import RealFileSystem
from ottla.storage import safety
from simulation.recording import RecordingFileSystem


def run(side: str, arguments: list[str]) -> int:
    if arguments[0] == "--without":
        setattr(safety, arguments[1], lambda *_: None)
        del arguments[:2]
    root = os.path.abspath(arguments[arguments.index("--data-dir") + 1])

    def recording() -> RecordingFileSystem:
        return RecordingFileSystem(RealFileSystem(), root, side)

    # The broker has no switch for this, and needs none.
    setattr(ottla.server.core, "RealFileSystem", recording)  # noqa: B010
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
