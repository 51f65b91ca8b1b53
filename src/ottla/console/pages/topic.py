"""One topic: messages, partitions, consumers, configuration."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ottla.console import dialogs, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import admin_button, frame, heading, page, path, show_address, tile
from ottla.console.pages.anatomy import log_tab
from ottla.console.pages.columns import WHAT_IS_COUNTED, button_cells, column, link_cells
from ottla.console.pages.configuration import ConfigurationPanel
from ottla.console.pages.messages import MessagesPanel, Place
from ottla.console.pages.producers import Producers
from ottla.console.pages.statistics import StatisticsPanel
from ottla.console.vitals import Vitals
from ottla.lag.store import GroupStatus

NO_CONSUMERS = 'flat dense no-data-label="No group has committed offsets here"'


TABS = {
    "messages": "Messages",
    "partitions": "Partitions",
    "consumers": "Consumers",
    "producers": "Producers",
    "statistics": "Statistics",
    "configuration": "Configuration",
    "anatomy": "Anatomy",
}


def register(clusters: Clusters) -> None:
    @page("/topics/{topic}")
    async def topic_page(
        topic: str, tab: str = "messages", partition: int = -1, offset: int = -1, search: str = ""
    ) -> None:
        with frame(clusters, topic, "/topics") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            heading(topic, ("Topics", "/topics"))
            if not cluster.partitions(topic):
                try:
                    is_there = await asyncio.to_thread(cluster.topic_exists, topic)
                except ClusterError as error:
                    ui.label(f"Whether there is a topic {topic} cannot be known now. {error}")
                    return
                if not is_there:
                    ui.label(
                        f"There is no topic {topic} in this cluster; it may have been deleted."
                    )
                    return
            await TopicPage(
                cluster, clusters.vitals_of(cluster), topic, Place(partition, offset, search)
            ).build(tab if tab in TABS else "messages")


class TopicPage:
    """Tiles and tabs; a tab is built when it is first looked at."""

    def __init__(self, cluster: ClusterView, vitals: Vitals, topic: str, place: Place) -> None:
        self.cluster = cluster
        self.vitals = vitals
        self.topic = topic
        self.place = place
        self.built: set[str] = set()
        self.places: dict[str, ui.tab_panel] = {}

    async def build(self, tab: str) -> None:
        with ui.element("div").classes("tiles"):
            self.tiles = [
                tile(name, "–") for name in ("Partitions", "Records", "Records per second",
                                             "Size", "Consumer groups")
            ]  # fmt: skip
        self.tiles[1].tooltip(WHAT_IS_COUNTED)
        self.refresh()
        ui.timer(2.0, self.refresh)
        with ui.tabs().classes("w-full").props("align=left no-caps dense") as tabs:
            for name, text in TABS.items():
                ui.tab(name, text)
        with ui.tab_panels(tabs, value=tab, animated=False).classes("w-full bg-transparent"):
            for name in TABS:
                self.places[name] = ui.tab_panel(name).classes("q-px-none")
        tabs.on_value_change(lambda event: self.show(str(event.value)))
        await self.show(tab, is_first=True)

    def refresh(self) -> None:
        cluster, topic = self.cluster, self.topic
        rows = cluster.partitions(topic)
        values = (
            formatting.count(len(rows)),
            formatting.count(sum(max(0, r["end"] - r["start"]) for r in rows)),
            formatting.rate(cluster.rates.by_topic.get(topic)),
            formatting.size(self.vitals.topic_size(topic)),
            formatting.count(len(cluster.consumers_of(topic))),
        )
        for label, value in zip(self.tiles, values, strict=True):
            label.set_text(value)

    async def show(self, tab: str, *, is_first: bool = False) -> None:
        """The tab has its content, and the address names it."""
        if not is_first:
            show_address(f"{path('topics', self.topic)}?tab={tab}")
        if tab in self.built:
            return
        self.built.add(tab)
        cluster, topic = self.cluster, self.topic
        with self.places[tab]:
            if tab == "messages":
                await MessagesPanel(cluster, topic, self.place).build()
            elif tab == "partitions":
                self._build_partitions()
            elif tab == "consumers":
                consumers_table(cluster, topic)
            elif tab == "producers":
                await Producers(cluster, topic).build()
            elif tab == "statistics":
                await StatisticsPanel(cluster, topic).build()
            elif tab == "anatomy":
                await log_tab(cluster, topic, self.place.partition)
            else:
                await ConfigurationPanel(cluster, topic).build()

    def _build_partitions(self) -> None:
        cluster, topic = self.cluster, self.topic
        with ui.row().classes("gap-2 q-mb-sm"):
            admin_button("Add partitions", lambda: dialogs.add_partitions(cluster, topic))
            admin_button("Clone", lambda: dialogs.clone_topic(cluster, topic))
            admin_button("Empty", lambda: dialogs.empty_topic(cluster, topic), is_dangerous=True)
            admin_button("Delete", lambda: dialogs.delete_topic(cluster, topic), is_dangerous=True)
        partitions_table(cluster, self.vitals, topic)


def partitions_table(cluster: ClusterView, vitals: Vitals, topic: str) -> None:
    table = ui.table(
        columns=[
            column("partition", "Partition", right=True),
            column("leader", "Leader", right=True),
            column("replicas", "Replicas"),
            column("in_sync", "In sync"),
            column("start", "First offset", right=True),
            column("end", "End offset", right=True),
            column("records", "Offsets held", right=True),
            column("size", "Size", right=True),
        ],
        rows=[],
        row_key="partition",
        pagination=50,
    ).classes("w-full card clickable").props("flat dense")  # fmt: skip

    def look(row: dict[str, Any]) -> None:
        ui.navigate.to(f"{path('topics', topic)}?partition={row['partition']}")

    button_cells(table, "partition", "Messages of partition", look)
    table.on("rowClick", lambda e: look(e.args[1]))

    def refresh() -> None:
        sizes = vitals.disks.sizes if vitals.disks else {}
        table.rows = [
            {
                **r,
                "records": max(0, r["end"] - r["start"]),
                "size": formatting.size(sizes.get((topic, r["partition"]))),
            }
            for r in cluster.partitions(topic)
        ]

    refresh()
    ui.timer(2.0, refresh)


def consumers_table(cluster: ClusterView, topic: str) -> None:
    """The groups that have committed offsets of this topic."""
    table = ui.table(
        columns=[
            column("group", "Group"),
            column("status", "Verdict"),
            column("partitions", "Partitions", right=True),
            column("lag", "Lag", right=True),
        ],
        rows=[],
        row_key="group",
        pagination=50,
    ).classes("w-full card clickable").props(NO_CONSUMERS)  # fmt: skip
    link_cells(table, "group", "groups")
    table.on("rowClick", lambda e: ui.navigate.to(path("groups", e.args[1]["group"])))

    def refresh() -> None:
        table.rows = [_consumer(s, topic) for s in cluster.judged_consumers(topic)]

    refresh()
    ui.timer(2.0, refresh)


def _consumer(judged: GroupStatus, topic: str) -> dict[str, Any]:
    mine = [p for p in judged.partitions if p.topic == topic]
    return {
        "group": judged.group,
        "status": judged.status.name,
        "partitions": len(mine),
        "lag": sum(p.current_lag for p in mine),
    }
