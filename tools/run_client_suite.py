"""Run a client's own tests, from a checkout of yours, against Ottla.

Usage: python tools/run_client_suite.py aiokafka|confluent-kafka-python CHECKOUT [--record]

docs/client-suites.md tells how. What passes is compared with the lists in
docs/compatibility.toml; `--record` prints them as they are now.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import NamedTuple

import ottla
from ottla.cli.certificates import Authority

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ottla-conformance"


class Suite(NamedTuple):
    needs: tuple[str, ...]
    #: Arguments for pytest, with what the environment says meanwhile.
    parts: dict[str, tuple[tuple[str, ...], dict[str, str]]]


_PYTEST = ("pytest", "pytest-asyncio", "pytest-timeout", "async-timeout")
_GROUPS = ("tests/integration/consumer", "tests/integration/admin", "tests/integration/producer")
#: The modules that ask a broker.
_AIOKAFKA = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("admin", "client", "conn", "consumer", "coordinator", "pep492", "producer", "sasl"),
        *("sender", "transactional_consumer", "transactional_producer"),
    )
)
SUITES = {
    "aiokafka": Suite(
        (
            *("packaging", "typing-extensions", "cramjam", "async-timeout", "pytest-timeout"),
            *("pytest==9.0.2", "pytest-asyncio==1.3.0", "pytest-mock==3.15.1"),
        ),
        {
            "all": (
                (*_AIOKAFKA, "--docker-image=ottla:2.13_4.3.1", "--no-pull"),
                {"AIOKAFKA_NO_EXTENSIONS": "1"},
            )
        },
    ),
    "confluent-kafka-python": Suite(
        (
            "confluent-kafka[schemaregistry,avro,json,protobuf,rules]=={version}",
            *("trivup", "respx", "requests-mock", "psutil", *_PYTEST),
        ),
        {
            "classic": (_GROUPS, {}),
            "consumer": (_GROUPS, {"TEST_CONSUMER_GROUP_PROTOCOL": "consumer"}),
            "share": (("tests/integration/share_consumer",), {}),
        },
    ),
}

#: What Confluent's suite tells a broker of its own.
_CONFIG = {
    "group.initial.rebalance.delay.ms": "0",
    "group.share.record.lock.duration.ms": "1000",
    "group.share.min.record.lock.duration.ms": "1000",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


def prepare(name: str, version: str) -> Path:
    """An interpreter with what the tests need, made once."""
    place = CACHE / f"{name}-{version}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        print(f"[1/2] preparing {place}", flush=True)
        venv.create(place, with_pip=True, clear=True)
        needs = [need.format(version=version) for need in SUITES[name].needs]
        subprocess.run([python, "-m", "pip", "install", "-q", *needs], check=True)
        (place / "complete").touch()
    return python


def stand_in(folder: Path, checkout: Path) -> dict[str, str]:
    """Instead of Docker and Kerberos; returns what the environment has to say."""
    package, programs = folder / "docker", folder / "bin"
    package.mkdir()
    shutil.copy(ROOT / "tools" / "stand_in_docker.py", package / "__init__.py")
    programs.mkdir()
    (programs / "ktutil").write_text("#!/bin/sh\n")
    (programs / "ktutil").chmod(0o755)
    certificates = checkout / "tests" / "ssl_cert"
    certificates.mkdir()
    authority = Authority.create()
    authority.save(certificates)
    (certificates / "ca.pem").rename(certificates / "ca.crt")
    hosts = ["localhost", "127.0.0.1"]
    (certificates / "server.pem").write_bytes(authority.issue("server", hosts, is_server=True))
    client = authority.issue("client", [], is_server=False)
    for name in ("client.crt", "client.key"):
        (certificates / name).write_bytes(client)
    return {
        "PYTHONPATH": str(folder),
        "OTTLA_PYTHON": sys.executable,
        "PATH": f"{programs}:{os.environ['PATH']}",
    }


def run(name: str, version: str, source: Path, left_out: list[str]) -> set[str]:
    """The names of the tests that pass."""
    python = prepare(name, version)
    passed: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="ottla-suite-") as text:
        folder = Path(text)
        checkout = folder / "checkout"
        shutil.copytree(source, checkout, ignore=shutil.ignore_patterns(".git", "src"))
        environment = stand_in(folder, checkout) if name == "aiokafka" else {}
        with ottla.Broker(config=_CONFIG) as broker:
            for part, (arguments, more) in SUITES[name].parts.items():
                print(f"[2/2] {part}", flush=True)
                deselect = [f"--deselect={test}" for test in left_out]
                options = ("-q", "-rA", "--timeout=120", "--show-capture=no", *deselect)
                done = subprocess.run(
                    [python, "-m", "pytest", *options, "-p", "no:cacheprovider", *arguments],
                    cwd=checkout,
                    env={**os.environ, "BROKERS": broker.bootstrap_servers, **environment, **more},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=False,
                )
                print("\n".join(done.stdout.splitlines()[-60:]), flush=True)
                prefix = "" if part == "all" else f"{part}: "
                found = re.findall(r"^PASSED tests/(\S+)", done.stdout, re.MULTILINE)
                passed |= {prefix + test for test in found}
    return passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SUITES)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    register = tomllib.loads((ROOT / "docs" / "compatibility.toml").read_text())
    suite = next(s for s in register["suite"] if s["name"] == asked.name)
    passed = run(asked.name, suite["version"], asked.checkout.absolute(), list(suite["left_out"]))
    if asked.record:
        print("".join(f'    "{test}",\n' for test in sorted(passed)))
        return 0
    expected = set(suite["passes"])
    for test in sorted(expected - passed):
        print(f"does not pass any more: {test}")
    for test in sorted(passed - expected):
        print(f"passes, and is not in docs/compatibility.toml: {test}")
    return int(passed != expected)


if __name__ == "__main__":
    raise SystemExit(main())
