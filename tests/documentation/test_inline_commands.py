"""Commands named within sentences and tables: each is one that our command line takes."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ottla.cli.completing import kafka_tools, parser_of
from ottla.cli.errors import CommandError
from ottla.cli.main import VERBS
from ottla.labs import catalog

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "reference"),
    *sorted((ROOT / "examples").glob("*/README.md")),
    *sorted((ROOT / "src" / "ottla" / "demos").glob("*/README.md")),
]
#: Names that begin like one.
NO_TOOLS = {"kafka-python", "kafka-go", "kafka-init", "kafka-shell"}


def commands(page: Path, pattern: str) -> list[str]:
    """The inline code of a page that begins so; what has … or a pipe is abbreviated."""
    markdown = MarkdownIt("commonmark").enable("table")
    inline = (t for t in markdown.parse(page.read_text(encoding="utf-8")) if t.children)
    found = [child.content for t in inline for child in t.children if child.type == "code_inline"]
    return [text for text in found if re.match(pattern, text) and not re.search("[…|<>]", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_taken(page: Path) -> None:
    refused = []
    for text in commands(page, r"ottla [a-z]"):
        _, verb, *words = shlex.split(text.replace("HOST:PORT", "localhost:9092"))
        if verb not in VERBS:
            refused.append(text)
            continue
        if not words:
            continue
        if verb == "lab" and words[0] not in ("NAME", "list", *catalog.available()):
            refused.append(f"{text}: there is no such lab")
        try:
            parser = parser_of(verb)
            assert parser is not None
            parser.parse_args(words)
        except CommandError as error:
            # A sentence may leave out what is meant: `ottla groups describe`.
            if "are required" not in str(error) and "'NAME'" not in str(error):
                refused.append(f"{text}: {error}")
        except SystemExit:
            pass  # it has printed its help
    assert not refused


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_kafkas_tools_are_there_with_these_flags(page: Path) -> None:
    refused = []
    for text in commands(page, r"(kafka|zookeeper)-[a-z-]+( |$)"):
        tool, *words = shlex.split(text)
        if tool in NO_TOOLS:
            continue
        if tool not in kafka_tools():
            refused.append(f"{text}: there is no such tool")
        elif (parser := parser_of(tool)) is not None:
            known = {flag for action in options_of(parser) for flag in action.option_strings}
            refused += [f"{text}: {w}" for w in words if w.startswith("--") and w not in known]
    assert not refused


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for nested in action.choices.values():
                yield from options_of(nested)
