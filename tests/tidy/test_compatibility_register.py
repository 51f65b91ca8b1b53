"""The register of differences holds no patterns, nothing unused, and its page is up to date."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

from tests.conformance import scenarios

ROOT = Path(__file__).parents[2]
REGISTER = tomllib.loads((ROOT / "docs" / "compatibility.toml").read_text())


def test_no_entry_is_a_pattern() -> None:
    wild = [p for e in REGISTER["difference"] for p in e["paths"] if set(p) & set("*?[]")]
    assert not wild, "name each field by itself"


def test_each_difference_says_everything() -> None:
    keys = {"api", "field", "scenario", "kafka", "ottla", "reason", "kind", "paths"}
    for entry in REGISTER["difference"]:
        assert entry.keys() == keys
        assert entry["paths"]
        assert entry["kind"] in {"deliberate", "gap"}


def test_each_path_belongs_to_a_scenario_and_stands_once() -> None:
    paths = [p for e in REGISTER["difference"] for p in e["paths"]]
    assert len(set(paths)) == len(paths)
    assert {p.split("/")[0] for p in paths} <= scenarios.load().keys()


def test_each_reason_for_skipping_is_used() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    used = set(re.findall(r"\[([a-z-]+)\]", tests))
    assert {entry["name"] for entry in REGISTER["skip"]} <= used


def test_the_page_in_docs_is_up_to_date() -> None:
    generator = runpy.run_path(str(ROOT / "tools" / "generate_compatibility.py"))
    is_same = generator["PAGE"].read_text() == generator["page"]()
    assert is_same, "run python tools/generate_compatibility.py"
