"""The shop analytics demo as a page: the terminal dashboard's numbers, from its aggregator."""

from __future__ import annotations

from datetime import UTC, datetime

from nicegui import ui

from ottla.console import formatting
from ottla.console.cluster import ClusterView
from ottla.console.clusters import Clusters
from ottla.console.demo_runner import DemoRunner
from ottla.console.layout import frame, heading, page, raw_html, section, tile, update_html
from ottla.console.markup import Markup, join, tag
from ottla.console.pages.drawing import bars, line_chart
from ottla.console.watching import watch
from ottla.dashboard.aggregate import LISTS, Snapshot
from ottla.dashboard.reader import Reader

SECONDS = 240
ROWS = 7
REFRESH_S = 1.0
DAY_H = 24
ORDER = (
    "sold_products", "cart_products", "pages",
    "sold_colors", "cart_colors", "elements",
    "error_modules", "last_errors", "countries",
)  # fmt: skip
TITLES = {**LISTS, "countries": "Users by country", "last_errors": "Last errors"}


def register(clusters: Clusters, runner: DemoRunner) -> None:
    from ottla.console.pages.demos import switch_of

    @page("/demos/analytics")
    def analytics(topic: str = "analytics") -> None:
        with frame(clusters, "Shop analytics", "/demos") as cluster:
            with ui.row().classes("items-center w-full"):
                heading("Shop analytics", ("Demos", "/demos"))
                ui.space()
                switch_of(cluster, runner, "analytics")
            ShopPage(cluster, topic).build()


class ShopPage:
    """Refreshed once a second from a reader that all pages share."""

    def __init__(self, cluster: ClusterView, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic

    def _reader(self) -> Reader:
        config = {k: str(v) for k, v in self.cluster.client_config.items()}
        return watch(("shop", self.cluster.name, self.topic), lambda: Reader(config, self.topic))

    def build(self) -> None:
        with ui.element("div").classes("tiles"):
            self.tiles = {
                name: tile(name, "–")
                for name in (
                    "Events", "Per second", "Online now", "Users", "Recurring", "Anonymous",
                    "Sold", "Errors", "Malformed",
                )
            }  # fmt: skip
        self.state = ui.label().classes("text-dim")
        with ui.element("div").classes("grid2"):
            with ui.card().classes("card q-pa-md gap-1"):
                section("Events per second")
                self.rate = ui.echart(line_chart("events")).classes("w-full h-44")
            with ui.card().classes("card q-pa-md gap-1"):
                section("Users online and the traffic pattern, by hour of the shop's day")
                options = line_chart(
                    "pattern", "online", colors=("#868e96", "#e07a3f"), is_time=False
                )
                options["xAxis"] = {**options["xAxis"], "min": 0, "max": DAY_H,
                                    "interval": 3}  # fmt: skip
                options["series"][1].pop("areaStyle")
                self.day = ui.echart(options).classes("w-full h-44")
        with ui.element("div").classes("grid3"):
            self.lists = {}
            for name in ORDER:
                with ui.card().classes("card q-pa-md gap-1"):
                    section(TITLES[name])
                    self.lists[name] = raw_html().classes("w-full")
        self.refresh()
        ui.timer(REFRESH_S, self.refresh)

    def refresh(self) -> None:
        reader = self._reader()
        snapshot = reader.snapshot(SECONDS)
        self._show_state(reader, snapshot)
        online = snapshot.online
        about = "" if snapshot.is_audience_exact else "~"
        values = {
            "Events": formatting.count(snapshot.events),
            "Per second": formatting.rate(sum(snapshot.per_second[-5:]) / 5),
            "Online now": "–" if online is None else f"{online.online} of {online.target}",
            "Users": about + formatting.count(snapshot.users),
            "Recurring": f"{snapshot.recurring_share:.1%}",
            "Anonymous": f"{snapshot.anonymous_share:.1%}",
            "Sold": formatting.count(snapshot.money),
            "Errors": formatting.count(dict(snapshot.kinds).get("error", 0)),
            "Malformed": formatting.count(snapshot.malformed),
        }
        for name, value in values.items():
            self.tiles[name].set_text(value)
        first = snapshot.last_second - SECONDS + 1
        self.rate.options["series"][0]["data"] = [
            [(first + i) * 1000, n] for i, n in enumerate(snapshot.per_second)
        ]
        self.rate.update()
        self.day.options["series"][0]["data"] = pattern_line(snapshot)
        self.day.options["series"][1]["data"] = online_line(snapshot)
        self.day.update()
        for name, place in self.lists.items():
            update_html(place, self._list(name, snapshot))

    def _show_state(self, reader: Reader, snapshot: Snapshot) -> None:
        if reader.trouble:
            text = f"Nothing comes: {reader.trouble}. Start the demo above."
        elif not reader.is_caught_up:
            text = f"Reading the topic from its beginning: {reader.progress.share:.0%}"
        else:
            moment = datetime.fromtimestamp(snapshot.time_s, UTC)
            text = (
                f"All partitions of {self.topic} from the beginning, then live; nothing is"
                f" committed. Shop time {moment:%A %H:%M}."
            )
        self.state.set_text(text)

    def _list(self, name: str, snapshot: Snapshot) -> Markup:
        if name == "last_errors":
            return last_errors(snapshot)
        if name == "countries":
            return bars(snapshot.countries[:ROWS], formatting.count, "No users yet")
        return bars(snapshot.lists[name][:ROWS], formatting.count, "No events yet")


def pattern_line(snapshot: Snapshot) -> list[list[float]]:
    """[hour, users that the pattern asks for] over a day."""
    hours = len(snapshot.pattern)
    if not hours:
        return []
    return [[h, round(snapshot.pattern[h % hours] * snapshot.peak, 1)] for h in range(DAY_H + 1)]


def online_line(snapshot: Snapshot) -> list[list[float] | None]:
    """[hour of the shop's day, users online]: the last day, cut where one day ends."""
    samples = [s for s in snapshot.traffic if s.time_s > snapshot.traffic[-1].time_s - 86_400]
    now = samples[-1].time_s % 86_400 if samples else 0
    points = sorted([s.time_s % 86_400 / 3600, s.online] for s in samples)
    earlier = [p for p in points if p[0] * 3600 <= now]
    later = [p for p in points if p[0] * 3600 > now]
    return [*earlier, *([None] if earlier and later else []), *later]


def last_errors(snapshot: Snapshot) -> Markup:
    rows = [
        tag(
            "div",
            tag("span", error.name, class_="left", title=f"{error.name} at {error.location}"),
            tag("span", f"{datetime.fromtimestamp(error.time_s, UTC):%H:%M}", class_="right"),
            class_="row",
        )
        for error in snapshot.last_errors[:ROWS]
    ]
    nothing = tag("div", "No errors yet", class_="none")
    return tag("div", join(*rows) if rows else nothing, class_="bars")
