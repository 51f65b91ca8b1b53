"""The rules of the house that a reader of the source can check."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ottla"
GENERATED = PACKAGE / "wire" / "messages"
CORE = ("wire", "batch", "storage", "coordinator", "broker", "handlers")
MAX_MODULE_LINES = 700
MAX_FUNCTION_LINES = 60


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for line in listing.splitlines() if (path := ROOT / line).is_file()]


def own_modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if GENERATED not in p.parents]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_called_utils() -> None:
    strays = [
        relative(p) for p in tracked_files() if p.stem in {"utils", "util", "helpers", "misc"}
    ]
    assert not strays


def test_modules_stop_at_700_lines() -> None:
    long = {
        relative(p): n
        for p in own_modules()
        if (n := len(p.read_text().splitlines())) > MAX_MODULE_LINES
    }
    assert not long


def test_functions_stop_at_60_lines() -> None:
    long = {}
    for path in own_modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                is_documented = isinstance(first, ast.Expr) and isinstance(
                    first.value, ast.Constant
                )
                start = (first.end_lineno or 0) if is_documented else node.lineno
                length = (node.end_lineno or 0) - start
                if length > MAX_FUNCTION_LINES:
                    long[f"{relative(path)}:{node.lineno} {node.name}"] = length
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [relative(p) for p in own_modules() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent


@pytest.mark.parametrize("room", CORE)
def test_the_core_has_no_async_functions(room: str) -> None:
    found = [
        f"{relative(path)}:{node.lineno}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
    ]
    assert not found


def test_nothing_names_a_machine_path_or_a_registry_host() -> None:
    hosts = r"pypi\.org|pythonhosted\.org|registry\.npmjs|repo1?\.maven|proxy\.golang|crates\.io"
    paths = r"/root/|/home/[a-z]+/|/work/"
    pattern = re.compile(f"(?:{hosts})|(?:{paths})")
    this_file = Path(__file__)
    found = []
    for path in tracked_files():
        if path == this_file or path.suffix in {".png", ".svg", ".bin", ".gz"}:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{relative(path)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    assert not found


def test_skipped_tests_name_a_registered_reason() -> None:
    """Every skip goes through a reason listed in docs/compatibility.toml."""
    register = tomllib.loads((ROOT / "docs" / "compatibility.toml").read_text())
    reasons = {entry["name"] for entry in register["skip"]}
    pattern = re.compile(r"pytest\.(?:mark\.)?skip(?:if)?\(")
    found = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if path == Path(__file__) or not pattern.search(line):
                continue
            context = "\n".join(lines[number - 1 : number + 4])
            if not any(f"[{reason}]" in context for reason in reasons):
                found.append(f"{relative(path)}:{number}")
    assert not found, "write the reason as '[name] …' with a name from docs/compatibility.toml"
