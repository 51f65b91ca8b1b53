"""From produce to consume at a steady rate, each message with its time in it.

The producer is a process of its own, so that neither waits for the other's interpreter:

    python -m benchmarks.latency ADDRESS TOPIC RATE SECONDS
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.processes import usage
from benchmarks.systems import System

Figures = dict[str, float]
TICK_S: Final = 0.001
WARM_UP_S: Final = 0.5
SIZE: Final = 100
PATIENCE_S: Final = 10.0
_TIME: Final = struct.Struct(">q")
_CLIENT: Final = {"linger.ms": 0, "acks": "all"}


def produce_to_consume(system: System, *, rate: int, seconds: float) -> Figures:
    """Microseconds from before `produce` until `poll` has returned the message."""
    topic = system.create_topic(1)
    consumer = Consumer(
        {
            "bootstrap.servers": system.bootstrap_servers,
            "log_level": 0,
            "group.id": topic,
            "enable.auto.commit": "false",
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        consumer.poll(0.2)
        os.sync()  # what the rows before have left in the page cache is nobody's wait
        command = [sys.executable, "-m", "benchmarks.latency", system.bootstrap_servers, topic]
        with subprocess.Popen([*command, str(rate), str(seconds + WARM_UP_S)]) as producer:
            count = int(rate * (seconds + WARM_UP_S))
            skipped = int(rate * WARM_UP_S)
            times = []
            for number in range(count):
                message = consumer.poll(PATIENCE_S)
                if message is None or message.error() is not None:
                    raise TimeoutError(f"message {number} of {count} did not come")
                if number == skipped:
                    before = usage(system.pid)
                if number >= skipped:
                    sent = _TIME.unpack_from(message.value())[0]
                    times.append(time.monotonic_ns() - sent)
            spent = usage(system.pid).since(before)
            producer.wait(PATIENCE_S)
    finally:
        consumer.close()
        system.delete_topic(topic)
    times.sort()
    return {
        "p50_us": times[len(times) // 2] / 1e3,
        "p99_us": times[int(len(times) * 0.99)] / 1e3,
        "p999_us": times[int(len(times) * 0.999)] / 1e3,
        "core": spent.cpu_s / spent.wall_s,
    }


def produce_steadily(address: str, topic: str, rate: int, seconds: float) -> None:
    """So many messages a second, a millisecond's worth at a time."""
    producer = Producer({"bootstrap.servers": address, **_CLIENT})
    padding = b"x" * (SIZE - _TIME.size)
    began = time.monotonic()
    sent = 0
    while sent < int(rate * seconds):
        wanted = min(int((time.monotonic() - began) * rate) + 1, int(rate * seconds))
        while sent < wanted:
            producer.produce(topic, _TIME.pack(time.monotonic_ns()) + padding)
            sent += 1
        producer.poll(0)
        time.sleep(TICK_S)
    producer.flush(PATIENCE_S)


if __name__ == "__main__":
    produce_steadily(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
