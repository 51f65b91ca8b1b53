"""Columns of tables.

Cells with something to press are built of elements: a slot's template would be a new component at
every refresh, and its link would lose the keyboard's focus, or a click that was under way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nicegui import ui

#: Kafka tells offsets only, so that is what is counted.
WHAT_IS_COUNTED = (
    "Offsets that are held. Those of transactions' markers, of what was aborted and of what"
    " compaction took hold no record."
)


def column(
    name: str, label: str, *, right: bool = False, is_sortable: bool = True
) -> dict[str, Any]:
    """A column; numbers stand at the right.

    It can be sorted where the table has all rows, not only those of one page.
    """
    return {
        "name": name,
        "label": label,
        "field": name,
        "align": "right" if right else "left",
        "sortable": is_sortable,
    }


def explained(table: ui.table, name: str, text: str) -> None:
    """The column's heading says what stands below it, to who points at it or hears it read."""
    with table.add_slot(f"header-cell-{name}"), ui.element("th").classes("text-right") as cell:
        inner = ui.element("abbr").props(f"tabindex=0 title={json.dumps(text)}")
    inner.props[":textContent"] = "props.col.label"
    for element in (cell, inner):
        element.props[":id"] = "undefined"


def link_cells(table: ui.table, name: str, folder: str) -> None:
    """The column's cells become links to the pages of what they name: for keyboards, too."""
    link = _cells(table, name, "a").classes("link").on("click.stop", js_handler="() => {}")
    link.props[":href"] = f"{json.dumps(f'/{folder}/')} + encodeURIComponent(props.value)"


def button_cells(
    table: ui.table, name: str, label: str, clicked: Callable[[dict[str, Any]], Any]
) -> None:
    """The column's cells become buttons that hand over their row."""
    button = _cells(table, name, "button").classes("plain").props("type=button")
    button.props[":aria-label"] = f"{json.dumps(label + ' ')} + props.value"
    button.on("click.stop", lambda e: clicked(e.args), js_handler="() => emit(props.row)")


def _cells(table: ui.table, name: str, tag: str) -> ui.element:
    """An element in each cell of the column, with the cell's value as its text."""
    with table.add_slot(f"body-cell-{name}"), ui.element("q-td") as cell:
        inner = ui.element(tag)
    cell.props[":props"] = "props"
    inner.props[":textContent"] = "props.value"
    for element in (cell, inner):
        # One element stands for the cells of all rows: none of them is the one with its id.
        element.props[":id"] = "undefined"
    return inner
