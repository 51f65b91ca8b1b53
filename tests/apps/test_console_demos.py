"""Demos that the console starts: on a secured cluster, and gone when the console is."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.processes import running

from ottla.cli import demo as cli_demo
from ottla.console.demo_runner import DEMOS, Demo, DemoRunner, Run
from ottla.embedded import Broker

#: Writes and reads for as long as it may.
UUID = next(demo for demo in DEMOS if demo.name == "uuid")

CONSOLE = """
import sys
from ottla.console.demo_runner import DEMOS, DemoRunner
demo = next(demo for demo in DEMOS if demo.name == "uuid")
run = DemoRunner().start(demo, {"bootstrap.servers": sys.argv[1]})
print(run.process.pid, flush=True)
while True:
    if run.lines:
        print("it speaks", flush=True)
    sys.stdin.readline()
"""


def wait_for_lines(run: Run, text: str) -> None:
    """Return once the demo has said it; the test's time-out ends the waiting."""
    while not any(text in line for line in list(run.lines)):
        assert run.is_running, list(run.lines)
        threading.Event().wait(0.02)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Broker]:
    with Broker(
        data_dir=tmp_path,
        config={
            "listeners": "SASL_PLAINTEXT://127.0.0.1:0",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                'user_shop="back\\\\slash";'
            ),
        },
    ) as broker:
        yield broker


def test_a_demo_uses_what_the_console_uses_to_log_in(
    secured: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = {
        "bootstrap.servers": secured.bootstrap_servers,
        "client.id": "console",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "shop",
        "sasl.password": "back\\slash",
    }
    runner = DemoRunner()
    try:
        run = runner.start(UUID, config)
        (file,) = tmp_path.glob("ottla-demo-*")
        assert file.stat().st_mode & 0o077 == 0
        wait_for_lines(run, "topicgo1")
        assert runner.start(UUID, config) is run
    finally:
        runner.close()
    assert not run.is_running
    while file.exists():
        threading.Event().wait(0.02)


def test_a_demo_ends_in_order_when_it_is_stopped(
    bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Five seconds are for a person who waits; a busy machine may need more.
    monkeypatch.setattr("ottla.console.demo_runner.STOP_S", 90.0)
    runner = DemoRunner()
    run = runner.start(UUID, {"bootstrap.servers": bootstrap_servers})
    wait_for_lines(run, "topicgo1")
    runner.stop(UUID, bootstrap_servers)
    assert run.process.returncode == 0
    assert runner.run_of("uuid", bootstrap_servers) is run


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(),
    reason="[not-on-this-platform] processes are looked up in /proc",
)
def test_a_demo_does_not_outlive_a_console_that_is_killed(bootstrap_servers: str) -> None:
    with running(
        [sys.executable, "-c", CONSOLE, bootstrap_servers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as console:
        assert console.stdout is not None
        pid = int(console.stdout.readline())
        assert is_running(pid)
        console.send_signal(signal.SIGKILL)
        console.wait()
        while is_running(pid):
            threading.Event().wait(0.05)


def is_running(pid: int) -> bool:
    """A process that has ended stays until whoever inherits it looks."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.name)
def test_every_demo_takes_the_words_it_is_started_with(demo: Demo) -> None:
    parser = argparse.ArgumentParser()
    cli_demo.add_arguments(parser)
    words = ["--bootstrap-servers", "localhost:9092", "--command-config", "x", "--end-with-stdin"]
    assert parser.parse_args([demo.name, *words, *demo.words]).demo == demo.name


def test_the_console_has_every_demo() -> None:
    assert {demo.name for demo in DEMOS} == set(cli_demo.DEMOS)
