"""The examples of a Markdown page, and the notes beside them that say how to run each.

A note is an HTML comment right before a block, which readers do not see:

    <!-- example: stays -->               each line runs until Ctrl-C
    <!-- example: until Ctrl-C, PATTERN --> lines with a match do, after the others have run
    <!-- example: fails -->               the last command ends with a status other than 0
    <!-- example: output -->              what the block before it prints; … stands for anything
    <!-- example: before\n CODE -->       code of the reader's, put in front of the block
    <!-- example: elsewhere, REASON -->   not run here: a path of the test that runs it, or a
                                          reason of REASONS
    <!-- example: NOTE; NOTE -->          several
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

#: Why a block may be left out.
REASONS: Final = {
    "containers": "needs a container engine",
    "network": "needs a network",
    "cloud": "needs an account at a cloud",
    "setting-up": "sets up the checkout that the tests are part of",
}
#: Languages of blocks that are no examples.
PLAIN: Final = {"text", "{eval-rst}", "{include}", "{toctree}"}
_NOTE: Final = re.compile(r"\A<!-- example: (.*?)\s*-->\s*\Z", re.DOTALL)


@dataclass
class Block:
    """One code block of a page, with its notes."""

    page: Path
    line: int
    language: str
    text: str
    notes: list[str] = field(default_factory=list)
    before: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    def has(self, note: str) -> bool:
        return note in self.notes

    @property
    def reason(self) -> str | None:
        """Why it is not run here."""
        for note in self.notes:
            if note.startswith("elsewhere, "):
                return note.removeprefix("elsewhere, ")
        return None

    @property
    def staying(self) -> re.Pattern[str] | None:
        """Which of its lines go on until Ctrl-C."""
        for note in self.notes:
            if note.startswith("until Ctrl-C, "):
                return re.compile(note.removeprefix("until Ctrl-C, "))
        return None

    @property
    def is_example(self) -> bool:
        return self.language not in PLAIN or self.has("output")


def blocks_of(page: Path) -> Iterator[Block]:
    """The code blocks of a page, from the top."""
    notes: list[str] = []
    before = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            found = _NOTE.match(token.content.strip())
            if found is None:
                continue
            first, _, code = found[1].partition("\n")
            if first.strip() == "before":
                before += code + "\n"
            else:
                notes += [note.strip() for note in first.split(";")]
        elif token.type in ("fence", "code_block"):
            assert token.map is not None
            language = token.info.split()[0] if token.info else ""
            yield Block(page, token.map[0] + 1, language, token.content, notes, before)
            notes, before = [], ""
        elif notes or before:
            raise AssertionError(f"{page}: a note about an example is not followed by a block")
