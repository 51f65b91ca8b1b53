"""Consumer groups: the list with verdicts and lag, and one group in detail."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ottla.console import dialogs, formatting
from ottla.console.cluster import ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import admin_button, frame, heading, page, path, section, tile
from ottla.console.pages.anatomy import GroupPanel
from ottla.console.pages.columns import column, link_cells
from ottla.console.pages.drawing import line_chart
from ottla.console.style import SERIES
from ottla.console.vitals import Vitals
from ottla.lag.store import GroupStatus, PartitionStatus

PAGE_ROWS = 50
#: The states of groups that are not there.
GONE = ("dead", "")
EMPTY_GROUP = 'flat dense no-data-label="Nothing committed yet"'
EMPTY_LIST = 'flat dense no-data-label="There is no group yet"'


def register(clusters: Clusters) -> None:
    @page("/groups")
    async def groups() -> None:
        with frame(clusters, "Groups", "/groups") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            GroupList(cluster, clusters.vitals_of(cluster)).build()

    @page("/groups/{group:path}")  # a group's name may hold any character
    async def group_page(group: str) -> None:
        with frame(clusters, group, "/groups") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            GroupDetail(cluster, group).build()


class GroupList:
    """Groups of all kinds; only the rows of one page of the list reach the browser."""

    def __init__(self, cluster: ClusterView, vitals: Vitals) -> None:
        self.cluster = cluster
        self.vitals = vitals

    def build(self) -> None:
        heading("Groups")
        with ui.row().classes("items-center w-full"):
            self.search = ui.input(placeholder="Search", on_change=self.refresh).props(
                'dense outlined clearable aria-label="Search groups" debounce=150'
            )
            self.troubled = ui.checkbox("only in trouble", on_change=self.refresh)
            ui.space()
            self.found = ui.label().classes("text-grey")
        self.table = ui.table(
            columns=[
                column("group", "Group", is_sortable=False),
                column("kind", "Kind", is_sortable=False),
                column("state", "State", is_sortable=False),
                column("status", "Verdict", is_sortable=False),
                column("partitions", "Partitions", right=True, is_sortable=False),
                column("lag", "Lag", right=True, is_sortable=False),
                column("seconds", "Lag in time", right=True, is_sortable=False),
            ],
            rows=[],
            row_key="group",
        ).classes("w-full card clickable").props(EMPTY_LIST)  # fmt: skip
        link_cells(self.table, "group", "groups")
        self.table.on("rowClick", lambda e: ui.navigate.to(path("groups", e.args[1]["group"])))
        with ui.row().classes("w-full justify-center"):
            self.pages = ui.pagination(1, 1, direction_links=True, on_change=self.refresh)
        self.refresh()
        ui.timer(3.0, self.refresh)

    def _wanted(self) -> list[tuple[str, GroupStatus | None]]:
        """Judged groups, the worst first; then those that have committed nothing."""
        text = (self.search.value or "").lower()
        judged = self.cluster.judged_groups()
        known = {s.group for s in judged}
        judged = [
            s
            for s in judged
            if text in s.group.lower() and (not self.troubled.value or s.status.name != "OK")
        ]
        judged.sort(key=lambda s: (-int(s.status), -s.total_lag, s.group))
        rows: list[tuple[str, GroupStatus | None]] = [(s.group, s) for s in judged]
        if not self.troubled.value:
            others = sorted(g for g in self.vitals.groups if g not in known and text in g.lower())
            rows += [(group, None) for group in others]
        return rows

    def refresh(self) -> None:
        wanted = self._wanted()
        last = max(1, -(-len(wanted) // PAGE_ROWS))
        self.pages.max = last
        self.pages.set_visibility(last > 1)
        page = min(int(self.pages.value or 1), last)
        self.found.set_text(formatting.counted(len(wanted), "group"))
        shown = wanted[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
        self.table.rows = [self._row(group, status) for group, status in shown]

    def _row(self, group: str, status: GroupStatus | None) -> dict[str, Any]:
        kind, state = self.vitals.groups.get(group, ("–", "–"))
        return {
            "group": group,
            "kind": kind,
            "state": state or "–",
            "status": status.status.name if status else "–",
            "partitions": len(status.partitions) if status else 0,
            "lag": formatting.count(status.total_lag) if status else "–",
            "seconds": lag_in_time(status.partitions) if status else "–",
        }


def lag_in_time(partitions: list[Any]) -> str:
    """The longest lag in time that is known; a dash when none is."""
    known = [p.lag_seconds for p in partitions if p.lag_seconds is not None]
    return formatting.duration(max(known) * 1000) if known else "–"


class GroupDetail:
    """State, members and lag per partition; refreshed while it is open."""

    def __init__(self, cluster: ClusterView, group: str) -> None:
        self.cluster = cluster
        self.group = group

    def build(self) -> None:
        with ui.row().classes("items-center w-full gap-2"):
            heading(self.group, ("Groups", "/groups"))
            ui.space()
            admin_button(
                "Reset offsets", lambda: dialogs.ResetDialog(self.cluster, self.group).open()
            )
            admin_button(
                "Delete",
                lambda: dialogs.delete_group(self.cluster, self.group),
                is_dangerous=True,
            )
        self.absent = ui.label(
            f"There is no group {self.group} in this cluster now: its name may be another, or it"
            " was deleted, or its offsets have expired."
        ).props("role=status")
        self.absent.set_visibility(False)
        with ui.element("div").classes("tiles"):
            self.tiles = {
                name: tile(name, "–")
                for name in ("State", "Kind", "Assignor", "Members", "Burrow's verdict", "Lag",
                             "Lag grows by")
            }  # fmt: skip
        with ui.card().classes("card q-pa-md w-full gap-2"):
            section("Partitions and who reads them")
            self.panel = GroupPanel(self.cluster, self.group)
            self.panel.build()
        with ui.card().classes("card q-pa-md w-full gap-1"):
            section("Lag by partition over time")
            self.chart = ui.echart(line_chart()).classes("w-full h-44")
        self._build_table()
        self.refresh()
        ui.timer(2.0, self.refresh)

    def _build_table(self) -> None:
        self.table = ui.table(
            columns=[
                column("topic", "Topic"),
                column("partition", "Partition", right=True),
                column("status", "Verdict"),
                column("committed", "Committed", right=True),
                column("end", "End", right=True),
                column("lag", "Lag", right=True),
                column("seconds", "Lag in time", right=True),
                column("owner", "Member"),
            ],
            rows=[],
            row_key="id",
            pagination=50,
        ).classes("w-full card clickable").props(EMPTY_GROUP)  # fmt: skip
        link_cells(self.table, "topic", "topics")
        self.table.on("rowClick", lambda e: ui.navigate.to(path("topics", e.args[1]["topic"])))

    def refresh(self) -> None:
        values: dict[str, str] = {}
        judged = self.cluster.judged_group(self.group)
        if judged is not None:
            growth = self.cluster.lags.growth(self.group)
            values["Burrow's verdict"] = judged.status.name
            values["Lag"] = formatting.count(judged.total_lag)
            values["Lag grows by"] = "–" if growth is None else f"{formatting.rate(growth)}/s"
            self.table.rows = [self._row(p) for p in judged.partitions]
        picture = self.panel.watched().picture
        if picture is not None:
            is_there = judged is not None or picture.state.lower() not in GONE
            self.absent.set_visibility(not is_there)
            values["State"] = picture.state or "not there"
            values["Kind"] = picture.kind
            values["Assignor"] = picture.assignor or "–"
            values["Members"] = formatting.count(len(picture.members))
        for name, value in values.items():
            self.tiles[name].set_text(value)
        self._draw_history()

    def _row(self, p: PartitionStatus) -> dict[str, Any]:
        committed = None if p.end is None else p.end.offset
        end = self.cluster.store.end_of(p.topic, p.partition)
        if end is not None and committed is not None:
            end = max(end, committed)  # ends are looked at less often than commits come in
        return {
            "id": f"{p.topic}-{p.partition}",
            "topic": p.topic,
            "partition": p.partition,
            "status": p.status.name,
            "committed": committed,
            "end": end,
            "lag": p.current_lag,
            "seconds": lag_in_time([p]),
            "owner": p.client_id or "–",
        }

    def _draw_history(self) -> None:
        """The partitions that lag most, one line each."""
        history = self.cluster.lags.of_group(self.group)
        worst = sorted(history, key=lambda place: (-max(n for _, n in history[place]), place))
        shown = worst[: len(SERIES)]
        names = [f"{topic}-{number}" for topic, number in shown]
        options = line_chart(*names)
        for series, place in zip(options["series"], shown, strict=True):
            series.pop("areaStyle")
            series["data"] = [[moment, lag] for moment, lag in history[place]]
        self.chart.options.clear()
        self.chart.options.update(options)
        self.chart.update()
