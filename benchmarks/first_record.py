"""How long a test suite waits: from nothing to the first record read by a group.

    .venv/bin/python -m benchmarks.first_record            (real Kafka needs Java 17 and Maven)
    .venv/bin/python -m benchmarks.first_record --rounds 1 embedded mock

One fresh process for each run: starts a Kafka as a test would get it, creates a topic,
produces one record, reads it in a new group, commits. Processor time is that of
everything the run has started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

KINDS: Final = {
    "embedded": "Ottla, the `kafka` fixture",
    "mock": "librdkafka's mock cluster",
    "apache": "Apache Kafka 4.3.1, one node",
}


@contextlib.contextmanager
def started(kind: str) -> Iterator[str]:
    """A Kafka of this kind, as a test would get it: its address."""
    if kind == "embedded":
        from ottla.testing import KafkaForTests

        with KafkaForTests.start() as kafka:
            yield kafka.bootstrap_servers
    elif kind == "mock":
        from benchmarks.librdkafka import MockCluster

        with MockCluster() as mock:
            mock.create_topic("first", 1)
            yield mock.bootstrap_servers
    else:
        from ottla.engine.apache import ApacheKafka

        with ApacheKafka() as node:
            yield node.bootstrap_servers


def once(kind: str) -> dict[str, float]:
    """Seconds until it is ready, and until the first record was read and committed."""
    began = time.perf_counter()
    from ottla.testing import KafkaForTests

    with started(kind) as address:
        ready = time.perf_counter() - began
        kafka = KafkaForTests(address)
        # The mock has no CreateTopics; it was given the topic.
        topic = "first" if kind == "mock" else kafka.new_topic()
        kafka.produce(topic, "1")
        consumer = kafka.consumer(topic, enable_auto_commit=False)
        kafka.consume_exactly(consumer, 1, quiet_s=0)
        consumer.commit(asynchronous=False)
        read = time.perf_counter() - began
        consumer.close()
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in spent)
    return {"ready_s": ready, "read_s": read, "cpu_s": cpu}


def main() -> int:
    if sys.argv[1:2] == ["--once"]:
        print(json.dumps(once(sys.argv[2])))
        return 0
    parser = argparse.ArgumentParser(description="How long a test suite waits for its Kafka.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: %(default)s")
    args = parser.parse_args()
    print("| | ready, s | first record read and committed, s | processor time, s |")
    print("|---|---|---|---|")
    for kind in args.kinds or KINDS:
        title = KINDS[kind]
        rows = []
        for _ in range(args.rounds):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.first_record", "--once", kind],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"{title}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                break
            rows.append(json.loads(done.stdout))
        else:
            medians = [f"{statistics.median(r[k] for r in rows):.2f}" for k in rows[0]]
            print(f"| {title} | {' | '.join(medians)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
