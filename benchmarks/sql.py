"""`python -m benchmarks.sql`: a million JSON records of 200 bytes, aggregated by `ottla sql`.

A broker of its own, the verb as a process of its own, start-up included.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from typing import Final

from confluent_kafka import Producer

import ottla

RECORDS: Final = 1_000_000
SIZE: Final = 200
TOPIC: Final = "events"
ROUNDS: Final = 3
COUNTRIES: Final = ("DE", "ES", "FR", "IT", "PL")
QUERY: Final = f"SELECT country, count(*), sum(amount) FROM {TOPIC} GROUP BY country"


def main() -> None:
    with ottla.Broker(config={"num.partitions": "3"}) as broker:
        _fill(broker.bootstrap_servers)
        taken = [_ask(broker.bootstrap_servers) for _ in range(ROUNDS)]
    for seconds, cpu in taken:
        print(f"{seconds:.2f} s, {cpu:.2f} s of processor time")
    print(f"median {statistics.median(seconds for seconds, _ in taken):.2f} s; asked: 3 s")


def _fill(servers: str) -> None:
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 50, "queue.buffering.max.messages": 2_000_000}
    )
    choose = random.Random(7)
    for number in range(RECORDS):
        event = {
            "id": number,
            "country": choose.choice(COUNTRIES),
            "amount": round(choose.random() * 1000, 2),
            "user": f"user-{choose.randrange(10_000)}",
        }
        text = json.dumps(event)
        padding = "x" * (SIZE - len(text) - len(', "text": ""'))
        producer.produce(TOPIC, f'{text[:-1]}, "text": "{padding}"}}', str(number % 1000))
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()


def _ask(servers: str) -> tuple[float, float]:
    """Seconds on the clock and of the processor; the broker's are not among the latter."""
    words = [sys.executable, "-m", "ottla.cli.main", "sql", "-b", servers, "-o", "jsonl", QUERY]
    before, began = os.times(), time.perf_counter()
    answer = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    seconds, after = time.perf_counter() - began, os.times()
    counted = sum(json.loads(line)["count_star()"] for line in answer.splitlines())
    assert counted == RECORDS, answer
    cpu = after.children_user + after.children_system
    return seconds, cpu - before.children_user - before.children_system


if __name__ == "__main__":
    main()
