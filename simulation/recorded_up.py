"""`ottla up` on a filesystem that records what is durable. For the crash tests alone.

    python -m simulation.recorded_up SIDE_DIRECTORY [--without STEP] [--die-at FAILPOINT HIT]
        up --data-dir DIRECTORY …

`--without` leaves out a step of `ottla.storage.safety`, to see that this is noticed.
`--die-at` kills the process the HITth time it comes to a failpoint (`simulation.failpoints`).
"""

from __future__ import annotations

import os
import sys

import ottla.server.core
from ottla.cli.main import main
from ottla.seams.filesystem import FileSystem
from ottla.seams.real import RealFileSystem
from ottla.storage import metadata_journal, safety
from simulation.failpoints import FAILPOINTS, MortalFileSystem
from simulation.recording import RecordingFileSystem

#: Small, so that the journal is rewritten now and then.
JOURNAL_BYTES = 8_192


def run(side: str, arguments: list[str]) -> int:
    failpoint, hit = None, 0
    if arguments[0] == "--without":
        setattr(safety, arguments[1], lambda *_: None)
        del arguments[:2]
    if arguments[0] == "--die-at":
        failpoint, hit = FAILPOINTS[arguments[1]], int(arguments[2])
        del arguments[:3]
    root = os.path.abspath(arguments[arguments.index("--data-dir") + 1])

    def recording() -> FileSystem:
        recorded = RecordingFileSystem(RealFileSystem(), root, side)
        return recorded if failpoint is None else MortalFileSystem(recorded, failpoint, hit)

    # The broker has no switches for these, and needs none.
    setattr(ottla.server.core, "RealFileSystem", recording)  # noqa: B010
    setattr(metadata_journal, "_SMALL_BYTES", JOURNAL_BYTES)  # noqa: B010
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
