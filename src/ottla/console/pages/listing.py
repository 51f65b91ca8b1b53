"""A list that is asked of Kafka when it is opened, with what can be done above it."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from nicegui import ui

from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.dialogs import ActionDialog
from ottla.console.pages.columns import button_cells

Row = dict[str, Any]

PAGE_ROWS = 50


class Listing:
    """A table that is asked of Kafka when its tab is opened, with buttons above it."""

    title: ClassVar[str]
    note: ClassVar[str] = ""
    nothing: ClassVar[str] = "There are none"
    columns: ClassVar[list[Row]]
    row_key: ClassVar[str] = "id"
    is_clickable: ClassVar[bool] = False

    def __init__(self, cluster: ClusterView) -> None:
        self.cluster = cluster
        self.rows: list[Row] = []

    async def build(self) -> None:
        if self.note:
            ui.label(self.note).classes("text-dim q-mb-sm")
        with ui.row().classes("gap-2 q-mb-sm items-center"):
            self.buttons()
            ui.button("Refresh", icon="refresh", on_click=self.refresh).props("flat dense no-caps")
        self.fault = ui.label().classes("text-negative")
        self.table = (
            ui.table(columns=self.columns, rows=[], row_key=self.row_key, pagination=PAGE_ROWS)
            .classes("w-full card" + (" clickable" if self.is_clickable else ""))
            .props(f'flat dense no-data-label="{self.nothing}"')
        )
        if self.is_clickable:
            button_cells(
                self.table, self.columns[0]["name"], "Open", lambda r: self.click(self._row_of(r))
            )
        self.table.on("rowClick", lambda e: self.click(self._row_of(e.args[1])))
        await self.refresh()

    def _row_of(self, shown: Row) -> Row:
        return next((r for r in self.rows if r[self.row_key] == shown[self.row_key]), shown)

    async def refresh(self) -> None:
        try:
            self.rows = await asyncio.to_thread(self.load)
        except ClusterError as error:
            self.rows = []
            self.fault.set_text(str(error))
            self.table.props("no-data-label='Not known'")
        else:
            self.fault.set_text("")
            self.table.props(f'no-data-label="{self.nothing}"')
        fields = {self.row_key, *(c["name"] for c in self.columns)}
        rows = [{name: row.get(name) for name in fields} for row in self.shown()]
        self.table.rows = rows
        if len(rows) > PAGE_ROWS:
            self.table.props(remove="hide-pagination")
        else:
            self.table.props("hide-pagination")

    def shown(self) -> list[Row]:
        """The rows as the table shows them; all fields are text, numbers or None."""
        return self.rows

    def load(self) -> list[Row]:
        """Ask Kafka, in a thread. Errors: `ClusterError`."""
        raise NotImplementedError

    def buttons(self) -> None:
        """What can be done beside looking."""

    def click(self, row: Row) -> None:
        """A row was clicked."""

    def dialog(self, title: str, button: str, audit: str, **details: Any) -> ActionDialog:
        is_dangerous = button in ("Remove", "Delete", "End it", "Cancel the move")
        return ActionDialog(
            self.cluster, title, button, audit, is_dangerous=is_dangerous, **details
        )

    async def again(self, _: Any = None) -> None:
        await self.refresh()
