"""Long trials with figures: `make endure`, or `make endure ARGS=overload`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from endurance import attack, overload, recovery

TRIALS: Final[dict[str, Callable[[Path], str]]] = {
    "overload": overload.run,
    "attack": attack.run,
    "recovery": partial(recovery.run, gigabytes=10, partitions=1_000),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make endure", description=__doc__)
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=", ".join(TRIALS))
    parser.add_argument("--directory", type=Path, help="where 12 GB have room (the system's own)")
    options = parser.parse_args()
    unknown = sorted(set(options.trials) - set(TRIALS))
    if unknown:
        parser.error(f"there is no trial {unknown[0]}; there are {', '.join(TRIALS)}")
    if sys.platform != "linux":
        print("make endure reads processor time and memory as Linux tells them; run it there.")
        return 1
    for name in options.trials or TRIALS:
        print(f"{name} ...", flush=True)
        with tempfile.TemporaryDirectory(dir=options.directory, prefix="ottla-endure-") as path:
            print(TRIALS[name](Path(path)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
