"""The workflow files: the page shows the files, and their steps run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.documentation.blocks import Block, blocks_of
from tests.documentation.stage import Stage

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "continuous-integration.md"
FILES = sorted((ROOT / "examples" / "github-actions").glob("*.yml"))


def test_the_page_shows_the_files() -> None:
    shown = [block.text for block in blocks_of(PAGE) if block.language == "yaml"]
    assert sorted(shown) == sorted(path.read_text() for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_is_one(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow[True]  # `on`, as YAML 1.1 reads it
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert "@v" in step.get("uses", "@v"), "actions are pinned to a version"


#: What the jobs find on their machines, here in name only; a suite asks Kafka for something.
TOOLS = {
    "bin/pip": "exit 0",
    "bin/pipx": "exit 0",
    "bin/go": 'test "$*" = "test ./..." && kafka-topics --list',
    "integration-tests.sh": 'seq 9 | kafka-console-producer --topic t --bootstrap-server "$1"',
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_steps_run(path: Path, tmp_path: Path) -> None:
    """In their order, each in a shell of its own; only what installs something is left out."""
    for name, line in TOOLS.items():
        tool = tmp_path / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{line}\n")
        tool.chmod(0o755)
    (tmp_path / "test_it.py").write_text(
        "def test_it(kafka, kafka_topic): kafka.records(kafka_topic)"
    )
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    lines = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    with Stage(tmp_path, "") as stage:
        stage.environment["PATH"] = f"{tmp_path / 'bin'}:{stage.environment['PATH']}"
        for number, line in enumerate(lines):
            stage.run(Block(path, number, "sh", line))
