"""Results as people and programs want them: table, json, jsonl or csv."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

FORMATS: Final = ("table", "json", "jsonl", "csv")

#: Prose is easier to read in lines that are not longer.
PROSE_COLUMNS: Final = 78
#: No column of texts is cut shorter than this.
NARROWEST: Final = 27

BOLD: Final = "\x1b[1m"
DIM: Final = "\x1b[2m"
RED: Final = "\x1b[31m"
GREEN: Final = "\x1b[32m"
YELLOW: Final = "\x1b[33m"
PLAIN: Final = "\x1b[0m"


def add_output_argument(parser: argparse.ArgumentParser, *, is_nested: bool = False) -> None:
    """Add `--output`; `is_nested` in an action keeps what stood before it."""
    parser.add_argument(
        "-o",
        "--output",
        choices=FORMATS,
        default=argparse.SUPPRESS if is_nested else "table",
        help="how to print (default: table)",
    )


def colour(text: str, code: str) -> str:
    """The text in a colour when a person looks at a terminal, else as it is."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"{code}{text}{PLAIN}"


def print_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    output: str,
    *,
    empty: str = "",
    headings: Sequence[str] | None = None,
) -> None:
    """Print rows of named values; `empty` is what a table says when there are none.

    A table's headings are the columns' names in capitals, or `headings`.
    """
    if output == "jsonl":
        for row in rows:
            print(json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False))
        return
    listed = list(rows)
    if output == "json":
        objects = [{name: row.get(name) for name in columns} for row in listed]
        print(json.dumps(objects, indent=2, ensure_ascii=False))
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name), "") for name in columns] for row in listed)
    elif listed:
        words = headings or [name.replace("_", " ").upper() for name in columns]
        _print_table(listed, columns, words)
    elif empty:
        print(empty)


def print_head(name: str, about: str) -> None:
    """What stands above a table, with the name in a line of its own where both are too long."""
    if sys.stdout.isatty() and len(name + about) > shutil.get_terminal_size().columns:
        print(name)
        about = about.strip()
        name = "  "
    print(f"{name}{about}")


def described(name: str, text: str) -> str:
    """A name, filled up already, and a text that on a terminal goes on below itself."""
    if not sys.stdout.isatty():
        return name + text
    room = max(2 * len(name), shutil.get_terminal_size().columns - 1)
    return textwrap.fill(text, room, initial_indent=name, subsequent_indent=" " * len(name))


def prose(text: str, first: str = "", others: str = "") -> str:
    """A text in lines that the terminal does not break; `first` and `others` stand before them."""
    width = min(PROSE_COLUMNS, shutil.get_terminal_size().columns - 1)
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=others)


def _cell(value: Any, none: str = "-") -> str:
    if value is None:
        return none
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _print_table(
    rows: list[Mapping[str, Any]], columns: Sequence[str], heading: Sequence[str]
) -> None:
    """Aligned columns, numbers to the right; line ends within cells are shown as \\n.

    On a terminal long texts are cut, so that each row stays one line; where even that does
    not fit, each row becomes a few lines.
    """
    cells = [[_cell(row.get(name)).replace("\n", "\\n") for name in columns] for row in rows]
    widths = [
        max(len(heading[column]), *(len(row[column]) for row in cells))
        for column in range(len(columns))
    ]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        widths = _narrowed(widths, list(map(len, heading)), room)
        if sum(widths) + 2 * (len(widths) - 1) > room:
            _print_one_below_the_other(cells, heading, room)
            return
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in columns]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if to_right else _cut(cell, width).ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()

    print(colour(line(heading), BOLD))
    for row in cells:
        print(line(row))


def _print_one_below_the_other(rows: list[list[str]], heading: Sequence[str], room: int) -> None:
    """Each row as lines of name and value."""
    width = max(map(len, heading))
    for number, row in enumerate(rows):
        if number:
            print()
        for name, cell in zip(heading, row, strict=True):
            print(colour(name.ljust(width), BOLD), _cut(cell, max(1, room - width - 2)), sep="  ")


def _narrowed(widths: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit into a line, the widest columns giving way first; as few as needed.

    No column gets narrower than its heading or `NARROWEST`; numbers are never that wide.
    """
    widths = list(widths)
    excess = sum(widths) + 2 * (len(widths) - 1) - room
    while excess > 0:
        can_give = [n for n, width in enumerate(widths) if width > max(least[n], NARROWEST)]
        if not can_give:
            break
        widest = max(can_give, key=lambda n: widths[n])
        second = max((widths[n] for n in can_give if n != widest), default=0)
        floor = max(least[widest], NARROWEST, min(second, widths[widest] - 1))
        given = min(excess, widths[widest] - floor)
        widths[widest] -= given
        excess -= given
    return widths


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def size_text(size: float) -> str:
    """Bytes in the unit a person would take."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person agrees; without a terminal only `--yes` does."""
    if yes:
        return True
    if not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
