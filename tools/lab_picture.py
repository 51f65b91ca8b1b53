"""Run a lab and keep a picture of its terminal: `python tools/lab_picture.py NAME FILE.svg`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dashboard_picture import made_small
from ottla.labs import catalog
from ottla.labs.screen import WIDTH, Screen


def main(name: str, path: str) -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.has_colours = True  # but no picture drawn over another
    catalog.run(name, None, screen, is_fast=False)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(out.getvalue()))
    svg = made_small(console.export_svg(title=f"ottla lab {name}"))
    Path(path).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
