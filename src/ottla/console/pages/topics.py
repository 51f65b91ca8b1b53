"""The list of topics: search, sort, rates; built for thousands of them."""

from __future__ import annotations

import asyncio

from nicegui import ui

from ottla.console import dialogs, formatting
from ottla.console.cluster import ClusterView, TopicRow
from ottla.console.clusters import Clusters
from ottla.console.layout import admin_button, frame, heading, page, path
from ottla.console.pages.columns import WHAT_IS_COUNTED, column, explained, link_cells
from ottla.console.vitals import Vitals

PAGE_ROWS = 50
NO_TOPIC = 'flat dense no-data-label="There is no such topic"'
ORDERS = {
    "name": lambda r: r.name.lower(),
    "records": lambda r: -r.records,
    "rate": lambda r: -(r.rate or 0),
    "partitions": lambda r: -r.partitions,
}


def register(clusters: Clusters) -> None:
    @page("/topics")
    async def topics() -> None:
        with frame(clusters, "Topics", "/topics") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            TopicList(cluster, clusters.vitals_of(cluster)).build()


class TopicList:
    """Only the rows of one page of the list reach the browser."""

    def __init__(self, cluster: ClusterView, vitals: Vitals) -> None:
        self.cluster = cluster
        self.vitals = vitals

    def build(self) -> None:
        heading("Topics")
        with ui.row().classes("items-center w-full"):
            self.search = ui.input(placeholder="Search", on_change=self.refresh).props(
                'dense outlined clearable aria-label="Search topics" debounce=150'
            )
            self.order = ui.select(
                {"name": "by name", "records": "most records", "size": "largest", "rate": "busiest",
                 "partitions": "most partitions"},
                value="name",
                on_change=self.refresh,
            ).props('dense outlined aria-label="Order"')  # fmt: skip
            self.internal = ui.checkbox("internal topics", on_change=self.refresh)
            ui.space()
            admin_button("Create a topic", lambda: dialogs.create_topic(self.cluster), icon="add")
            self.found = ui.label().classes("text-grey")
        self.table = (
            ui.table(
                columns=[
                    column("name", "Topic", is_sortable=False),
                    column("partitions", "Partitions", right=True, is_sortable=False),
                    column("replication", "Replication", right=True, is_sortable=False),
                    column("records", "Records", right=True, is_sortable=False),
                    column("size", "Size", right=True, is_sortable=False),
                    column("rate", "Records/s", right=True, is_sortable=False),
                    column("sync", "In sync", is_sortable=False),
                ],
                rows=[],
                row_key="name",
            )
            .classes("w-full card clickable")
            .props(NO_TOPIC)
        )
        link_cells(self.table, "name", "topics")
        explained(self.table, "records", WHAT_IS_COUNTED)
        self.table.on("rowClick", lambda e: ui.navigate.to(path("topics", e.args[1]["name"])))
        with ui.row().classes("w-full justify-center"):
            self.pages = ui.pagination(1, 1, direction_links=True, on_change=self.refresh)
        self.refresh()
        ui.timer(3.0, self.refresh)

    def _wanted(self) -> list[TopicRow]:
        text = (self.search.value or "").lower()
        rows = [
            r
            for r in self.cluster.topic_rows()
            if text in r.name.lower() and (self.internal.value or not r.is_internal)
        ]
        if self.order.value == "size":
            return sorted(rows, key=lambda r: -(self.vitals.topic_size(r.name) or 0))
        return sorted(rows, key=ORDERS[self.order.value])

    def refresh(self) -> None:
        rows = self._wanted()
        last = max(1, -(-len(rows) // PAGE_ROWS))
        self.pages.max = last
        self.pages.set_visibility(last > 1)
        page = min(int(self.pages.value or 1), last)
        shown = rows[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
        self.found.set_text(formatting.counted(len(rows), "topic"))
        self.table.rows = [
            {
                "name": r.name,
                "partitions": r.partitions,
                "replication": r.replication_factor,
                "records": formatting.count(r.records),
                "size": formatting.size(self.vitals.topic_size(r.name)),
                "rate": formatting.rate(r.rate),
                "sync": "yes" if r.in_sync else "NO",
            }
            for r in shown
        ]
