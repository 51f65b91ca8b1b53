"""The broker is killed while the shop's events flow, and starts again: nothing is lost."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from ottla.engine.ports import free_ports

OTTLA = [sys.executable, "-m", "ottla.cli.main"]


@contextlib.contextmanager
def broker(directory: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """A broker process that is ready; killed, not stopped, when the block ends."""
    words = ["up", "--bare", "--data-dir", str(directory), "--port", str(port)]
    words += ["--set", "ottla.metrics.port=-1"]
    process = subprocess.Popen([*OTTLA, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while "Ctrl-C stops everything" not in process.stdout.readline():
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(log: Path, pattern: str, seconds: float = 90.0) -> re.Match[str]:
    deadline = time.monotonic() + seconds
    while not (found := re.search(pattern, log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return found


def test_events_survive_a_broker_that_is_killed(tmp_path: Path) -> None:
    (port,), log = free_ports(1), tmp_path / "demo.log"
    servers = f"127.0.0.1:{port}"
    words = ["demo", "analytics", "--speed", "10", "--status", "0.2"]
    with log.open("w") as sink, contextlib.ExitStack() as stack:
        with broker(tmp_path / "data", port):
            demo = subprocess.Popen([*OTTLA, *words, "--bootstrap-servers", servers], stdout=sink)
            stack.callback(demo.wait)
            stack.callback(demo.kill)
            wait_for(log, r"[1-9],\d{3} sent")
        wait_for(log, "waiting for the broker")
        with broker(tmp_path / "data", port):
            demo.send_signal(signal.SIGINT)
            tally = wait_for(
                log, r"([\d,]+) events sent in .*: ([\d,]+) acknowledged, (\d+) failed"
            )
            assert demo.wait(90) == 0
            sent, acknowledged, failed = (int(text.replace(",", "")) for text in tally.groups())
            assert (sent, failed) == (acknowledged, 0)
            consumer = Consumer({"bootstrap.servers": servers, "group.id": "count"})
            partitions = consumer.list_topics(timeout=60).topics["analytics"].partitions
            ends = [
                consumer.get_watermark_offsets(TopicPartition("analytics", number), timeout=60)
                for number in partitions
            ]
            consumer.close()
            assert sum(high - low for low, high in ends) == sent  # nor is anything doubled
