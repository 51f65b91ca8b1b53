"""`make parity`: the applications' tests on Apache Kafka, one node and three.

    python -m tests.parity [apache:1 apache:3 …] [-- pytest's own words]

The same tests as in `make test`, with OTTLA_TEST_BOOTSTRAP_SERVERS set. What is different there
is registered in docs/compatibility.toml.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ottla.engine import obtain

USUAL = ("apache:1", "apache:3")


def main(words: list[str]) -> int:
    """The number of engines on which something failed."""
    at = words.index("--") if "--" in words else len(words)
    engines, more = words[:at] or list(USUAL), words[at + 1 :]
    outcomes = []
    for engine in engines:
        start = time.monotonic()
        with obtain(engine, lambda text: print(text, flush=True)) as kafka:
            environment = {**os.environ, "OTTLA_TEST_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
            command = [sys.executable, "-m", "pytest", "tests/apps", "-q", *more]
            status = subprocess.run(command, env=environment, check=False).returncode
        outcomes.append((engine, status, time.monotonic() - start))
    for engine, status, seconds in outcomes:
        print(f"{engine}: {'all as registered' if not status else 'failed'}, {seconds:.0f} s")
    return sum(1 for _, status, _ in outcomes if status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
