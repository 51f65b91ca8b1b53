"""The messages of a topic: slices, live tail, search, latest per key, one record in full.

Record contents are only ever put into text nodes and table cells that the
framework escapes, so that a record cannot run script in the console.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from ottla.console import dialogs, exchange, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import FIRST
from ottla.console.layout import admin_button, passing_dialog, path, zone, zone_name
from ottla.console.messages import (
    MAX_SHOWN_BYTES,
    Progress,
    Range,
    RecordView,
    filter_of,
    latest_per_key,
    search,
    slice_of,
)
from ottla.console.pages.columns import button_cells, column
from ottla.console.pages.importing import import_dialog

STARTS = {
    "end": "newest",
    "beginning": "from the beginning",
    "offset": "from an offset",
    "time": "from a time",
}
LIVE_S = 1.0
WITHOUT = "without a record to read: markers of transactions, aborted, not yet committed, compacted"
NO_RECORD = 'flat dense wrap-cells no-data-label="No record to show"'
Work = Callable[..., Iterator[Progress]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deep link leads: a partition and an offset in it, and a text to search for."""

    partition: int = -1
    offset: int = -1
    search: str = ""


class MessagesPanel:
    """Controls, the table, and a dialog for one record."""

    def __init__(self, cluster: ClusterView, topic: str, place: Place | None = None) -> None:
        self.cluster = cluster
        self.topic = topic
        self.place = place or Place()
        self.zone = zone()
        self.records: list[RecordView] = []
        self.progress: Progress | None = None  # written by the searching thread
        self.stop_search = False
        self.is_stale = False
        self.is_searching = False

    async def build(self) -> None:
        self._build_range()
        self._build_search()
        self.bar = ui.linear_progress(0, show_value=False).classes("w-full")
        self.bar.set_visibility(False)
        self.state = ui.label().classes("text-caption text-dim q-my-xs").props("role=status")
        self.table = ui.table(
            columns=[
                column("partition", "Partition", right=True),
                column("offset", "Offset", right=True),
                column("time", f"Time ({zone_name()})"),
                column("key", "Key"),
                column("value", "Value"),
            ],
            rows=[],
            row_key="id",
            pagination=50,
        ).classes("w-full card clickable messages").props(NO_RECORD)  # fmt: skip
        button_cells(
            self.table, "offset", "Open the record at offset", lambda r: self._show(r["index"])
        )
        self.table.on("rowClick", lambda e: self._show(e.args[1]["index"]))
        if self.place.offset >= 0:
            self.start.set_value("offset")
            self.position.set_value(str(self.place.offset))
        self._show_inputs()
        ui.context.client.on_delete(self._leave)
        await (self.search() if self.place.search else self.read())
        ui.timer(LIVE_S, self._tick)

    def _build_range(self) -> None:
        choice = self._partition_names()
        with ui.row().classes("items-center w-full gap-2 q-mb-sm"):
            self.start = ui.select(STARTS, value="end", on_change=self._show_inputs).props(
                'dense outlined aria-label="Where to start"'
            )
            self.position = ui.input("offset").props("dense outlined").classes("w-40")
            self.partition = ui.select(
                choice, value=self.place.partition if self.place.partition in choice else -1
            ).props('dense outlined aria-label="Partition"')
            self.limit = ui.select([50, 100, 500, 2000], value=100).props(
                'dense outlined aria-label="How many"'
            )
            ui.button("Read", on_click=self.read).props("no-caps unelevated")
            self.live = ui.switch("live", on_change=self._switch_live)
            ui.space()
            admin_button(
                "Produce",
                lambda: dialogs.produce(self.cluster, self.topic, self._soon),
                icon="add",
            )
            admin_button(
                "Import",
                lambda: import_dialog(self.cluster, self.topic, self._soon),
                icon="upload",
            )
            with ui.dropdown_button("Export", icon="download", auto_close=True).props(
                "no-caps outline dense padding='4px 10px'"
            ):
                ui.item("These records as JSON lines", on_click=lambda: self.export("jsonl"))
                ui.item("These records as CSV", on_click=lambda: self.export("csv"))
                ui.item("The whole topic as JSON lines", on_click=lambda: self.export_all("jsonl"))
                ui.item("The whole topic as CSV", on_click=lambda: self.export_all("csv"))

    def _build_search(self) -> None:
        with ui.row().classes("items-center w-full gap-2"):
            self.text = ui.input(
                placeholder="Search key, value and headers", value=self.place.search
            ).props(
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
            self.keys_button = ui.button("Latest per key", on_click=self.keys).props(
                "no-caps outline"
            )
        for field in (self.text, self.path):
            field.on("keydown.enter", self.search)
        self.position.on("keydown.enter", self.read)

    async def _switch_live(self) -> None:
        """Live is what comes: the newest records, again and again."""
        if self.live.value:
            self.start.set_value("end")
            await self.read()

    def _show_inputs(self) -> None:
        kind = self.start.value
        if kind != "end":
            self.live.set_value(False)
        self.position.set_visibility(kind in ("offset", "time"))
        label = "offset" if kind == "offset" else "2026-01-31 12:00"
        self.position.props(f'label="{label}"')

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
                wanted.time_ms = formatting.moment_ms(text, self.zone)
            except ValueError as error:
                raise ClusterError(str(error)) from None
        return wanted

    async def read(self) -> None:
        """Show a slice of the topic by the controls."""
        try:
            wanted = self._range()
            found = await asyncio.to_thread(slice_of, self.cluster, self.topic, wanted)
        except ClusterError as error:
            self.state.set_text(str(error))
            return
        self.records = found.records
        empty = formatting.counted(found.empty_offsets, "offset")
        note = f"; {empty} {WITHOUT}" if found.empty_offsets else ""
        self.state.set_text(f"{len(self.records):,} records, {STARTS[wanted.start]}{note}")
        self._fill()

    def _leave(self) -> None:
        """The page was closed: nobody waits for what it was looking for."""
        self.stop_search = True

    def _soon(self) -> None:
        """Read again with the next tick."""
        self.is_stale = True

    def _partition_names(self) -> dict[int, str]:
        """The choice of partitions: a topic's first sample may come after its page."""
        numbers = {r["partition"] for r in self.cluster.partitions(self.topic)}
        if self.place.partition >= 0:
            numbers.add(self.place.partition)
        return {-1: "all partitions", **{n: f"partition {n}" for n in sorted(numbers)}}

    async def _tick(self) -> None:
        names = self._partition_names()
        if names != self.partition.options:
            self.partition.set_options(names)
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
                "time": formatting.moment(r.timestamp_ms, self.zone),
                "key": formatting.preview(r.key),
                "value": formatting.preview(r.value),
            }
            for i, r in enumerate(self.records)
        ]

    # --- search

    async def search(self) -> None:
        """Look through the whole range from the chosen start; a second click stops it."""
        await self._work(search, self.search_button, "Search all")

    async def keys(self) -> None:
        """The newest record of each key; a second click stops it."""
        await self._work(latest_per_key, self.keys_button, "Latest per key")

    async def _work(self, work: Work, button: ui.button, name: str) -> None:
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
        button.set_text("Stop")
        self.bar.set_visibility(True)

        def run() -> None:
            for progress in work(
                self.cluster, self.topic, wanted, matches, lambda: self.stop_search
            ):
                self.progress = progress

        problem = ""
        try:
            await asyncio.to_thread(run)
        except ClusterError as error:
            problem = str(error)
        finally:
            self.is_searching = False
            button.set_text(name)
            self.bar.set_visibility(False)
        self._show_progress()
        if problem:
            covered = f" {self.state.text}" if self.progress is not None else ""
            self.state.set_text(problem + covered)

    def _show_progress(self) -> None:
        progress = self.progress
        if progress is None:
            return
        share = progress.scanned / progress.total if progress.total else 1.0
        self.bar.set_value(share)
        extent = "all" if progress.is_complete else f"{share:.0%}"
        first = len(progress.found)
        shown = f" (the first {first:,} are shown)" if 0 < first < progress.matches else ""
        self.state.set_text(
            f"{progress.matches:,} found; {extent} of {progress.total:,} records covered{shown}"
        )
        self.records = list(progress.found)
        self._fill()

    # --- one record, and export

    def _show(self, index: int) -> None:
        RecordDialog(self.cluster, self.topic, self.records[index]).open()

    def export(self, kind: str) -> None:
        """Download the records on the page, losslessly."""
        text = (
            exchange.as_csv(self.records) if kind == "csv" else exchange.as_json_lines(self.records)
        )
        ui.download.content(text, f"{self.topic}.{kind}")

    def export_all(self, kind: str) -> None:
        """Download all there is, streamed by the server."""
        query = urlencode({"format": kind, "cluster": self.cluster.name})
        ui.download.from_url(f"{path('export', self.topic)}?{query}")


