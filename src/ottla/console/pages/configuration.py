"""A topic's configuration, changed key by key."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ottla.console import configuration, dialogs, login
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.configuration import OWN, Setting
from ottla.console.pages.columns import button_cells, column


class ConfigurationPanel:
    """Keys with value, default and meaning; a click opens the key to change it."""

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.settings: dict[str, Setting] = {}

    async def build(self) -> None:
        with ui.row().classes("items-center w-full gap-3 q-mb-sm"):
            self.search = ui.input(placeholder="Search keys and what they mean").props(
                'dense outlined clearable aria-label="Search settings" debounce=150'
            ).classes("w-80")  # fmt: skip
            self.search.on_value_change(lambda _: self._fill())
            self.own = ui.checkbox("only this topic's own", on_change=self._fill)
            ui.space()
            if login.actor().is_admin:
                ui.label("Click a key to change it.").classes("text-dim")
        self.fault = ui.label().classes("text-negative")
        self.table = ui.table(
            columns=[
                column("key", "Key"),
                column("value", "Value"),
                column("source", "Set by"),
                column("default", "Default here"),
                column("documentation", "What it does"),
            ],
            rows=[],
            row_key="key",
            pagination=0,
        ).classes("w-full card clickable settings").props(
            'flat dense wrap-cells hide-pagination no-data-label="No such key"'
        )  # fmt: skip
        button_cells(self.table, "key", "Change", lambda r: self._click(self.settings[r["key"]]))
        self.table.on("rowClick", lambda e: self._click(self.settings[e.args[1]["key"]]))
        await self.refresh()

    async def refresh(self, _: Any = None) -> None:
        try:
            found = await asyncio.to_thread(configuration.settings, self.cluster, self.topic)
        except ClusterError as error:
            self.fault.set_text(f"The configuration cannot be read: {error}")
            return
        self.fault.set_text("")
        self.settings = {s.key: s for s in found}
        self._fill()

    def _fill(self) -> None:
        text = (self.search.value or "").lower()
        self.table.rows = [
            {
                "key": s.key,
                "value": s.value,
                "source": s.source,
                "default": s.default,
                "documentation": _first_sentence(s.documentation),
            }
            for s in self.settings.values()
            if text in f"{s.key} {s.documentation}".lower()
            and (s.source == OWN or not self.own.value)
        ]

    def _click(self, setting: Setting) -> None:
        if login.actor().is_admin:
            dialogs.set_config(self.cluster, self.topic, setting, self.refresh)


def _first_sentence(text: str) -> str:
    head = text.split(". ", maxsplit=1)[0]
    return head if len(head) <= 160 else head[:159] + "…"
