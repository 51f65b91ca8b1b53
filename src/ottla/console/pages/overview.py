"""Overview: problems first, then brokers, quorum, rates, latencies, lag that grows, disk."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ottla.console import formatting
from ottla.console.cluster import SAMPLE_S, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import frame, heading, page, path, section, tile
from ottla.console.pages.columns import column, link_cells
from ottla.console.pages.drawing import line_chart
from ottla.console.vitals import APIS, Vitals

BUSIEST = 8
#: In powers of ten, for round numbers at the lines.
BYTES_AT_AXIS = (
    "n => { let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++ }"
    " return +n.toFixed(1) + ' ' + ['B', 'kB', 'MB', 'GB', 'TB'][i] }"
)


def register(clusters: Clusters) -> None:
    @page("/")
    async def overview() -> None:
        with frame(clusters, "Overview", "/") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            Overview(cluster, clusters.vitals_of(cluster)).build()


class Overview:
    """The page's parts that change; refreshed with every sample."""

    def __init__(self, cluster: ClusterView, vitals: Vitals) -> None:
        self.cluster = cluster
        self.vitals = vitals

    def build(self) -> None:
        heading("Overview")
        self.problems = ui.column().classes("w-full gap-2").props("role=status")
        self.shown_problems: list[ui.label] = []
        with self.problems, ui.card().classes("card fine w-full q-py-sm") as self.fine:
            ui.label("No problems: all partitions have leaders, no group is in trouble.")
        with ui.element("div").classes("tiles"):
            self.tiles = {
                name: tile(name, "–")
                for name in ("Brokers", "Controller", "Quorum", "Topics", "Partitions", "Groups",
                             "Records in/s", "Records read/s", "Disk used", "Disk free")
            }  # fmt: skip
        with ui.element("div").classes("grid2"):
            with ui.card().classes("card q-pa-md gap-1"):
                section("Records per second")
                self.records = _chart("in", "read by groups")
            with ui.card().classes("card q-pa-md gap-1"):
                self.bytes_title = section("Bytes per second")
                self.bytes = _chart("in", "out")
                self.bytes.options["yAxis"]["axisLabel"][":formatter"] = BYTES_AT_AXIS
                self.no_bytes = ui.label().classes("text-dim")
            with ui.card().classes("card q-pa-md gap-1"):
                self.latency_title = section("Milliseconds per request (a fetch waits for records)")
                self.latency = _chart(*(api.lower() for api in APIS))
                self.no_latency = ui.label().classes("text-dim")
            with ui.card().classes("card q-pa-md gap-1"):
                section("Lag of the groups that have most")
                self.lag = _chart()
        with ui.element("div").classes("grid2"):
            with ui.card().classes("card q-pa-md gap-1"):
                section("Busiest topics")
                self.busiest = _table(
                    "Nothing flows yet: start a demo", "topics",
                    column("topic", "Topic"), column("rate", "Records/s", right=True),
                    column("records", "Records", right=True),
                )  # fmt: skip
            with ui.card().classes("card q-pa-md gap-1"):
                section("Groups: the worst first")
                self.lagging = _table(
                    "No group has committed yet", "groups",
                    column("group", "Group"), column("status", "Verdict"),
                    column("lag", "Lag", right=True), column("growth", "Grows by", right=True),
                )  # fmt: skip
        self.refresh()
        ui.timer(SAMPLE_S, self.refresh)

    def refresh(self) -> None:
        self._show_problems(self.vitals.problems() + self.cluster.problems())
        self._show_tiles()
        self._draw()
        self._list()

    def _show_tiles(self) -> None:
        cluster, vitals = self.cluster, self.vitals
        rows = cluster.topic_rows()
        rates = cluster.rates
        disks = vitals.disks.directories if vitals.disks else []
        free = min((r["free"] / r["total"] for r in disks if r["total"]), default=None)
        voters = [r for r in vitals.quorum if r["role"] != "observer"]
        values = {
            "Brokers": formatting.count(len(cluster.brokers())),
            "Controller": "–" if cluster.controller is None else str(cluster.controller),
            "Quorum": f"{len(voters)} of {len(voters)}" if voters else "not known",
            "Topics": formatting.count(len(rows)),
            "Partitions": formatting.count(sum(r.partitions for r in rows)),
            "Groups": formatting.count(len(cluster.judged_groups())),
            "Records in/s": formatting.rate(rates.total[-1] if rates.total else None),
            "Records read/s": formatting.rate(rates.read[-1] if rates.read else None),
            "Disk used": formatting.size(sum(r["used"] for r in disks)) if disks else "not known",
            "Disk free": "not known" if free is None else f"{free:.0%}",
        }
        if voters:
            late = sum((r["behind_ms"] or 0) > 10_000 for r in voters)
            values["Quorum"] = f"{len(voters) - late} of {len(voters)}"
        for name, value in values.items():
            self.tiles[name].set_text(value)

    def _draw(self) -> None:
        rates, series = self.cluster.rates, self.vitals.series
        _set(self.records, rates.times_ms, rates.total, rates.read)
        has_metrics = not self.vitals.why_no_metrics
        why = (
            f"Not known: {self.vitals.why_no_metrics}. Kafka's protocol has no such numbers;"
            " --broker-metrics URL names a broker's metrics endpoint."
        )
        for chart, note in ((self.bytes, self.no_bytes), (self.latency, self.no_latency)):
            chart.set_visibility(has_metrics)
            note.set_visibility(not has_metrics)
            note.set_text(why)
        if has_metrics:
            _set(self.bytes, series.times_ms, series.bytes_in, series.bytes_out)
            _set(self.latency, series.times_ms, *series.latency_ms.values())
        self._draw_lag()

    def _draw_lag(self) -> None:
        lags = self.cluster.lags
        worst = sorted(self.cluster.judged_groups(), key=lambda s: (-s.total_lag, s.group))[:5]
        options = line_chart(*(s.group for s in worst))
        for shown, status in zip(options["series"], worst, strict=True):
            shown.pop("areaStyle")
            shown["data"] = [[t, lag] for t, lag in lags.total_of(status.group)]
        self.lag.options.clear()
        self.lag.options.update(options)
        self.lag.update()

    def _list(self) -> None:
        rows = [r for r in self.cluster.topic_rows() if not r.is_internal]
        busiest = sorted(rows, key=lambda r: (-(r.rate or 0), -r.records))
        self.busiest.rows = [
            {
                "topic": r.name,
                "rate": formatting.rate(r.rate),
                "records": formatting.count(r.records),
            }
            for r in busiest[:BUSIEST]
        ]
        judged = sorted(
            self.cluster.judged_groups(), key=lambda s: (-int(s.status), -s.total_lag, s.group)
        )
        self.lagging.rows = [
            {
                "group": s.group,
                "status": s.status.name,
                "lag": formatting.count(s.total_lag),
                "growth": _growth(self.cluster.lags.growth(s.group)),
            }
            for s in judged[:BUSIEST]
        ]

    def _show_problems(self, problems: list[str]) -> None:
        """Sentences change in place: what somebody selects or listens to stays."""
        for gone in self.shown_problems[len(problems) :]:
            assert gone.parent_slot is not None
            gone.parent_slot.parent.delete()
        del self.shown_problems[len(problems) :]
        while len(self.shown_problems) < len(problems):
            with self.problems, ui.card().classes("card problem w-full q-py-sm"):
                self.shown_problems.append(ui.label())
        for label, text in zip(self.shown_problems, problems, strict=True):
            label.set_text(text)
        self.fine.set_visibility(not problems)


def _growth(growth: float | None) -> str:
    return "–" if growth is None else f"{growth:+,.1f}/s" if growth else "0"


def _chart(*names: str) -> ui.echart:
    return ui.echart(line_chart(*names)).classes("w-full h-36")


def _set(chart: ui.echart, times_ms: Any, *rings: Any) -> None:
    """Each ring becomes one line of the chart."""
    times = list(times_ms)
    for series, ring in zip(chart.options["series"], rings, strict=True):
        values = list(ring)
        series["data"] = [
            [t, None if v is None else round(v, 2)]
            for t, v in zip(times[-len(values) :] if values else [], values, strict=False)
        ]
    chart.update()


def _table(nothing: str, target: str, *columns: dict[str, Any]) -> ui.table:
    """A short list whose rows lead to the page of what they name."""
    key = columns[0]["name"]
    table = (
        ui.table(columns=list(columns), rows=[], row_key=key)
        .classes("w-full clickable short")
        .props(f'flat dense no-data-label="{nothing}"')
    )
    link_cells(table, key, target)
    table.on("rowClick", lambda e: ui.navigate.to(path(target, e.args[1][key])))
    return table
