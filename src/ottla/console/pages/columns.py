"""Columns of tables."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui


def column(name: str, label: str, *, right: bool = False) -> dict[str, Any]:
    """A column that can be sorted; numbers stand at the right."""
    return {
        "name": name,
        "label": label,
        "field": name,
        "align": "right" if right else "left",
        "sortable": True,
    }


def link_cells(table: ui.table, name: str, folder: str) -> None:
    """The column's cells become links to the pages of what they name: for keyboards, too."""
    table.add_slot(
        f"body-cell-{name}",
        f"""
        <q-td :props="props">
          <a class="link" :href="{json.dumps(f"/{folder}/").replace('"', "'")}
            + encodeURIComponent(props.value)" @click.stop>{{{{ props.value }}}}</a>
        </q-td>
        """,
    )


def button_cells(table: ui.table, name: str, event: str, label: str) -> None:
    """The column's cells become buttons that raise `event` with their row."""
    table.add_slot(
        f"body-cell-{name}",
        f"""
        <q-td :props="props">
          <button type="button" class="plain" :aria-label="'{label} ' + props.value"
            @click.stop="$parent.$emit('{event}', props.row)">{{{{ props.value }}}}</button>
        </q-td>
        """,
    )
