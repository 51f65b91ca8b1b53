"""What is in a topic: the shape of its JSON, keys, sizes, how partitions are filled."""

from __future__ import annotations

import asyncio

from nicegui import ui

from ottla.console import formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.layout import raw_html, section, tile, update_html
from ottla.console.markup import Markup, tag
from ottla.console.messages import Range, read_slice
from ottla.console.pages.drawing import bars
from ottla.console.schema_guess import FieldGuess, SchemaGuess, guess
from ottla.console.topic_statistics import PERCENTILES, TOP_KEYS, Statistics, measure

SAMPLES = 500
REFRESH_S = 0.5


class StatisticsPanel:
    """The schema from the newest records at once; statistics of all records when asked for."""

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.stop = False
        self.is_running = False
        self.found: tuple[Statistics, float] | None = None

    async def build(self) -> None:
        with ui.card().classes("card q-pa-md w-full gap-2"):
            with ui.row().classes("items-center w-full gap-3"):
                section("Keys and sizes of all records")
                self.state = ui.label().classes("text-dim").props("role=status")
                ui.space()
                self.button = ui.button("Count", on_click=self.count).props(
                    "no-caps outline dense padding='4px 10px'"
                )
            self.bar = ui.linear_progress(0, show_value=False)
            self.bar.set_visibility(False)
            with ui.element("div").classes("tiles"):
                self.tiles = {
                    name: tile(name, "–")
                    for name in ("Records", "Null keys", "Distinct keys", "Null values", "JSON",
                                 "With headers", *(f"Size, {p} %" for p in PERCENTILES))
                }  # fmt: skip
            with ui.element("div").classes("grid2"):
                self.partitions = raw_html()
                self.keys = raw_html()
        with ui.card().classes("card q-pa-md w-full gap-2"):
            section("The shape of its JSON")
            self.schema = raw_html().classes("w-full")
        ui.timer(REFRESH_S, self._show)
        ui.context.client.on_delete(self._leave)
        await self._guess()

    async def _guess(self) -> None:
        try:
            records = await asyncio.to_thread(
                read_slice, self.cluster, self.topic, Range(start="end", limit=SAMPLES)
            )
        except ClusterError as error:
            update_html(self.schema, tag("div", str(error), class_="text-negative"))
            return
        update_html(self.schema, schema_table(guess(r.value for r in records)))

    def _leave(self) -> None:
        """The page was closed."""
        self.stop = True

    async def count(self) -> None:
        """Read all of the topic; a second click stops."""
        if self.is_running:
            self.stop = True
            return
        self.is_running, self.stop = True, False
        self.button.set_text("Stop")
        self.bar.set_visibility(True)

        def work() -> None:
            for found in measure(self.cluster, self.topic, lambda: self.stop):
                self.found = found

        try:
            await asyncio.to_thread(work)
            self._show(is_last=True)
        except ClusterError as error:
            self.state.set_text(str(error))
        finally:
            self.is_running = False
            self.button.set_text("Count again")
            self.bar.set_visibility(False)

    def _show(self, *, is_last: bool = False) -> None:
        if self.found is None or not (self.is_running or is_last):
            return
        found, share = self.found
        count = max(found.records, 1)
        self.bar.set_value(share)
        self.state.set_text("all of the topic covered" if share >= 1 else f"{share:.0%} covered")
        about = "" if found.keys.is_exact else "~"
        values = {
            "Records": formatting.count(found.records),
            "Null keys": f"{found.null_keys / count:.1%}",
            "Distinct keys": about + formatting.count(found.keys.count),
            "Null values": f"{found.null_values / count:.1%}",
            "JSON": f"{found.json_values / count:.1%}",
            "With headers": f"{found.with_headers / count:.1%}",
            **{f"Size, {p} %": formatting.size(found.percentile(p)) for p in PERCENTILES},
        }
        for name, value in values.items():
            self.tiles[name].set_text(value)
        spread = [(f"partition {n}", float(c)) for n, c in sorted(found.by_partition.items())]
        update_html(self.partitions, bars(spread[:40], formatting.count, "No records"))
        frequent = [(k, float(n)) for k, n in found.top_keys.top(TOP_KEYS)]
        update_html(self.keys, bars(frequent, formatting.count, "No record has a key"))


def schema_table(found: SchemaGuess) -> Markup:
    """One row for each path, with how often it is there."""
    if not found.json:
        text = (
            f"None of the {found.samples} newest values is JSON."
            if found.samples
            else "The topic is empty."
        )
        return tag("div", text, class_="text-dim")
    head = tag("tr", *(tag("th", n) for n in ("Path", "Type", "In", "Range", "Such as")))
    rows = [_field_row(one, found.json) for one in found.fields]
    note = f"Guessed from the {found.samples} newest records, {found.json} of them JSON."
    return tag("div", tag("div", note, class_="text-dim"), tag("table", head, *rows, class_="feed"))


def _field_row(one: FieldGuess, values: int) -> Markup:
    depth = one.path.count(".") + one.path.count("[]")
    is_range = one.low is not None and one.high is not None and one.low != one.high
    return tag(
        "tr",
        tag("td", one.path.removeprefix("$.") or "$", class_="mono",
            style=f"padding-left:{8 + 14 * max(0, depth - 1)}px"),
        tag("td", " or ".join(name for name, _ in one.types.most_common())),
        tag("td", f"{min(1.0, one.seen / values):.0%}"),
        tag("td", f"{one.low:g} … {one.high:g}" if is_range else ""),
        tag("td", ", ".join(one.examples), class_="mono"),
    )  # fmt: skip
