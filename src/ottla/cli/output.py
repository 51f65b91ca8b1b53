"""Results as people and programs want them: table, json, jsonl or csv."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

FORMATS: Final = ("table", "json", "jsonl", "csv")

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
    """Aligned columns, numbers to the right; line ends within cells are shown as \\n."""
    cells = [[_cell(row.get(name)).replace("\n", "\\n") for name in columns] for row in rows]
    widths = [
        max(len(heading[column]), *(len(row[column]) for row in cells))
        for column in range(len(columns))
    ]
    right = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in columns]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()

    print(colour(line(heading), BOLD))
    for row in cells:
        print(line(row))


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
