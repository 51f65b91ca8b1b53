"""Commands named within sentences and tables: each is one that our command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ottla.cli.completing import parser_of
from ottla.cli.errors import CommandError
from ottla.cli.main import VERBS

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "reference"),
    *sorted((ROOT / "examples").glob("*/README.md")),
    *sorted((ROOT / "src" / "ottla" / "demos").glob("*/README.md")),
]


def commands(page: Path) -> list[str]:
    """The inline `ottla VERB …` of a page; those with … or a pipe are abbreviated."""
    markdown = MarkdownIt("commonmark").enable("table")
    inline = (t for t in markdown.parse(page.read_text(encoding="utf-8")) if t.children)
    found = [child.content for t in inline for child in t.children if child.type == "code_inline"]
    return [
        text for text in found if re.match(r"ottla [a-z]", text) and not re.search("[…|<>]", text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_taken(page: Path) -> None:
    refused = []
    for text in commands(page):
        _, verb, *words = shlex.split(text.replace("HOST:PORT", "localhost:9092"))
        if verb not in VERBS:
            refused.append(text)
            continue
        if not words:
            continue
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
