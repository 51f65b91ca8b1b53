"""The messages of a topic: slices, live tail, search, one record in full.

Record contents are only ever put into text nodes and table cells that the
framework escapes, so that a record cannot run script in the console.
"""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime
from typing import Any

from nicegui import ui

from ottla.console import dialogs, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.layout import admin_button
from ottla.console.messages import (
    MAX_SHOWN_BYTES,
    Progress,
    Range,
    RecordView,
    filter_of,
    read_slice,
    search,
)
from ottla.console.pages.columns import column

STARTS = {
    "end": "newest",
    "beginning": "from the beginning",
    "offset": "from an offset",
    "time": "from a time",
}
LIVE_S = 1.0


class MessagesPanel:
    """Controls, the table, and a dialog for one record."""

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.records: list[RecordView] = []
        self.progress: Progress | None = None  # written by the searching thread
        self.stop_search = False
        self.is_stale = False
        self.is_searching = False

    async def build(self) -> None:
        numbers = [r["partition"] for r in self.cluster.partitions(self.topic)]
        with ui.row().classes("items-center w-full gap-2"):
            self.start = ui.select(STARTS, value="end", on_change=self._show_inputs).props(
                'dense outlined aria-label="Where to start"'
            )
            self.position = ui.input("offset").props("dense outlined").classes("w-40")
            self.partition = ui.select(
                {-1: "all partitions", **{n: f"partition {n}" for n in numbers}}, value=-1
            ).props('dense outlined aria-label="Partition"')
            self.limit = ui.select([50, 100, 500, 2000], value=100).props(
                'dense outlined aria-label="How many"'
            )
            ui.button("Read", on_click=self.read).props("no-caps")
            self.live = ui.switch("live", on_change=self.read)
            ui.space()
            admin_button(
                "Produce",
                lambda: dialogs.produce(self.cluster, self.topic, self._soon),
                icon="add",
            )
        with ui.row().classes("items-center w-full gap-2"):
            self.text = ui.input(placeholder="Search key, value and headers").props(
                'dense outlined clearable aria-label="Search text"'
            ).classes("grow")  # fmt: skip
            self.where = ui.select(["anywhere", "key", "value", "header"], value="anywhere").props(
                'dense outlined aria-label="Search in"'
            )
            self.path = ui.input(placeholder="JSON path, e.g. user.id").props(
                'dense outlined aria-label="JSON path"'
            ).classes("w-48")  # fmt: skip
            self.regex = ui.checkbox("regular expression")
            self.search_button = ui.button("Search all", on_click=self.search).props(
                "no-caps outline"
            )
            ui.button("JSON lines", icon="download", on_click=self.export).props("no-caps flat")
        self.text.on("keydown.enter", self.search)
        self.bar = ui.linear_progress(0, show_value=False).classes("w-full")
        self.bar.set_visibility(False)
        self.state = ui.label().classes("text-caption text-grey")
        self.table = ui.table(
            columns=[
                column("partition", "Partition", right=True),
                column("offset", "Offset", right=True),
                column("time", "Time (UTC)"),
                column("key", "Key"),
                column("value", "Value"),
            ],
            rows=[],
            row_key="id",
            pagination=50,
        ).classes("w-full card clickable").props("flat dense wrap-cells")  # fmt: skip
        self.table.on("rowClick", lambda e: self._show(e.args[1]["index"]))
        self._show_inputs()
        await self.read()
        ui.timer(LIVE_S, self._tick)

    def _show_inputs(self) -> None:
        kind = self.start.value
        self.position.set_visibility(kind in ("offset", "time"))
        self.position.props(f'label="{"offset" if kind == "offset" else "2026-01-31 12:00 (UTC)"}"')

    def _range(self) -> Range:
        """What the controls ask for. Errors: `ClusterError` for an unreadable position."""
        wanted = Range(start=self.start.value, limit=self.limit.value)
        if self.partition.value >= 0:
            wanted.partition = self.partition.value
        text = (self.position.value or "").strip()
        if wanted.start == "offset":
            if not text.isdigit():
                raise ClusterError("Give the offset as a number, for example 0.")
            wanted.offset = int(text)
        elif wanted.start == "time":
            try:
                moment = datetime.fromisoformat(text + ("" if "+" in text else "+00:00"))
            except ValueError:
                raise ClusterError("Give the time as 2026-01-31 12:00.") from None
            wanted.time_ms = int(moment.timestamp() * 1000)
        return wanted

    async def read(self) -> None:
        """Show a slice of the topic by the controls."""
        try:
            wanted = self._range()
            self.records = await asyncio.to_thread(read_slice, self.cluster, self.topic, wanted)
        except ClusterError as error:
            self.state.set_text(str(error))
            return
        self.state.set_text(f"{len(self.records):,} records, {STARTS[wanted.start]}")
        self._fill()

    def _soon(self) -> None:
        """Read again with the next tick."""
        self.is_stale = True

    async def _tick(self) -> None:
        if self.is_searching:
            self._show_progress()
        elif self.is_stale or (self.live.value and self.start.value == "end"):
            self.is_stale = False
            await self.read()

    def _fill(self) -> None:
        self.table.rows = [
            {
                "id": f"{r.partition}:{r.offset}",
                "index": i,
                "partition": r.partition,
                "offset": r.offset,
                "time": formatting.moment(r.timestamp_ms),
                "key": formatting.preview(r.key),
                "value": formatting.preview(r.value),
            }
            for i, r in enumerate(self.records)
        ]

    # --- search

    async def search(self) -> None:
        """Look through the whole range from the chosen start; a second click stops it."""
        if self.is_searching:
            self.stop_search = True
            return
        try:
            wanted = self._range()
            if wanted.start == "end":
                wanted.start = "beginning"
            matches = filter_of(
                self.text.value or "",
                self.where.value,
                is_regex=self.regex.value,
                json_path=self.path.value or "",
            )
        except ClusterError as error:
            self.state.set_text(str(error))
            return
        self.live.set_value(False)
        self.is_searching, self.stop_search, self.progress = True, False, None
        self.search_button.set_text("Stop")
        self.bar.set_visibility(True)

        def work() -> None:
            for progress in search(
                self.cluster, self.topic, wanted, matches, lambda: self.stop_search
            ):
                self.progress = progress

        try:
            await asyncio.to_thread(work)
        except ClusterError as error:
            self.state.set_text(str(error))
        finally:
            self.is_searching = False
            self.search_button.set_text("Search all")
            self.bar.set_visibility(False)
        self._show_progress()

    def _show_progress(self) -> None:
        progress = self.progress
        if progress is None:
            return
        share = progress.scanned / progress.total if progress.total else 1.0
        self.bar.set_value(share)
        extent = "all" if progress.is_complete else f"{share:.0%}"
        self.state.set_text(
            f"{len(progress.found):,} found; {extent} of {progress.total:,} records covered"
        )
        self.records = list(progress.found)
        self._fill()

    # --- one record, and export

    def _show(self, index: int) -> None:
        record = self.records[index]
        with ui.dialog() as dialog, ui.card().classes("w-full").style("max-width: 60rem"):
            ui.label(
                f"{self.topic} · partition {record.partition} · offset {record.offset}"
            ).classes("text-subtitle1")
            ui.label(
                f"{formatting.moment(record.timestamp_ms)} UTC · {formatting.size(record.size)}"
            ).classes("text-caption text-grey")
            views = {
                "JSON": formatting.pretty(_cut(record.value)),
                "text": formatting.text_of(_cut(record.value)),
                "hex": formatting.hex_dump(record.value),
            }
            ui.label("Key").classes("text-caption text-grey")
            ui.label(formatting.text_of(_cut(record.key))).classes("mono")
            for name, value in record.headers:
                ui.label(f"{name}: {formatting.text_of(value)}").classes("mono")
            with ui.tabs().props("align=left no-caps dense") as tabs:
                for name in views:
                    ui.tab(name)
            with ui.tab_panels(tabs, value="JSON", animated=False).classes("w-full"):
                for name, text in views.items():
                    with ui.tab_panel(name).classes("q-px-none"):
                        ui.label(text).classes("mono")
            if record.value is not None and len(record.value) > MAX_SHOWN_BYTES:
                ui.label("Only the first 256 KiB are shown; an export has all.")
            ui.button("Close", on_click=dialog.close).props("flat")
        dialog.open()

    def export(self) -> None:
        """Download the records on the page, losslessly, as JSON lines."""
        lines = [json.dumps(export_line(r), ensure_ascii=False) for r in self.records]
        ui.download.content("\n".join(lines) + "\n", f"{self.topic}.jsonl")


def _cut(data: bytes | None) -> bytes | None:
    return data if data is None else data[:MAX_SHOWN_BYTES]


def export_line(record: RecordView) -> dict[str, Any]:
    """A record as JSON: text where the bytes are UTF-8, else base64 under a `_base64` name."""
    line: dict[str, Any] = {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
    }
    for name, data in (("key", record.key), ("value", record.value)):
        try:
            line[name] = None if data is None else data.decode()
        except UnicodeDecodeError:
            line[f"{name}_base64"] = base64.b64encode(data or b"").decode()
    line["headers"] = [
        [n, None if v is None else base64.b64encode(v).decode()] for n, v in record.headers
    ]
    return line
