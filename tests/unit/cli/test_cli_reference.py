from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from ottla.cli.completing import kafka_tools, parser_of

ROOT = Path(__file__).parents[3]
GENERATOR = runpy.run_path(str(ROOT / "tools" / "generate_cli_reference.py"))
APACHE = {tool: flags.split() for tool, flags in json.loads(GENERATOR["FLAGS"].read_text()).items()}


@pytest.mark.parametrize("tool", sorted(APACHE))
def test_every_flag_of_apache_kafkas_tool_is_taken(tool: str) -> None:
    parser = parser_of(tool)
    assert parser is not None
    ours = {flag for action in GENERATOR["_actions"](parser) for flag in action.option_strings}
    assert {*APACHE[tool]} - ours == set()


def test_every_tool_is_there_under_its_name_with_sh_too() -> None:
    assert {*APACHE} <= {*kafka_tools()}


@pytest.mark.parametrize("path", GENERATOR["documents"](), ids=lambda path: path.name)
def test_the_reference_in_docs_is_up_to_date(path: Path) -> None:
    is_same = path.read_text() == GENERATOR["documents"]()[path]
    assert is_same, "run python tools/generate_cli_reference.py"
