"""The sample projects of examples/clients, tested as their README says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance.programs import toolchains

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "clients"

PYTHON = ("confluent-kafka", "aiokafka", "kafka-python")
#: What gets the libraries, and what runs the tests.
OTHERS: dict[str, list[list[str]]] = {
    "kafka-go": [["go", "test", "-count=1", "./..."]],
    "sarama": [["go", "test", "-count=1", "./..."]],
    "kafkajs": [["npm", "install", "--no-audit", "--no-fund"], ["npm", "test"]],
    "java": [["mvn", "-q", "-B", "test"]],
    "rust": [["cargo", "test", "--quiet"]],
}


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
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"]({name})" in readme for name in found)


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_project(name: str, tmp_path: Path) -> None:
    project = shutil.copytree(EXAMPLES / name, tmp_path / name)
    said = run([sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "."], project)
    assert "1 passed" in said


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", OTHERS)
def test_a_project_of_another_language(name: str, bootstrap_servers: str, tmp_path: Path) -> None:
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[other-languages] run `make conformance`")
    tool = OTHERS[name][0][0]
    if shutil.which(tool) is None:
        pytest.skip(f"[other-languages] {tool} was not found")
    project = shutil.copytree(EXAMPLES / name, tmp_path / name)
    for words in OTHERS[name]:
        run(
            words,
            project,
            KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
            CARGO_TARGET_DIR=str(toolchains.CACHE / "rust-orders"),  # librdkafka is built once
        )
