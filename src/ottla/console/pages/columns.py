"""Columns of tables."""

from __future__ import annotations

from typing import Any


def column(name: str, label: str, *, right: bool = False) -> dict[str, Any]:
    """A column that can be sorted; numbers stand at the right."""
    return {
        "name": name,
        "label": label,
        "field": name,
        "align": "right" if right else "left",
        "sortable": True,
    }
