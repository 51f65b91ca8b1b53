"""`ottla up`, `ps`, `down`, `reset` and `run`, as processes a person would start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from ottla.engine.ports import free_ports

OTTLA = [sys.executable, "-m", "ottla.cli.main"]
LIMIT_S = 90


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "OTTLA_"))}
    return {**kept, "OTTLA_STATE_DIR": str(tmp_path / "state" / "instances")}


class Shell:
    """Runs verbs in one directory, and ends whatever they left running."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*OTTLA, *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT_S)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def tool(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's tools to its end."""
        return subprocess.run(
            [Path(sys.executable).with_name(name), *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def up(self, *words: str) -> tuple[subprocess.Popen[str], str]:
        """Start `ottla up` on a free port; returns it with its address, ready."""
        process = self.start("up", "--bare", "--port", "0", "--set", "ottla.metrics.port=0", *words)
        return process, address_printed(process)


def address_printed(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        match = re.match(r"\s*broker\s+(\S+)", line)
        if match:
            return match[1]
    assert process.stderr is not None
    raise AssertionError(process.stderr.read())


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Iterator[Shell]:
    directory = tmp_path / "project"
    directory.mkdir()
    shell = Shell(directory, environment)
    yield shell
    for process in shell.processes:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LIMIT_S)


def produce(address: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address})
    producer.produce("kept", value)
    assert producer.flush(LIMIT_S) == 0


def consume_all(address: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["kept"])
    values: list[bytes] = []
    deadline = time.monotonic() + LIMIT_S
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(message.value() or b"")
    consumer.close()
    return values


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_keeps_records_over_an_orderly_stop(shell: Shell, number: signal.Signals) -> None:
    process, address = shell.up()
    produce(address, b"before")
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert "Stopped" in out
    assert err == ""
    _, address = shell.up()
    produce(address, b"after")
    assert consume_all(address, 2) == [b"before", b"after"]


def test_up_keeps_records_over_a_kill(shell: Shell) -> None:
    process, address = shell.up()
    produce(address, b"before")
    process.kill()
    process.communicate()
    _, address = shell.up()
    assert consume_all(address, 1) == [b"before"]


def test_ps_down_and_reset_follow_an_instance(shell: Shell) -> None:
    assert "Nothing is running" in shell.run("ps").stdout
    process, address = shell.up("--name", "shop")
    table = shell.run("ps").stdout
    assert re.search(rf"^shop\s+{re.escape(address)}\s+up since .*\d+ MB", table, re.MULTILINE)
    (listed,) = json.loads(shell.run("ps", "--json").stdout)
    assert listed["bootstrap_servers"] == address
    assert json.loads(shell.run("ps", "-o", "jsonl").stdout) == listed
    head, row = shell.run("ps", "-o", "csv").stdout.splitlines()[:2]
    assert head == "platform,name,address,state,memory,pid"
    assert row.startswith(f"shop,shop,{address},up since ")
    refused = shell.run("reset", "--yes")
    assert refused.returncode == 1
    assert "in use by shop" in refused.stderr
    again = shell.run("up", "--port", "0")
    assert again.returncode == 1
    assert "already running" in again.stderr
    unknown = shell.run("down", "nobody")
    assert unknown.returncode == 1
    assert "running is: shop" in unknown.stderr
    assert shell.run("down", "shop").stdout == "shop stopped\n"
    assert process.wait(LIMIT_S) == 0
    assert "Nothing is running" in shell.run("down").stdout
    unasked = shell.run("reset")
    assert unasked.returncode == 1
    assert "--yes" in unasked.stderr
    assert shell.run("reset", "--yes").returncode == 0
    assert not (shell.directory / "ottla-data").exists()


def test_detached_it_is_ready_when_the_command_returns(shell: Shell) -> None:
    started = shell.run("up", "--bare", "--port", "0", "--detach")
    assert started.returncode == 0, started.stderr
    address = re.search(r"broker\s+(\S+)", started.stdout)
    assert address is not None
    produce(address[1], b"x")
    assert shell.run("down").returncode == 0
    failed = shell.run("up", "--bare", "--port", "0", "--detach", "--set", "num.partitions=none")
    assert failed.returncode == 1
    assert "num.partitions" in failed.stderr


def test_a_file_for_kafka_works_and_is_overridden(shell: Shell) -> None:
    (shell.directory / "server.properties").write_text(
        "broker.id=7\nlisteners=PLAINTEXT://localhost:0\nlog.dirs=kafka-logs\n"
        "num.network.threads=3\nzookeeper.connect=localhost:2181\nmy.key=1\n"
    )
    shell.environment["KAFKA_NUM_PARTITIONS"] = "3"
    settings = ("--set", "num.partitions=5", "--set", "ottla.metrics.port=0")
    process = shell.start("up", "--bare", "--config", "server.properties", *settings)
    address = address_printed(process)
    producer = Producer({"bootstrap.servers": address})
    produce(address, b"x")
    assert list(producer.list_topics(timeout=LIMIT_S).brokers) == [7]
    assert len(producer.list_topics("kept", timeout=LIMIT_S).topics["kept"].partitions) == 5
    assert list((shell.directory / "kafka-logs").glob("kept-?"))
    process.terminate()
    _, err = process.communicate(timeout=LIMIT_S)
    assert err.count("warning") == 1
    for name in ("num.network.threads", "zookeeper.connect", "my.key"):
        assert name in err


def test_what_prevents_a_start_is_told_in_one_sentence(shell: Shell) -> None:
    foreign = shell.directory / "kafka"
    foreign.mkdir()
    (foreign / "meta.properties").write_text("version=1\ncluster.id=abc\nnode.id=1\n")
    before = sorted(foreign.iterdir())
    (shell.directory / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, sentence in (
            (["--port", port], f"port {port} is in use"),
            (["--data-dir", "kafka"], "not written by Ottla"),
            (["--data-dir", "file"], "not a directory"),
            (["--config", "none.properties"], "cannot be read"),
            (["--set", "log.retention.ms=never"], "log.retention.ms"),
            (["--set", "default.replication.factor=3"], "Apache Kafka"),
            (["--set", "nonsense"], "key=value"),
        ):
            ended = shell.run("up", "--bare", *(["--port", "0"] if "--port" not in words else []),
                              *words)  # fmt: skip
            assert ended.returncode == 1, words
            assert sentence in ended.stderr
            assert ended.stderr.count("\n") == 1
            assert "Traceback" not in ended.stderr
    assert sorted(foreign.iterdir()) == before


def test_a_second_process_on_a_directory_is_refused(shell: Shell, tmp_path: Path) -> None:
    shell.up()
    shell.environment["OTTLA_STATE_DIR"] = str(tmp_path / "elsewhere")
    second = shell.run("up", "--bare", "--port", "0")
    assert second.returncode == 1
    assert "in use" in second.stderr


def test_run_gives_a_command_a_broker_and_takes_its_status(shell: Shell) -> None:
    script = (
        "import os, sys\n"
        "from confluent_kafka import Producer\n"
        "p = Producer({'bootstrap.servers': os.environ['KAFKA_BOOTSTRAP_SERVERS']})\n"
        "p.produce('t', b'x')\n"
        "print(p.flush(90))\n"
        "sys.exit(3)\n"
    )
    ended = shell.run("run", "--", sys.executable, "-c", script)
    assert ended.stdout == "0\n"
    assert ended.returncode == 3
    assert shell.run("run", "--", "no-such-command").returncode == 127
    assert shell.run("run").returncode == 2
    wrong = shell.run("run", "--set", "num.partitions=0", "--", "true")
    assert wrong.returncode == 1
    assert "num.partitions" in wrong.stderr


def test_run_forwards_signals_and_cleans_up(shell: Shell, tmp_path: Path) -> None:
    shell.environment["TMPDIR"] = str(tmp_path)
    process = shell.start("run", "--", "sh", "-c", "echo started; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert list(tmp_path.glob("ottla-*"))
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("ottla-*"))


def test_a_mistyped_verb_gets_a_hint(shell: Shell) -> None:
    ended = shell.run("dwon")
    assert ended.returncode == 2
    assert "Did you mean `ottla down`?" in ended.stderr
    assert "ottla" in shell.run("version").stdout
    wrong = shell.run("up", "--prot", "1")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


def test_kafkas_own_names_start_and_stop_a_broker_in_the_background(shell: Shell) -> None:
    (port,) = free_ports(1)
    (shell.directory / "server.properties").write_text(
        f"process.roles=broker,controller\nlisteners=PLAINTEXT://127.0.0.1:{port}\n"
        "log.dirs=kraft-logs\nottla.metrics.port=0\n"
    )
    words = ("-daemon", "server.properties", "--override", "num.partitions=2")
    started = shell.tool("kafka-server-start.sh", *words)
    try:
        assert started.returncode == 0, started.stderr
        assert f"127.0.0.1:{port}" in started.stdout
        address = ("--bootstrap-server", f"127.0.0.1:{port}")
        shell.tool("kafka-topics.sh", *address, "--create", "--topic", "a")
        described = shell.tool("kafka-topics.sh", *address, "--describe", "--topic", "a").stdout
        assert "PartitionCount: 2" in described
        where = shell.tool("kafka-log-dirs.sh", *address, "--describe").stdout
        assert f'"logDir":"{shell.directory / "kraft-logs"}"' in where
    finally:
        stopped = shell.tool("kafka-server-stop.sh")
    assert stopped.returncode == 0
    assert "stopped" in stopped.stdout
