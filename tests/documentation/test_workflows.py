"""The workflow files: the page shows the files, and their lines are what our commands take."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from tests.documentation.blocks import blocks_of

from ottla.cli import run as run_verb
from ottla.cli import up as up_verb
from ottla.cli.main import VERBS, Parser

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
            words = shlex.split(step.get("run", ""))
            if words[:1] == ["ottla"]:
                assert words[1] in VERBS
                modules = {"up": up_verb, "run": run_verb}
                if words[1] in modules:
                    parser = Parser(prog="ottla")
                    modules[words[1]].add_arguments(parser)
                    parser.parse_args(words[2:])