class RecordDialog:
    """One record in full: raw, text, JSON, hex, and as commands to copy."""

    def __init__(self, cluster: ClusterView, topic: str, record: RecordView) -> None:
        self.cluster = cluster
        self.topic = topic
        self.record = record

    def open(self) -> None:
        record = self.record
        value = _shown(record.value)
        views = {
            "JSON": formatting.pretty(value),
            "text": formatting.text_of(value),
            "raw": formatting.raw(value),
            "hex": formatting.hex_dump(record.value),
            "curl": exchange.as_curl(self.cluster.cluster_id, self.topic, record),
            "kcat": exchange.as_kcat(self.cluster.client_config, self.topic, record),
        }
        with (
            passing_dialog() as dialog,
            ui.card().classes("w-full gap-2").style("max-width: 60rem"),
        ):
            ui.label(
                f"{self.topic} · partition {record.partition} · offset {record.offset}"
            ).classes("text-subtitle1 text-weight-medium")
            moment = formatting.moment(record.timestamp_ms, zone())
            ui.label(f"{moment} {zone_name()} · {formatting.size(record.size)}").classes(
                "text-caption text-dim"
            )
            place = {"partition": record.partition, "offset": record.offset}
            named = {} if self.cluster.name == FIRST else {"cluster": self.cluster.name}
            query = urlencode({**place, **named})
            ui.link("Link to this record", f"{path('topics', self.topic)}?{query}").classes(
                "link text-caption"
            )
            ui.label("Key").classes("text-caption text-dim")
            ui.label(formatting.text_of(_shown(record.key))).classes("mono")
            if record.headers:
                ui.label("Headers").classes("text-caption text-dim")
            for name, data in record.headers:
                ui.label(f"{name}: {formatting.text_of(_shown(data))}").classes("mono")
            self._views(views)
            if record.value is not None and len(record.value) > MAX_SHOWN_BYTES:
                ui.label("Only the first 256 KiB are shown; an export has all.")
            ui.button("Close", on_click=dialog.close).props("flat no-caps")
        dialog.open()

    def _views(self, views: dict[str, str]) -> None:
        with ui.tabs().props("align=left no-caps dense") as tabs:
            for name in views:
                ui.tab(name)
        with ui.tab_panels(tabs, value="JSON", animated=False).classes("w-full"):
            for name, text in views.items():
                with ui.tab_panel(name).classes("q-px-none"):
                    ui.label(text).classes("mono").style("max-height: 26rem; overflow-y: auto")
                    ui.button(
                        "Copy", icon="content_copy", on_click=lambda text=text: _copy(text)
                    ).props("flat dense no-caps").classes("q-mt-sm")


def _shown(data: bytes | None) -> bytes | None:
    return None if data is None else formatting.cut(data, MAX_SHOWN_BYTES)


def _copy(text: Any) -> None:
    ui.clipboard.write(str(text))
    ui.notify("Copied")
