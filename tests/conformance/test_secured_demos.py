"""Every demo and lab on a Kafka with TLS and passwords: the files that `ottla secure` makes."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from tests.conftest import ORACLE_PROPERTIES
from tests.support import asking

from ottla.cli import main
from ottla.client.librdkafka_settings import librdkafka_settings
from ottla.client.properties_files import read_properties
from ottla.embedded import Broker
from ottla.engine.apache import ApacheKafka
from ottla.engine.errors import MissingJavaError
from ottla.engine.ports import free_ports
from ottla.labs import catalog, groups
from ottla.labs.screen import Screen

USER = "ada"


class Secured(NamedTuple):
    """A Kafka that lets nobody in without a password: its address, and files of its users."""

    address: str
    admin: Path
    nobody: Path  # a user without rights

    @property
    def settings(self) -> dict[str, str]:
        return {
            **librdkafka_settings(read_properties(str(self.admin))),
            "bootstrap.servers": self.address,
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("secured") / "secure"
    assert main.main(["secure", str(made), "--user", USER, "--port", "0"]) == 0
    return made


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("apache", marks=pytest.mark.apache)]
)
def kafka(request: pytest.FixtureRequest, folder: Path) -> Iterator[Secured]:
    files = folder / "admin.properties", folder / f"{USER}.properties"
    if request.param == "embedded":
        config = read_properties(str(folder / "server.properties"))
        config |= {**groups.BROKER, "listeners": "SASL_SSL://localhost:0"}
        with Broker(config=config) as broker:
            yield Secured(broker.bootstrap_servers, *files)
        return
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[apache-kafka-not-asked-for] run `make conformance`")
    plain, controller, port = free_ports(3)
    try:
        apache = ApacheKafka(
            ports=[plain],
            controller_ports=[controller],
            properties=apache_properties(folder, plain, controller, port),
        )
    except MissingJavaError as error:
        pytest.skip(f"[no-java] {error}")
    with apache:
        for name in ("admin", USER):
            add_user(apache.bootstrap_servers, folder / f"{name}.properties")
        yield Secured(f"localhost:{port}", *files)


def apache_properties(folder: Path, plain: int, controller: int, port: int) -> dict[str, str]:
    """The same certificate for Apache Kafka; its own listener stays, for who starts it."""
    return {
        **ORACLE_PROPERTIES,
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},"
        f"SASL_SSL://localhost:{port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://localhost:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "broker.pem"),
        "super.users": "User:ANONYMOUS;User:admin",
    }


def add_user(servers: str, file: Path) -> None:
    """The user of a file that `ottla secure` made is known to that Kafka."""
    login = librdkafka_settings(read_properties(str(file)))
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
    change = UserScramCredentialUpsertion(
        login["sasl.username"], info, login["sasl.password"].encode()
    )
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.alter_user_scram_credentials([change]).values():
        future.result(90)


def demo(kafka: Secured, *words: str, config: Path | None = None) -> list[str]:
    """The words that run a demo on it."""
    login = ["--bootstrap-servers", kafka.address, "--command-config", str(config or kafka.admin)]
    return [sys.executable, "-m", "ottla.cli.main", "demo", *words, *login]


def run(words: list[str], status: int = 0) -> str:
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_hello(kafka: Secured) -> None:
    assert "25 messages read" in run(demo(kafka, "hello", "--exit"))


def test_uuid(kafka: Secured) -> None:
    assert "3 messages read." in run(demo(kafka, "uuid", "--messages", "3", "--rate", "0"))


def test_fraud(kafka: Secured) -> None:
    assert "10 received" in run(demo(kafka, "fraud", "--size", "10"))


def test_analytics(kafka: Secured) -> None:
    said = run(demo(kafka, "analytics", "--events", "200", "--no-pace"))
    assert "200 acknowledged, 0 failed" in said


class Served:
    """A demo with HTTP doors, as a process that writes to a file, and its doors."""

    def __init__(self, words: list[str], doors: int, directory: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
        log = directory / "demo.log"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                words,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**kept, "PYTHONUNBUFFERED": "1"},
            )

        def said() -> dict[str, str]:
            assert self.process.poll() is None, log.read_text()
            return dict(re.findall(r"^(\S.*?)\s{2,}(https?://\S+)", log.read_text(), re.MULTILINE))

        self.doors = eventually(said, lambda found: len(found) == doors)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)


def eventually(ask: Any, is_right: Any) -> Any:
    """Ask until the answer is right; the test's time-out ends the waiting."""
    while not is_right(answer := ask()):
        threading.Event().wait(0.05)
    return answer


def test_services(kafka: Secured, tmp_path: Path, unique: str) -> None:
    words = ["services", "--producer-port", "0", "--consumer-port", "0", "--partitions", "2"]
    served = Served(demo(kafka, *words), 2, tmp_path)
    try:
        wish = {"name": "Ada", "email": f"{unique}@example.org", "password": "correct horse"}
        producer = served.doors["producer service"]
        assert asking.post(f"{producer}/users", json=wish).status_code == 201
        stats = f"{served.doors['consumer service']}/stats"
        eventually(lambda: asking.get(stats).json()["new-user-created"]["handled"], bool)
    finally:
        assert served.end() == 0
    assert "TOPIC" in run(
        [sys.executable, "-m", "ottla.cli.main", "dlq", "list", *demo(kafka)[-4:]]
    )


@pytest.mark.parametrize("more", [[], ["--full", "--console-port", "0", "--burrow-port", "0"]])
def test_instigator(kafka: Secured, tmp_path: Path, more: list[str]) -> None:
    words = ["instigator", "--producer-port", "0", "--consumer-port", "0", "--interval", "0.01"]
    served = Served(demo(kafka, *words, *more), 4 if more else 2, tmp_path)
    try:
        producer, consumer = (url for name, url in served.doors.items() if "nstigator" in name)
        asking.get(f"{producer}/start_producer")
        asking.get(f"{consumer}/start_consumer")
        eventually(lambda: asking.get(consumer).json()["consumed"], bool)
        if more:
            consumers = f"{served.doors['Burrow']}/v3/kafka/local/consumer"
            eventually(
                lambda: asking.get(consumers).json()["consumers"], lambda g: "instigator" in g
            )
            assert asking.get(served.doors["Console"]).status_code == 200
    finally:
        assert served.end() == 0


@pytest.mark.parametrize("name", ["hello", "uuid", "fraud", "analytics"])
def test_a_user_without_rights_is_told_so_in_a_sentence(kafka: Secured, name: str) -> None:
    said = run(demo(kafka, name, config=kafka.nobody), status=1)
    assert "Traceback" not in said
    assert re.search(r"authori[sz]|refused", said, re.IGNORECASE), said


#: `make conformance` has all of them.
LABS = (
    sorted(name for name in catalog.available() if catalog.runs_alone(name) is None)
    if os.environ.get("OTTLA_CONFORMANCE") == "1"
    else ["delivery", "keys", "transactions"]
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", LABS)
def test_labs(kafka: Secured, name: str) -> None:
    out = io.StringIO()
    result = catalog.run(name, kafka.settings, Screen(out), is_fast=True)
    assert result["verdict"] == "holds", out.getvalue()
