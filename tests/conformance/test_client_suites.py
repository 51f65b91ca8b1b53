"""Clients' own test suites, fetched at pinned versions and never committed.

docs/compatibility.toml has, for each, the tests that pass and why others are left out.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from tests.conformance.comparison import REGISTER
from tests.conformance.programs import toolchains

import ottla
from ottla.engine.ports import free_ports

SUITES: dict[str, dict[str, Any]] = {
    suite["name"]: suite for suite in tomllib.loads(REGISTER.read_text())["suite"]
}
KAFKA_PYTHON = SUITES["kafka-python"]["version"]

#: The source distribution lacks this module; a broker that runs already needs no more of it.
_SERVICE = """
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def close(self):
        pass


class SpawnedService:
    pass
"""

#: What the suite's own server.properties say.
_CONFIG = {
    "node.id": "0",
    "num.partitions": "4",
    "group.min.session.timeout.ms": "500",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


def fetch_suite() -> tuple[Path, Path]:
    """The unpacked source distribution, and an interpreter that can run its tests."""
    place = toolchains.CACHE / f"kafka-python-{KAFKA_PYTHON}"
    python = place / "venv" / "bin" / "python"
    source = place / f"kafka_python-{KAFKA_PYTHON}"
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        limit_s = toolchains.PREPARE_LIMIT_S
        toolchains.run([*pip, f"kafka-python=={KAFKA_PYTHON}"], cwd=place, limit_s=limit_s)
        with tarfile.open(place / f"kafka_python-{KAFKA_PYTHON}.tar.gz") as archive:
            archive.extractall(place, filter="data")
        (source / "test" / "__init__.py").touch()
        (source / "test" / "service.py").write_text(_SERVICE)
        (source / "servers" / "4.3.0" / "kafka-bin").mkdir(parents=True)
        venv.create(place / "venv", with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        needs = ["pytest", "pytest-timeout", "pytest-mock", "crc32c", "lz4", "zstandard"]
        toolchains.run([*install, *needs], cwd=place, limit_s=limit_s)
        (place / "complete").touch()
    return source, python


def check(name: str, passed: set[str], said: str) -> None:
    """Exactly what the register says has passed; on failure shows what the suite said."""
    expected = set(SUITES[name]["passes"])
    assert passed == expected, f"{sorted(passed ^ expected)}\n{said[-20_000:]}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kafka_pythons_own_integration_tests_pass() -> None:
    toolchains.need()
    source, python = fetch_suite()
    (port,) = free_ports(1)
    config = {**_CONFIG, "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    with ottla.Broker(config=config, port=port) as broker:
        pytest_ = [str(python), "-m", "pytest", "-q", "-rA", "--timeout=90", "-p", "no:warnings"]
        left_out = " and ".join(f"not {name}" for name in SUITES["kafka-python"]["left_out"])
        said = toolchains.run(
            [*pytest_, "--show-capture=no", "test/integration", "-k", left_out],
            cwd=source,
            limit_s=600,
            KAFKA_VERSION="4.3.0",
            KAFKA_URI=f"kafka://127.0.0.1:{broker.port}",
            PYTHONPATH=".",
        )
    passed = re.findall(r"^PASSED test/integration/(?:\w+/)*(\S+)$", said, re.MULTILINE)
    check("kafka-python", set(passed), said)


#: Users of kafka-go's suite: name -> mechanism and password.
_GO_USERS = {
    "adminscram256": (ScramMechanism.SCRAM_SHA_256, b"admin-secret-256"),
    "adminscram512": (ScramMechanism.SCRAM_SHA_512, b"admin-secret-512"),
}


def _go_config(plain: int, sasl: int) -> dict[str, str]:
    """What kafka-go's CI says of its broker."""
    listeners = f"PLAINTEXT://localhost:{plain},SASL_PLAINTEXT://localhost:{sasl}"
    return {
        "listeners": listeners,
        "advertised.listeners": listeners,
        "message.max.bytes": "200000000",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:adminscram256;User:adminscram512;User:adminplain",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
            'PlainLoginModule required user_adminplain="admin-secret";'
        ),
    }


