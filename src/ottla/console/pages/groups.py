"""Consumer groups: the list with verdicts and lag, and one group in detail."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from ottla.console import dialogs, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import admin_button, frame, heading, path, tile
from ottla.console.pages.overview import column

PAGE_ROWS = 50
EMPTY_LIST = 'flat dense no-data-label="No group has committed yet"'


def register(clusters: Clusters) -> None:
    @ui.page("/groups")
    async def groups() -> None:
        with frame(clusters, "Groups", "/groups") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            GroupList(cluster).build()

    @ui.page("/groups/{group}")
    async def group_page(group: str) -> None:
        with frame(clusters, group, "/groups") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            await GroupDetail(cluster, group).build()


class GroupList:
    """Only the rows of one page of the list reach the browser."""

    def __init__(self, cluster: ClusterView) -> None:
        self.cluster = cluster

    def build(self) -> None:
        heading("Consumer groups")
        with ui.row().classes("items-center w-full"):
            self.search = ui.input(placeholder="Search", on_change=self.refresh).props(
                'dense outlined clearable aria-label="Search groups" debounce=150'
            )
            self.troubled = ui.checkbox("only in trouble", on_change=self.refresh)
            ui.space()
            self.found = ui.label().classes("text-grey")
        self.table = ui.table(
            columns=[
                column("group", "Group"),
                column("status", "Verdict"),
                column("partitions", "Partitions", right=True),
                column("lag", "Lag", right=True),
                column("seconds", "Lag in time", right=True),
            ],
            rows=[],
            row_key="group",
        ).classes("w-full card clickable").props(EMPTY_LIST)  # fmt: skip
        self.table.on("rowClick", lambda e: ui.navigate.to(path("groups", e.args[1]["group"])))
        with ui.row().classes("w-full justify-center"):
            self.pages = ui.pagination(1, 1, direction_links=True, on_change=self.refresh)
        self.refresh()
        ui.timer(3.0, self.refresh)

    def refresh(self) -> None:
        text = (self.search.value or "").lower()
        judged = [
            s
            for s in self.cluster.judged_groups()
            if text in s.group.lower() and (not self.troubled.value or s.status.name != "OK")
        ]
        judged.sort(key=lambda s: (-int(s.status), -s.total_lag, s.group))
        last = max(1, -(-len(judged) // PAGE_ROWS))
        self.pages.max = last
        self.pages.set_visibility(last > 1)
        page = min(int(self.pages.value or 1), last)
        self.found.set_text(f"{len(judged):,} groups")
        self.table.rows = [
            {
                "group": s.group,
                "status": s.status.name,
                "partitions": len(s.partitions),
                "lag": formatting.count(s.total_lag),
                "seconds": lag_in_time(s.partitions),
            }
            for s in judged[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
        ]


def lag_in_time(partitions: list[Any]) -> str:
    """The longest lag in time that is known; a dash when none is."""
    known = [p.lag_seconds for p in partitions if p.lag_seconds is not None]
    return formatting.duration(max(known) * 1000) if known else "–"


class GroupDetail:
    """State, members and lag per partition; refreshed while it is open."""

    def __init__(self, cluster: ClusterView, group: str) -> None:
        self.cluster = cluster
        self.group = group

    async def build(self) -> None:
        heading(self.group, ("Groups", "/groups"))
        with ui.row().classes("w-full gap-2"):
            self.state = tile("State", "–")
            self.verdict = tile("Verdict", "–")
            self.members = tile("Members", "–")
            self.lag = tile("Lag", "–")
            self.assignor = tile("Assignor", "–")
        with ui.row().classes("gap-2"):
            admin_button("Reset offsets", lambda: dialogs.reset_offsets(self.cluster, self.group))
            admin_button(
                "Delete",
                lambda: dialogs.delete_group(self.cluster, self.group),
                is_dangerous=True,
            )
        self.fault = ui.label().classes("text-negative")
        ui.label("Partitions and who reads them").classes("text-subtitle1")
        self.picture = ui.row().classes("w-full gap-4 items-start")
        self.shown: Any = None
        ui.label("Lag by partition").classes("text-subtitle1")
        self.table = ui.table(
            columns=[
                column("topic", "Topic"),
                column("partition", "Partition", right=True),
                column("status", "Verdict"),
                column("committed", "Committed", right=True),
                column("end", "End", right=True),
                column("lag", "Lag", right=True),
                column("seconds", "Lag in time", right=True),
            ],
            rows=[],
            row_key="id",
            pagination=50,
        ).classes("w-full card clickable").props("flat dense")  # fmt: skip
        self.table.on("rowClick", lambda e: ui.navigate.to(path("topics", e.args[1]["topic"])))
        await self.refresh()
        ui.timer(2.0, self.refresh)

    async def refresh(self) -> None:
        judged = self.cluster.judged_group(self.group)
        if judged is not None:
            self.verdict.set_text(judged.status.name)
            self.lag.set_text(formatting.count(judged.total_lag))
            self.table.rows = [
                {
                    "id": f"{p.topic}-{p.partition}",
                    "topic": p.topic,
                    "partition": p.partition,
                    "status": p.status.name,
                    "committed": None if p.end is None else p.end.offset,
                    "end": self.cluster.store.end_of(p.topic, p.partition),
                    "lag": p.current_lag,
                    "seconds": lag_in_time([p]),
                }
                for p in judged.partitions
            ]
        try:
            found = await asyncio.to_thread(self.cluster.describe_group, self.group)
        except ClusterError as error:
            self.fault.set_text(f"Members are not known: {error}")
            return
        self.fault.set_text("")
        self.state.set_text(found["state"])
        self.assignor.set_text(found["assignor"])
        self.members.set_text(formatting.count(len(found["members"])))
        if found["members"] != self.shown:
            self.shown = found["members"]
            self._draw(found["members"])

    def _draw(self, members: list[dict[str, Any]]) -> None:
        """A card per member that holds its partitions; idle members stay empty."""
        self.picture.clear()
        with self.picture:
            if not members:
                ui.label("No member is connected.").classes("text-grey")
            for member in members:
                with ui.card().classes("card q-pa-sm"):
                    ui.label(member["client"] or member["member"]).classes("text-weight-medium")
                    ui.label(f"{member['host']} · {member['member'][-12:]}").classes(
                        "text-caption text-grey"
                    )
                    with ui.row().classes("gap-1"):
                        for topic, number in member["partitions"]:
                            ui.badge(f"{topic}-{number}").props("color=primary")
                        if not member["partitions"]:
                            ui.badge("idle").props("color=grey")
