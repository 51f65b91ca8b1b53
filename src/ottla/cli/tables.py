"""Tables of text: what a person reads, and what scripts cut into columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]], *, gap: int = 2) -> list[str]:
    """Rows as lines with left-aligned columns as wide as their widest cell."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    separator = " " * gap
    return [
        separator.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def padded(cells: Iterable[str], widths: Sequence[int]) -> str:
    """One line of cells, each filled up to its width; the last stays as it is."""
    filled = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return " ".join(filled)


def tabbed(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of cells that are filled up to their column and followed by a tab."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "".join(f"{cell.ljust(width)}\t" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
