"""`ottla up` around a Kafka that is there already: parts, demo traffic, TLS and SASL."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from tests.apps.test_ottla_verbs import Shell, address_printed, environment, shell

from ottla.client.librdkafka_settings import librdkafka_settings
from ottla.client.properties_files import read_properties

__all__ = ["environment", "shell"]

LIMIT_S = 90


def wait_for(seen: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not seen():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def doors_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ *(\S[\w ]*?) {2,}(http\S+)$", text, re.MULTILINE))


@pytest.fixture
def secured(shell: Shell) -> Iterator[tuple[str, Path]]:
    """A Kafka with TLS, passwords and access lists: its address, and the admin's file."""
    made = shell.run("secure", "sec", "--port", "9093")
    assert made.returncode == 0, made.stderr
    properties = shell.directory / "sec" / "server.properties"
    properties.write_text(properties.read_text().replace(":9093", ":0"))
    words = ("--data-dir", "data", "--set", "ottla.metrics.port=-1", "--name", "secured")
    broker = shell.start("up", "--bare", "--config", "sec/server.properties", *words)
    yield address_printed(broker), shell.directory / "sec" / "admin.properties"
    broker.terminate()
    broker.wait(LIMIT_S)


def test_the_platform_stands_on_a_cluster_with_tls_and_sasl(
    shell: Shell, secured: tuple[str, Path]
) -> None:
    address, config = secured
    words = ("--bootstrap-servers", address, "--command-config", str(config), "--name", "around")
    started = shell.run("up", *words, "--demo", "analytics", "--detach")
    assert started.returncode == 0, started.stderr
    doors = doors_of(started.stdout)
    try:
        assert {"REST Proxy", "Burrow", "Console"} <= doors.keys()
        settings = librdkafka_settings(read_properties(str(config)))
        admin = AdminClient({**settings, "bootstrap.servers": address})

        def topics_at_the_door() -> list[str]:
            with urllib.request.urlopen(f"{doors['REST Proxy']}/topics", timeout=90) as answer:
                found: list[str] = json.load(answer)
                return found

        wait_for(lambda: "analytics" in topics_at_the_door(), "the demo's topic at the REST door")
        assert "analytics" in admin.list_topics(timeout=90).topics
        assert f"cluster {address}" in shell.run("ps").stdout
        twice = shell.run("up", *words)
        assert twice.returncode == 1
        assert "already running on cluster" in twice.stderr
    finally:
        assert shell.run("down", "around").returncode == 0
    assert "secured" in shell.run("ps").stdout, "the cluster itself goes on"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--bootstrap-servers", "127.0.0.1:1"], "cannot be used: cannot connect"),
        (["--bootstrap-servers", "a:1", "--data-dir", "x"], "--data-dir cannot be used with"),
        (["--bootstrap-servers", "a:1", "--engine", "apache"], "--bootstrap-servers names one"),
        (["--engine", "apache", "--durability", "fsync"], "--durability cannot be used with"),
        (["--engine", "pulsar"], "there is no engine pulsar"),
        (["--engine", "apache:0"], "at least one broker"),
        (["--command-config", "x"], "are for the clients of --bootstrap-servers"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    shell: Shell, words: list[str], sentence: str
) -> None:
    done: subprocess.CompletedProcess[str] = shell.run("up", *words)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
