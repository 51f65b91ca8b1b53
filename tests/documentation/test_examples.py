"""Every example of the documentation does what it says, page by page."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.documentation.blocks import PLAIN, REASONS, Block, blocks_of
from tests.documentation.stage import ROOT, Stage

from ottla.broker.config_sources import parse_properties
from ottla.server.settings import load_config

PAGES = [
    ROOT / "README.md",
    ROOT / "HACKING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "reference"),
    *sorted((ROOT / "examples").glob("*/README.md")),
    *sorted((ROOT / "src" / "ottla" / "demos").glob("*/README.md")),
]
SHELL = {"sh", "bash", "console"}
COMMAND = re.compile(r"^\s*(ottla|kafka-[a-z-]+|curl|pip|pytest|make|docker|podman) ", re.MULTILINE)


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_examples_say_what_they_are(page: Path) -> None:
    """Nothing is left out silently, and nobody has to guess a language."""
    for block in blocks_of(page):
        assert block.language, f"{block.where}: name the block's language"
        if not block.is_example:
            assert not COMMAND.search(block.text), f"{block.where}: a command that nobody tries"
        if block.reason is not None and block.reason not in REASONS:
            assert block.reason.startswith("tests/"), block.where
            tried = (ROOT / block.reason).read_text(encoding="utf-8")
            words = {word for line in block.text.splitlines() for word in line.split()[1:3]}
            assert any(word in tried for word in words), f"{block.where}: {words}"


@pytest.mark.timeout(900)  # a page is many programs, and machines are busy
@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.is_example for b in blocks_of(p))], ids=relative
)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    """One Kafka and one directory for a page; its blocks in the order of the page."""
    said = ""
    with Stage(tmp_path, page.read_text(encoding="utf-8")) as stage:
        for block in blocks_of(page):
            if block.reason is None:
                said = show(stage, block, said)


def show(stage: Stage, block: Block, said: str) -> str:
    """Do what a block says; what it printed."""
    if block.has("output"):
        compare(block, stage.here(block.text), said)
        return said
    if block.has("stays"):
        assert block.language in SHELL
        stage.stay(block)
        return ""
    if block.language in SHELL and block.staying:
        lines = block.text.splitlines()
        live = [line for line in lines if block.staying.search(line)]
        assert live, f"{block.where}: no line goes on until Ctrl-C"
        said = stage.run(replace(block, text="\n".join(x for x in lines if x not in live)))
        stage.stay(replace(block, text="\n".join(live), before=""))
        return said
    if block.language in SHELL:
        return stage.run(block)
    if block.language == "python":
        return stage.python(block)
    if block.language not in PLAIN:
        read(block)
    return ""


def compare(block: Block, expected: str, said: str) -> None:
    """Each line was printed, in this order; `…` stands for anything, on one line or several."""
    lines = [re.escape(line.strip()).replace("…", ".*") for line in expected.splitlines()]
    pattern = r"[^\n]*\n\s*".join(line for line in lines if line)
    assert re.search(pattern, said, re.DOTALL), f"{block.where}: expected\n{expected}\nsaw\n{said}"


def read(block: Block) -> None:
    """Files are read as their readers would."""
    match block.language:
        case "toml":
            tomllib.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case "json":
            json.loads(block.text)
        case "properties":
            load_config(strongest=parse_properties(block.text))
        case _:
            pytest.fail(f"{block.where}: nobody knows how to try {block.language!r}")
