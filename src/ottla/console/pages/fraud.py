"""The fraud demo as a page: decisions streaming by, and how many of each there are."""

from __future__ import annotations

from nicegui import ui

from ottla.console import formatting
from ottla.console.cluster import ClusterView
from ottla.console.clusters import Clusters
from ottla.console.demo_runner import DemoRunner
from ottla.console.fraud_feed import VERDICTS, Decision, FraudFeed
from ottla.console.layout import (
    frame,
    heading,
    page,
    path,
    raw_html,
    section,
    tile,
    update_html,
    zone,
)
from ottla.console.markup import Markup, join, tag
from ottla.console.pages.drawing import chip, line_chart
from ottla.console.watching import watch

REFRESH_S = 0.5
SHOWN = 25
COLORS = {"authorized": "#2a9d8f", "unauthorized": "#c2556d", "malformed": "#9a8c3f"}
CHIPS = {"authorized": "good", "unauthorized": "bad", "malformed": "warn"}


def register(clusters: Clusters, runner: DemoRunner) -> None:
    from ottla.console.pages.demos import switch_of

    @page("/demos/fraud")
    def fraud(topic: str = "bankaccount") -> None:
        with frame(clusters, "Fraud detection", "/demos") as cluster:
            with ui.row().classes("items-center w-full"):
                heading("Fraud detection", ("Demos", "/demos"))
                ui.space()
                switch_of(cluster, runner, "fraud")
            FraudPage(cluster, topic).build()


class FraudPage:
    """Refreshed twice a second from a feed that all pages share."""

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.zone = zone()

    def _feed(self) -> FraudFeed:
        return watch(
            ("fraud", self.cluster.name, self.topic),
            lambda: FraudFeed(self.cluster.client_config, self.topic),
        )

    def build(self) -> None:
        with ui.element("div").classes("tiles"):
            self.counts = {name: tile(name.capitalize(), "0") for name in VERDICTS}
            self.waiting = tile("Accounts sent, not decided yet", "–")
        with ui.card().classes("card q-pa-md w-full gap-1"):
            section("Decisions per second")
            self.chart = ui.echart(
                line_chart(*VERDICTS, colors=tuple(COLORS[v] for v in VERDICTS), is_stacked=True)
            ).classes("w-full h-40")
        with ui.card().classes("card q-pa-md w-full gap-1"):
            section("Decisions, newest first")
            self.feed = raw_html().classes("w-full")
        with ui.row().classes("gap-3"):
            ui.label("Behind it:").classes("text-dim")
            for name in (self.topic, *(f"{self.topic}-{v}" for v in VERDICTS[:2])):
                ui.link(name, path("topics", name)).classes("link")
            ui.link("group fraud-detection", path("groups", "fraud-detection")).classes("link")
        self.refresh()
        ui.timer(REFRESH_S, self.refresh)

    def refresh(self) -> None:
        feed = self._feed()
        for verdict, label in self.counts.items():
            label.set_text(formatting.count(feed.counts[verdict]))
        judged = self.cluster.judged_group("fraud-detection")
        self.waiting.set_text("–" if judged is None else formatting.count(judged.total_lag))
        for place, verdict in enumerate(VERDICTS):
            self.chart.options["series"][place]["data"] = feed.series(verdict)
        self.chart.update()
        update_html(self.feed, self._table(list(feed.decisions)[:SHOWN]))

    def _table(self, decisions: list[Decision]) -> Markup:
        if not decisions:
            return tag(
                "div",
                "No decision yet: start the demo above, and they stream by.",
                class_="text-dim",
            )
        head = join(*(tag("th", name) for name in ("Time", "Verdict", "Account", "Card", "Amount",
                                                   "Record")))  # fmt: skip
        rows = [
            tag(
                "tr",
                tag("td", formatting.moment(d.timestamp_ms, self.zone)[11:]),
                tag("td", chip(d.verdict.upper(), CHIPS.get(d.verdict, "dim"))),
                tag("td", d.name),
                tag("td", d.card),
                tag("td", d.amount),
                tag("td", d.source, class_="text-dim"),
            )
            for d in decisions
        ]
        return tag("table", tag("tr", head), *rows, class_="feed")
