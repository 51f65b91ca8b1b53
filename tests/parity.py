"""`make parity`: the applications' tests on Apache Kafka, one node and three.

The same tests as in `make test`, with OTTLA_TEST_BOOTSTRAP_SERVERS set. What is different there
is registered in docs/compatibility.toml.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from tests.conftest import ORACLE_PROPERTIES

from ottla.engine.apache import ApacheKafka
from ottla.engine.distribution import find
from ottla.engine.errors import MissingJavaError, MissingKafkaError

#: The console's are a person's in a browser; without Chromium they say that they did not run.
#: They have a process of their own: in it Playwright keeps an event loop running.
TESTS = ("tests/apps", "tests/browser")


def main(words: list[str]) -> int:
    """The number of clusters (of so many nodes) on which something failed."""
    at = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        prog="make parity", description=__doc__, epilog="Behind -- come pytest's own words."
    )
    parser.add_argument(
        "sizes", nargs="*", type=int, default=[1, 3], metavar="NODES", help="default: 1 3"
    )
    parser.add_argument(
        "--where-possible",
        action="store_true",
        help="say so and be content where there is no Java, or no way to Apache Kafka",
    )
    options = parser.parse_args(words[:at])
    try:
        find(print)
    except (MissingJavaError, MissingKafkaError) as error:
        print(f"Not run: {error}.")
        return 0 if options.where_possible else 1
    outcomes = []
    for size in options.sizes:
        start = time.monotonic()
        status = run(size, words[at + 1 :])
        outcomes.append((size, status, time.monotonic() - start))
    for size, status, seconds in outcomes:
        print(f"{size} node(s): {'as registered' if not status else 'failed'}, {seconds:.0f} s")
    return sum(1 for _, status, _ in outcomes if status)


def run(size: int, more: list[str]) -> int:
    """The tests on a cluster of so many nodes; how many of pytest's runs failed."""
    with ApacheKafka(brokers=size, properties=ORACLE_PROPERTIES) as kafka:
        environment = {**os.environ, "OTTLA_TEST_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        return sum(
            subprocess.run(
                [sys.executable, "-m", "pytest", tests, "-q", *more], env=environment, check=False
            ).returncode
            != 0
            for tests in TESTS
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
