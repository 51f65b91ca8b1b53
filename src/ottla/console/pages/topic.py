"""One topic: messages, partitions, consumers, configuration."""

from __future__ import annotations

import asyncio

from nicegui import ui

from ottla.console import dialogs, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import admin_button, frame, heading, path, tile
from ottla.console.pages.messages import MessagesPanel
from ottla.console.pages.overview import column

NO_CONSUMERS = 'flat dense no-data-label="No group has committed offsets here"'


def register(clusters: Clusters) -> None:
    @ui.page("/topics/{topic}")
    async def topic_page(topic: str, tab: str = "messages") -> None:
        with frame(clusters, topic, "/topics") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            heading(topic, ("Topics", "/topics"))
            if not cluster.partitions(topic) and not await asyncio.to_thread(
                cluster.topic_exists, topic
            ):
                ui.label(f"There is no topic {topic} in this cluster; it may have been deleted.")
                return
            await build(cluster, topic, tab)


async def build(cluster: ClusterView, topic: str, tab: str) -> None:
    rows = cluster.partitions(topic)
    with ui.row().classes("w-full gap-2"):
        tile("Partitions", formatting.count(len(rows)))
        tile("Records", formatting.count(sum(max(0, r["end"] - r["start"]) for r in rows)))
        tile("Records per second", formatting.rate(cluster.rates.by_topic.get(topic)))
        tile("Consumer groups", formatting.count(len(cluster.consumers_of(topic))))
    with ui.tabs().classes("w-full").props("align=left no-caps") as tabs:
        ui.tab("messages", "Messages")
        ui.tab("partitions", "Partitions")
        ui.tab("consumers", "Consumers")
        ui.tab("configuration", "Configuration")
    with ui.tab_panels(tabs, value=tab, animated=False).classes("w-full bg-transparent"):
        with ui.tab_panel("messages").classes("q-px-none"):
            await MessagesPanel(cluster, topic).build()
        with ui.tab_panel("partitions").classes("q-px-none"):
            with ui.row().classes("gap-2 q-mb-sm"):
                admin_button(
                    "Add partitions",
                    lambda: dialogs.add_partitions(cluster, topic, len(rows)),
                )
                admin_button(
                    "Empty", lambda: dialogs.empty_topic(cluster, topic), is_dangerous=True
                )
                admin_button(
                    "Delete", lambda: dialogs.delete_topic(cluster, topic), is_dangerous=True
                )
            partitions_table(cluster, topic)
        with ui.tab_panel("consumers").classes("q-px-none"):
            consumers_table(cluster, topic)
        with ui.tab_panel("configuration").classes("q-px-none"):
            await configuration_table(cluster, topic)


def partitions_table(cluster: ClusterView, topic: str) -> None:
    table = ui.table(
        columns=[
            column("partition", "Partition", right=True),
            column("leader", "Leader", right=True),
            column("replicas", "Replicas"),
            column("in_sync", "In sync"),
            column("start", "First offset", right=True),
            column("end", "End offset", right=True),
            column("records", "Offsets held", right=True),
        ],
        rows=[],
        row_key="partition",
        pagination=50,
    ).classes("w-full card clickable").props("flat dense")  # fmt: skip

    def refresh() -> None:
        table.rows = [
            {**r, "records": max(0, r["end"] - r["start"])} for r in cluster.partitions(topic)
        ]

    refresh()
    ui.timer(2.0, refresh)


def consumers_table(cluster: ClusterView, topic: str) -> None:
    """The groups that have committed offsets of this topic."""
    rows = []
    for group in cluster.consumers_of(topic):
        judged = cluster.judged_group(group)
        if judged is None:
            continue
        mine = [p for p in judged.partitions if p.topic == topic]
        rows.append(
            {
                "group": group,
                "status": judged.status.name,
                "partitions": len(mine),
                "lag": sum(p.current_lag for p in mine),
            }
        )
    table = ui.table(
        columns=[
            column("group", "Group"),
            column("status", "Verdict"),
            column("partitions", "Partitions", right=True),
            column("lag", "Lag", right=True),
        ],
        rows=rows,
        row_key="group",
        pagination=50,
    ).classes("w-full card clickable").props(NO_CONSUMERS)  # fmt: skip
    table.on("rowClick", lambda e: ui.navigate.to(path("groups", e.args[1]["group"])))


async def configuration_table(cluster: ClusterView, topic: str) -> None:
    try:
        entries = await asyncio.to_thread(cluster.topic_configs, topic)
    except ClusterError as error:
        ui.label(f"The configuration cannot be read: {error}").classes("text-negative")
        return
    ui.label("Click a key to change it.").classes("text-caption text-grey")
    table = (
        ui.table(
            columns=[
                column("key", "Key"),
                column("value", "Value"),
                column("origin", "Set by"),
            ],
            rows=[
                {
                    "key": e["key"],
                    "value": e["value"],
                    "origin": "default" if e["is_default"] else "this topic or broker",
                }
                for e in entries
            ],
            row_key="key",
            pagination=50,
        )
        .classes("w-full card clickable")
        .props("flat dense")
    )
    here = path("topics", topic) + "?tab=configuration"
    table.on(
        "rowClick",
        lambda e: dialogs.set_config(
            cluster,
            topic,
            e.args[1]["key"],
            e.args[1]["value"] or "",
            lambda: ui.navigate.to(here),
        ),
    )