def fetch_go_module(folder: Path, module: str) -> Path:
    """A copy of a module's sources that may be changed, and tested where it is."""
    toolchains.need("go")
    folder.mkdir()
    (folder / "go.mod").write_text("module ottla.test/fetch\n\ngo 1.23\n")
    said = toolchains.run(
        ["go", "mod", "download", "-json", module], cwd=folder, limit_s=toolchains.PREPARE_LIMIT_S
    )
    origin = json.loads(said[said.index("{") :])["Dir"]
    suite = folder / "suite"
    shutil.copytree(
        origin,
        suite,
        ignore=shutil.ignore_patterns("examples"),
        copy_function=shutil.copyfile,
    )
    for directory in (suite, *suite.rglob("*/")):
        directory.chmod(0o755)
    return suite


def fetch_kafka_go(folder: Path, plain: int, sasl: int) -> None:
    """kafka-go's tests, which ask at these ports, for want of 9092 and 9093."""
    version = SUITES["kafka-go"]["version"]
    suite = fetch_go_module(folder, f"github.com/segmentio/kafka-go@v{version}")
    for path in suite.rglob("*_test.go"):
        if path.name == "address_test.go":
            continue  # talks to nobody
        text = path.read_text().replace('TCP("localhost")', 'TCP("localhost:9092")')
        path.write_text(text.replace("9092", str(plain)).replace("9093", str(sasl)))


def create_users(bootstrap_servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    users = [
        UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), password)
        for name, (mechanism, password) in _GO_USERS.items()
    ]
    for future in admin.alter_user_scram_credentials(users).values():
        future.result(90)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kafka_gos_own_tests_pass(tmp_path: Path) -> None:
    plain, sasl = free_ports(2)
    fetch_kafka_go(tmp_path / "go", plain, sasl)
    with ottla.Broker(config=_go_config(plain, sasl)) as broker:
        create_users(broker.bootstrap_servers)
        names = [name.split("/") for name in SUITES["kafka-go"]["left_out"]]
        skip = "|".join("/".join(f"^{re.escape(part)}$" for part in parts) for parts in names)
        command = ["go", "test", "-mod=mod", "-vet=off", "-count=1", "-timeout=500s", "-v"]
        said = toolchains.run(
            [*command, f"-skip={skip}", ".", "./sasl", "./topics"],
            cwd=tmp_path / "go" / "suite",
            limit_s=600,
            KAFKA_VERSION="4.0.0",
        )
    passed = re.findall(r"^--- PASS: (\w+)", said, re.MULTILINE)
    check("kafka-go", set(passed), said)


#: The suite's own number is half a million.
_FRANZ_GO_RECORDS = 5_000


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_franz_gos_own_tests_pass(tmp_path: Path) -> None:
    plain, sasl = free_ports(2)
    version = SUITES["franz-go"]["version"]
    suite = fetch_go_module(tmp_path / "go", f"github.com/twmb/franz-go@v{version}")
    names = "|".join(SUITES["franz-go"]["passes"])
    with ottla.Broker(config=_go_config(plain, sasl)) as broker:
        create_users(broker.bootstrap_servers)
        command = ["go", "test", "-mod=mod", "-vet=off", "-count=1", "-timeout=900s", "-v"]
        said = toolchains.run(
            [*command, "-parallel=2", f"-run=^({names})$", "./pkg/kgo"],
            cwd=suite,
            limit_s=1200,
            KGO_SEEDS=f"localhost:{plain}",
            KGO_TEST_RF="1",
            KGO_TEST_RECORDS=str(_FRANZ_GO_RECORDS),
            KGO_TEST_MAX_TOPIC_PARTS="3",
            KGO_TEST_SCRAM="adminscram256:admin-secret-256:256",
            KGO_TEST_SCRAM_SEEDS=f"localhost:{sasl}",
        )
    check("franz-go", set(re.findall(r"^--- PASS: (\w+)", said, re.MULTILINE)), said)
