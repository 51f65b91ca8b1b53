"""Java and Apache Kafka are found, checked, and asked for in one sentence."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ottla.engine import EngineError, distribution, obtain
from ottla.engine.apache import ApacheKafka
from ottla.engine.distribution import KAFKA_VERSION, SUMS, Distribution, find, find_java
from ottla.engine.errors import MissingJavaError, MissingKafkaError
from ottla.engine.ports import free_ports


def quiet(_: str) -> None:
    """Progress that nobody watches."""


def fake_java(home: Path, version_line: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{version_line}' >&2\n")
    java.chmod(0o755)
    return java


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_java(tmp_path / "jdk", 'openjdk version "21.0.2" 2024-01-16')


def test_java_home_comes_first(java: Path) -> None:
    assert find_java() == java


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('java version "1.8.0_402"', "is version 1: install"),
        ('openjdk version "11.0.22" 2024-01-16', "is version 11: install"),
        ("cannot run", "is no Java: install"),
    ],
)
def test_an_old_java_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    fake_java(tmp_path, line)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingJavaError, match=said):
        find_java()


def test_no_java_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    with pytest.raises(MissingJavaError, match=r"none was found: install a JDK .* set JAVA_HOME"):
        find_java()


@pytest.mark.usefixtures("java")
def test_kafka_home_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libs = tmp_path / "kafka" / "libs"
    libs.mkdir(parents=True)
    (libs / "kafka-clients-4.2.0.jar").touch()
    monkeypatch.setenv("KAFKA_HOME", str(libs.parent))
    assert find(quiet)[:2] == (libs, "4.2.0")


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize(
    ("jar", "said"),
    [
        ("other.jar", "is not an unpacked Apache Kafka"),
        ("kafka-clients-3.8.1.jar", "is Apache Kafka 3.8.1; 3.9 or newer is needed"),
    ],
)
def test_a_kafka_home_that_will_not_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jar: str, said: str
) -> None:
    libs = tmp_path / "kafka" / "libs"
    libs.mkdir(parents=True)
    (libs / jar).touch()
    monkeypatch.setenv("KAFKA_HOME", str(libs.parent))
    with pytest.raises(MissingKafkaError, match=said):
        find(quiet)


@pytest.mark.usefixtures("java")
def test_a_missing_maven_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(MissingKafkaError, match=r"mvn was not found: install it .* KAFKA_HOME"):
        find(quiet)


@pytest.mark.usefixtures("java")
def test_an_empty_cache_is_told_when_nothing_may_be_fetched() -> None:
    with pytest.raises(MissingKafkaError, match="not in the cache"):
        find(quiet, may_fetch=False)


@pytest.mark.usefixtures("java")
def test_a_failing_maven_is_quoted_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho '[ERROR] no network today'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:{os.environ['PATH']}")
    with pytest.raises(MissingKafkaError, match="could not fetch Apache Kafka: no network today"):
        find(quiet)
    assert list((tmp_path / "cache" / "ottla").iterdir()) == []


@pytest.mark.usefixtures("java")
def test_a_jar_that_changed_after_it_was_fetched_is_refused() -> None:
    libs = distribution.cache_directory() / f"apache-kafka-{KAFKA_VERSION}"
    libs.mkdir(parents=True)
    (libs / "a.jar").write_bytes(b"as it was")
    (libs / SUMS).write_text(f"{hashlib.sha256(b'as it was').hexdigest()}  a.jar\n")
    assert find(quiet).libs == libs
    (libs / "a.jar").write_bytes(b"changed")
    with pytest.raises(MissingKafkaError, match=r"a\.jar was changed .* remove .* fetched again"):
        find(quiet)
    (libs / "a.jar").unlink()
    with pytest.raises(MissingKafkaError, match="is damaged"):
        find(quiet)


def test_the_embedded_broker_is_a_kafka_and_a_running_cluster() -> None:
    with obtain("embedded") as kafka:
        assert kafka.kind == "embedded"
        with obtain(kafka.bootstrap_servers) as same:
            assert same == ("cluster", kafka.bootstrap_servers)
    with pytest.raises(EngineError, match="cannot connect to"):
        with obtain(kafka.bootstrap_servers):
            pass


def test_a_cluster_that_nobody_runs_cannot_be_obtained() -> None:
    (port,) = free_ports(1)
    with pytest.raises(EngineError, match=f"cannot connect to 127.0.0.1:{port}: "):
        with obtain(f"127.0.0.1:{port}"):
            pass


def test_a_cluster_without_brokers_is_refused(java: Path, tmp_path: Path) -> None:
    found = Distribution(tmp_path, "4.3.1", java)
    with pytest.raises(EngineError, match="at least one broker is needed"):
        ApacheKafka(brokers=0, distribution=found)


def test_a_node_that_ends_at_once_is_quoted(java: Path, tmp_path: Path) -> None:
    java.write_text("#!/bin/sh\necho 'java.net.BindException: Address already in use'\n")
    kafka = ApacheKafka(directory=tmp_path, distribution=Distribution(tmp_path, "4.3.1", java))
    with pytest.raises(EngineError, match=r"node 1 ended: .*Address already in use"):
        kafka.start()
