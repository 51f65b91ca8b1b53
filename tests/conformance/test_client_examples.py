"""The sample projects of examples/clients, tested as their README says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance.programs import toolchains

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "clients"

README = (EXAMPLES / "README.md").read_text()
BIN = Path(sys.executable).parent

PYTHON = ("confluent-kafka", "aiokafka", "kafka-python")
#: Those whose libraries have to be there before their tests are started.
NPM = ("npm", "install", "--no-audit", "--no-fund")
OTHERS: dict[str, tuple[str, ...]] = {
    "kafka-go": (),
    "franz-go": (),
    "sarama": (),
    "kafkajs": NPM,
    "confluent-kafka-javascript": (),
    "java": (),
    "rust": (),
}
#: Its compiled part may have to be made here, which takes minutes: once for all tests.
CONFLUENTS_JAVASCRIPT = "@confluentinc/kafka-javascript@1.10.1"


def run(words: list[str], directory: Path, **environment: str) -> str:
    done = subprocess.run(
        words,
        cwd=directory,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_project_is_tried() -> None:
    found = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert found == {*PYTHON, *OTHERS}
    assert all(f"]({name})" in README for name in found)
    package = (EXAMPLES / "confluent-kafka-javascript" / "package.json").read_text()
    assert CONFLUENTS_JAVASCRIPT.replace("javascript@", 'javascript": "') in package


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_project(name: str, tmp_path: Path) -> None:
    project = shutil.copytree(EXAMPLES / name, tmp_path / name)
    said = run([sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "."], project)
    assert "1 passed" in said


def command_of(name: str) -> list[str]:
    """How the README says to start its tests."""
    (row,) = [line for line in README.splitlines() if f"]({name})" in line]
    (command,) = re.findall(r"`(ottla run -- [^`]+)`", row)
    return shlex.split(command)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("target", ["ottla run", pytest.param("apache", marks=pytest.mark.apache)])
def test_a_project_of_another_language(
    target: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[other-languages] run `make conformance`")
    command = command_of(name)
    tool = command[3]
    if shutil.which(tool) is None:
        pytest.skip(f"[other-languages] {tool} was not found")
    project = shutil.copytree(EXAMPLES / name, tmp_path / name)
    if OTHERS[name]:
        run([*OTHERS[name]], project)
    if name == "confluent-kafka-javascript":
        place = toolchains.node_package(CONFLUENTS_JAVASCRIPT)
        (project / "node_modules").symlink_to(place / "node_modules")
    environment = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "CARGO_TARGET_DIR": str(toolchains.CACHE / "rust-orders"),  # librdkafka is built once
    }
    if target == "apache":
        address = request.getfixturevalue("apache_kafka").bootstrap_servers
        run(command[3:], project, KAFKA_BOOTSTRAP_SERVERS=address, **environment)
    else:
        run(command, project, **environment)
