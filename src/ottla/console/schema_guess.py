"""What the JSON of a topic looks like, guessed from samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_FIELDS = 200
MAX_DEPTH = 8
MAX_EXAMPLE = 60


@dataclass
class FieldGuess:
    """One path: how often it is there, with which types, and some of what it holds."""

    path: str
    seen: int = 0
    types: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None

    def note(self, value: Any) -> None:
        self.seen += 1
        self.types[type_of(value)] += 1
        if isinstance(value, bool) or value is None:
            pass
        elif isinstance(value, int | float):
            self.low = value if self.low is None else min(self.low, value)
            self.high = value if self.high is None else max(self.high, value)
        if not isinstance(value, dict | list):
            text = json.dumps(value, ensure_ascii=False)[:MAX_EXAMPLE]
            if text not in self.examples and len(self.examples) < 3:
                self.examples.append(text)


@dataclass(frozen=True)
class SchemaGuess:
    """Fields in the order of their paths; `samples` values were looked at, `json` were JSON."""

    samples: int
    json: int
    fields: list[FieldGuess]


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "array" if isinstance(value, list) else "object"


def guess(values: Iterable[bytes | None]) -> SchemaGuess:
    """Look at all values; at most `MAX_FIELDS` paths are kept."""
    fields: dict[str, FieldGuess] = {}
    samples = parsed = 0
    for data in values:
        samples += 1
        try:
            value = json.loads(data or b"")
        except (ValueError, RecursionError):
            continue
        parsed += 1
        _walk("$", value, fields, 0)
    return SchemaGuess(samples, parsed, [fields[path] for path in sorted(fields)])


def _walk(path: str, value: Any, fields: dict[str, FieldGuess], depth: int) -> None:
    known = fields.get(path)
    if known is None:
        if len(fields) >= MAX_FIELDS:
            return
        known = fields[path] = FieldGuess(path)
    known.note(value)
    if depth >= MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            _walk(f"{path}.{name}", inner, fields, depth + 1)
    elif isinstance(value, list):
        for inner in value[:20]:
            _walk(f"{path}[]", inner, fields, depth + 1)
