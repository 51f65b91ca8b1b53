"""`make parity`: the applications' tests on Apache Kafka, one node and three.

    python -m tests.parity [1 3 …] [-- pytest's own words]

The same tests as in `make test`, with OTTLA_TEST_BOOTSTRAP_SERVERS set. What is different there
is registered in docs/compatibility.toml.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.conftest import ORACLE_PROPERTIES

from ottla.engine.apache import ApacheKafka

USUAL = ("1", "3")
#: The console's are a person's in a browser; without Chromium they say that they did not run.
TESTS = ("tests/apps", "tests/browser")


def main(words: list[str]) -> int:
    """The number of clusters (of so many nodes) on which something failed."""
    at = words.index("--") if "--" in words else len(words)
    sizes, more = words[:at] or list(USUAL), words[at + 1 :]
    outcomes = []
    for size in sizes:
        start = time.monotonic()
        with ApacheKafka(brokers=int(size), properties=ORACLE_PROPERTIES) as kafka:
            environment = {**os.environ, "OTTLA_TEST_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
            command = [sys.executable, "-m", "pytest", *TESTS, "-q", *more]
            status = subprocess.run(command, env=environment, check=False).returncode
        outcomes.append((size, status, time.monotonic() - start))
    for size, status, seconds in outcomes:
        print(f"{size} node(s): {'as registered' if not status else 'failed'}, {seconds:.0f} s")
    return sum(1 for _, status, _ in outcomes if status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
