"""Clients' own test suites, fetched at pinned versions and never committed."""

from __future__ import annotations

import re
import sys
import tarfile
import venv
from pathlib import Path

import pytest
from tests.conformance.programs import toolchains

import ottla

KAFKA_PYTHON = "3.0.12"

#: Tests of kafka-python's suite that are left out, and why.
LEFT_OUT = {
    "test_ssl_integration": "starts an Apache Kafka of its own, with its own certificates",
    "test_sasl_integration": "starts an Apache Kafka of its own, with its own users",
}

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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kafka_pythons_own_integration_tests_pass() -> None:
    toolchains.need()
    source, python = fetch_suite()
    with ottla.Broker(config=_CONFIG) as probe:
        port = probe.port
    config = {**_CONFIG, "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
    with ottla.Broker(config=config, port=port) as broker:
        said = toolchains.run(
            [
                str(python),
                "-m",
                "pytest",
                "-q",
                "--timeout=90",
                "-p",
                "no:warnings",
                "--show-capture=no",
                "test/integration",
                "-k",
                " and ".join(f"not {name}" for name in LEFT_OUT),
            ],
            cwd=source,
            limit_s=600,
            KAFKA_VERSION="4.3.0",
            KAFKA_URI=f"kafka://127.0.0.1:{broker.port}",
            PYTHONPATH=".",
        )
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None
    assert int(passed[1]) >= 53, said
