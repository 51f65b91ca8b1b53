"""Runs the rows, and prints the table."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tour import stories
from tour.rows import ROWS, STORIES, Row
from tour.stage import Stage

Show = Callable[[Stage], str]

_shows: dict[str, Show] = {}


def shows(number: str) -> Callable[[Show], Show]:
    """Register the function that shows the row `number`; it returns what was seen."""
    assert any(row.number == number for row in ROWS), f"there is no row {number}"

    def register(show: Show) -> Show:
        assert number not in _shows, f"row {number} is shown twice"
        _shows[number] = show
        return show

    return register


class Seen(NamedTuple):
    """What became of a row on one engine."""

    mark: str  # "seen", "failed" or "missing"
    text: str
    seconds: float = 0.0


class NotRunError(Exception):
    """A row cannot be run on this machine; the text says what is missing."""


ARROWS = {"seen": "→", "failed": "✗", "missing": "·"}
Results = dict[tuple[str, str], Seen]  # (row number, engine)


def load_stories() -> None:
    for module in pkgutil.iter_modules(stories.__path__):
        importlib.import_module(f"{stories.__name__}.{module.name}")


def run_rows(
    stage: Stage, results: Results, only: Sequence[str], say: Callable[[str], None]
) -> None:
    """Show the wanted rows on the stage's engine; results are added."""
    for row in wanted(only):
        if not row.is_for(stage.engine):
            continue
        show = _shows.get(row.number)
        if show is None:
            results[row.number, stage.engine] = Seen("missing", "no run shows this yet")
            continue
        say(f"\n── {row.number}  {row.promise}  [{stage.engine}]")
        start = time.monotonic()
        try:
            seen = Seen("seen", show(stage), time.monotonic() - start)
        except NotRunError as reason:
            seen = Seen("missing", f"was not run: {reason}")
        except AssertionError as error:
            seen = Seen("failed", str(error) or "an assertion failed", time.monotonic() - start)
        results[row.number, stage.engine] = seen
        say(f"{ARROWS[seen.mark]} {seen.text}")


def wanted(only: Sequence[str]) -> list[Row]:
    return [
        row
        for row in ROWS
        if not only or any(row.number == w or row.number.startswith(f"{w}.") for w in only)
    ]


def table(results: Results, engines: Sequence[str], only: Sequence[str]) -> str:
    """All wanted rows: promise, and for each engine what was seen."""
    marks = {"seen": "✓", "failed": "✗", "missing": "·"}
    lines = []
    story = ""
    for row in wanted(only):
        if row.number[0] != story:
            story = row.number[0]
            lines += ["", STORIES[story]]
        note = {1: "", 2: "  (both)"}[len(row.engines)]
        lines.append(f"  {row.number:<5} {row.promise}{note}")
        if not any(row.is_for(engine) for engine in engines):
            lines.append("        · was not run: it wants Apache Kafka (--apache)")
        for engine in engines:
            if not row.is_for(engine):
                continue
            seen = results.get((row.number, engine), Seen("missing", "was not run"))
            duration = f"  ({seen.seconds:.1f} s)" if seen.seconds else ""
            text = seen.text if seen.mark != "missing" else f"MISSING: {seen.text}"
            lines.append(f"        {marks[seen.mark]} {engine}: {text}{duration}")
    counts = {mark: sum(s.mark == mark for s in results.values()) for mark in marks}
    lines += [
        "",
        f"{counts['seen']} seen, {counts['failed']} failed, {counts['missing']} missing.",
    ]
    return "\n".join(lines)
