"""Overview: problems first, then brokers, rates and the busiest topics."""

from __future__ import annotations

import asyncio

from nicegui import ui

from ottla.console import formatting
from ottla.console.cluster import SAMPLE_S, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import frame, heading, path, tile
from ottla.console.pages.columns import column
from ottla.console.pages.drawing import line_chart

BUSIEST = 8


def register(clusters: Clusters) -> None:
    @ui.page("/")
    async def overview() -> None:
        with frame(clusters, "Overview", "/") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            Overview(cluster).build()


class Overview:
    """The page's parts that change; refreshed with every sample."""

    def __init__(self, cluster: ClusterView) -> None:
        self.cluster = cluster

    def build(self) -> None:
        heading("Overview")
        self.problems = ui.column().classes("w-full gap-2")
        self.shown_problems: list[str] | None = None
        with ui.row().classes("w-full gap-2"):
            self.brokers = tile("Brokers", "–")
            self.controller = tile("Controller", "–")
            self.topics = tile("Topics", "–")
            self.partitions = tile("Partitions", "–")
            self.groups = tile("Consumer groups", "–")
            self.rate = tile("Records in per second", "–")
        with ui.card().classes("card w-full q-pa-md gap-1"):
            ui.label("Records in per second").classes("text-subtitle1")
            self.chart = ui.echart(line_chart("records")).classes("w-full h-44")
        with ui.row().classes("w-full gap-4 items-start no-wrap"):
            with ui.card().classes("card grow q-pa-md gap-1"):
                ui.label("Busiest topics").classes("text-subtitle1")
                self.busiest = (
                    ui.table(
                        columns=[
                            column("topic", "Topic"),
                            column("rate", "Records/s", right=True),
                            column("records", "Records", right=True),
                        ],
                        rows=[],
                        row_key="topic",
                    )
                    .classes("w-full clickable")
                    .props("flat dense")
                )
                self.busiest.on(
                    "rowClick", lambda e: ui.navigate.to(path("topics", e.args[1]["topic"]))
                )
            with ui.card().classes("card grow q-pa-md gap-1"):
                ui.label("Groups with most lag").classes("text-subtitle1")
                self.lagging = (
                    ui.table(
                        columns=[
                            column("group", "Group"),
                            column("status", "Verdict"),
                            column("lag", "Lag", right=True),
                        ],
                        rows=[],
                        row_key="group",
                    )
                    .classes("w-full clickable")
                    .props("flat dense")
                )
                self.lagging.on(
                    "rowClick", lambda e: ui.navigate.to(path("groups", e.args[1]["group"]))
                )
        ui.label(
            "Rates come from the growth of the partitions' ends; bytes and latencies are shown"
            " by /metrics of the embedded broker."
        ).classes("text-caption text-grey")
        self.refresh()
        ui.timer(SAMPLE_S, self.refresh)

    def refresh(self) -> None:
        cluster = self.cluster
        rows = cluster.topic_rows()
        judged = cluster.judged_groups()
        rates = cluster.rates
        self._show_problems(cluster.problems())
        self.brokers.set_text(formatting.count(len(cluster.brokers())))
        self.controller.set_text("–" if cluster.controller is None else str(cluster.controller))
        self.topics.set_text(formatting.count(len(rows)))
        self.partitions.set_text(formatting.count(sum(r.partitions for r in rows)))
        self.groups.set_text(formatting.count(len(judged)))
        self.rate.set_text(formatting.rate(rates.total[-1] if rates.total else None))
        self.chart.options["series"][0]["data"] = [
            [t, round(v, 1)] for t, v in zip(rates.times_ms, rates.total, strict=True)
        ]
        self.chart.update()
        busiest = sorted(
            (r for r in rows if not r.is_internal), key=lambda r: (-(r.rate or 0), -r.records)
        )
        self.busiest.rows = [
            {
                "topic": r.name,
                "rate": formatting.rate(r.rate),
                "records": formatting.count(r.records),
            }
            for r in busiest[:BUSIEST]
        ]
        self.lagging.rows = [
            {"group": s.group, "status": s.status.name, "lag": formatting.count(s.total_lag)}
            for s in sorted(judged, key=lambda s: (-int(s.status), -s.total_lag))[:BUSIEST]
        ]

    def _show_problems(self, problems: list[str]) -> None:
        if problems == self.shown_problems:
            return
        self.shown_problems = problems
        self.problems.clear()
        with self.problems:
            for text in problems:
                with ui.card().classes("card problem w-full q-py-sm"):
                    ui.label(text)
            if not problems:
                with ui.card().classes("card fine w-full q-py-sm"):
                    ui.label("No problems: all partitions have leaders, no group is in trouble.")
