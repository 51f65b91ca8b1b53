"""Anatomy: a log as it grows, a rebalance as it happens, retention and compaction at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nicegui import ui

from ottla.console import actions
from ottla.console.anatomy import LogWatch
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.group_watch import GroupWatch
from ottla.console.layout import (
    admin_button,
    frame,
    heading,
    page,
    path,
    raw_html,
    section,
    update_html,
    zone,
)
from ottla.console.markup import join, tag
from ottla.console.pages.drawing import chip
from ottla.console.pages.group_drawing import group_svg
from ottla.console.pages.log_drawing import event_list, log_svg, segment_table
from ottla.console.playground import GROUP, LOG_TOPIC, TABLE_TOPIC, Playground
from ottla.console.watching import watch

REFRESH_S = 1.0
GROUP_REFRESH_S = 0.5
SHOWN_EVENTS = 12


def register(clusters: Clusters) -> None:
    playgrounds: dict[str, Playground] = {}

    @page("/anatomy")
    def anatomy() -> None:
        with frame(clusters, "Anatomy", "/anatomy") as cluster:
            playground = playgrounds.setdefault(
                cluster.bootstrap_servers, Playground(cluster.client_config)
            )
            AnatomyPage(cluster, playground).build()


class AnatomyPage:
    """The playground's switch and its pictures."""

    def __init__(self, cluster: ClusterView, playground: Playground) -> None:
        self.cluster = cluster
        self.playground = playground

    def build(self) -> None:
        with ui.row().classes("items-center w-full gap-2"):
            heading("Anatomy")
            ui.space()
            self.state = raw_html()
            self.switch = admin_button("Start the playground", self._toggle, icon="play_arrow")
        ui.label(
            "How a log grows, who reads how far, and what happens when consumers come and go."
            " The playground writes fifty records a second to two topics made for looking at:"
            " their segments are closed every 15 seconds. Every topic has these pictures, too,"
            " under its own Anatomy."
        ).classes("text-dim")
        self.body = ui.column().classes("w-full gap-3")
        self.is_shown = False
        self._refresh()
        ui.timer(REFRESH_S, self._refresh)

    async def _toggle(self) -> None:
        is_running = self.playground.is_running
        act = self.playground.stop if is_running else self.playground.start
        await self._do(f"{'stop' if is_running else 'start'} playground", act)

    async def _do(self, name: str, act: Callable[[], Any]) -> None:
        self.switch.disable()
        try:
            await actions.perform(self.cluster, name, {}, act)
        except ClusterError as error:
            ui.notify(str(error), type="negative")
        self.switch.enable()
        self._refresh()

    def _refresh(self) -> None:
        is_running = self.playground.is_running
        self.switch.set_text("Stop the playground" if is_running else "Start the playground")
        self.switch.props(f"icon={'stop' if is_running else 'play_arrow'}")
        text = chip("running", "good") if is_running else chip("not running")
        update_html(self.state, text)
        is_there = is_running or bool(self.cluster.partitions(LOG_TOPIC))
        if is_there and not self.is_shown:
            self.is_shown = True
            with self.body:
                self._build_pictures()

    def _build_pictures(self) -> None:
        with ui.card().classes("card q-pa-md w-full gap-2"):
            with ui.row().classes("items-center w-full gap-2"):
                section(f"A rebalance: the group {GROUP}")
                ui.space()
                admin_button(
                    "Add a consumer",
                    lambda: self._do("add consumer", self.playground.add_consumer),
                    icon="add",
                )
                admin_button(
                    "Remove one",
                    lambda: self._do("remove consumer", self.playground.remove_consumer),
                    icon="remove",
                )
            GroupPanel(self.cluster, GROUP).build()
        with ui.card().classes("card q-pa-md w-full gap-2"):
            section(f"A log that is deleted by age: {LOG_TOPIC}, partition 0")
            ui.label(
                "retention.ms is a minute here. A segment goes as a whole, when its newest record"
                " is too old and the broker looks (log.retention.check.interval.ms, five minutes"
                " by default), whether or not anybody has read it."
            ).classes("text-dim")
            LogPanel(self.cluster, LOG_TOPIC, 0).build()
        with ui.card().classes("card q-pa-md w-full gap-2"):
            section(f"A log that is compacted: {TABLE_TOPIC}, partition 0")
            ui.label(
                "Eight keys are written again and again. Compaction rewrites the closed segments"
                " and keeps the last record of each key; offsets stay what they were."
            ).classes("text-dim")
            LogPanel(self.cluster, TABLE_TOPIC, 0).build()


class LogPanel:
    """One partition's log: picture, segments, events; refreshed every second."""

    def __init__(self, cluster: ClusterView, topic: str, partition: int) -> None:
        self.cluster = cluster
        self.topic = topic
        self.partition = partition
        self.zone = zone()

    def build(self) -> None:
        self.fault = ui.label().classes("text-negative")
        self.fault.set_visibility(False)
        self.picture = raw_html().classes("w-full")
        with ui.element("div").classes("beside"):
            with ui.column().classes("gap-1 overflow-auto"):
                section("Segments and their files")
                self.segments = raw_html().classes("w-full")
            with ui.column().classes("gap-1"):
                section("What happened")
                self.events = raw_html().classes("w-full")
        self.refresh()
        ui.timer(REFRESH_S, self.refresh)

    def refresh(self) -> None:
        found = watch(
            ("log", self.cluster.name, self.topic, str(self.partition)),
            lambda: LogWatch(self.cluster, self.topic, self.partition),
        )
        self.fault.set_visibility(bool(found.problem))
        self.fault.set_text(found.problem)
        if found.picture is None:
            return
        update_html(self.picture, log_svg(found.picture))
        update_html(self.segments, segment_table(found.picture, self.zone))
        update_html(self.events, event_list(list(found.events)[:SHOWN_EVENTS], self.zone))


class GroupPanel:
    """One group's assignment as a picture, and its rebalances; refreshed twice a second."""

    def __init__(self, cluster: ClusterView, group: str) -> None:
        self.cluster = cluster
        self.group = group
        self.zone = zone()

    def build(self) -> None:
        self.state = raw_html()
        with ui.element("div").classes("beside"):
            self.picture = raw_html().classes("w-full")
            with ui.column().classes("gap-1"):
                section("What happened")
                self.events = raw_html().classes("w-full")
        self.refresh()
        ui.timer(GROUP_REFRESH_S, self.refresh)

    def watched(self) -> GroupWatch:
        return watch(
            ("group", self.cluster.name, self.group),
            lambda: GroupWatch(self.cluster, self.group),
        )

    def refresh(self) -> None:
        found = self.watched()
        picture = found.picture
        update_html(self.events, event_list(list(found.events)[:SHOWN_EVENTS], self.zone))
        if picture is None:
            update_html(self.state, tag("span", found.problem, class_="text-negative"))
            return
        state = picture.state or "not there"
        good = state.lower() == "stable"
        words = [chip(state, "good" if good else "warn"), f" {picture.kind} group"]
        if picture.assignor:
            words.append(f", assignor {picture.assignor}")
        if picture.epoch is not None:
            words.append(f", epoch {picture.epoch}")
        if found.problem:
            words.append(tag("span", f" {found.problem}", class_="text-negative"))
        update_html(self.state, join(*words))
        lags = self.cluster.lags_of(self.group)
        update_html(self.picture, group_svg(picture, lags, found.moved_at))


async def log_tab(cluster: ClusterView, topic: str, partition: int) -> None:
    """A topic's own Anatomy: one partition at a time."""
    try:
        # Asked of Kafka: the topic, or some of its partitions, may be younger than the last sample.
        numbers = await asyncio.to_thread(cluster.partition_numbers, topic)
    except ClusterError:
        numbers = [row["partition"] for row in cluster.partitions(topic)] or [0]
    partition = partition if partition in numbers else numbers[0]
    here = path("topics", topic)
    if len(numbers) > 1:
        ui.select(
            {n: f"partition {n}" for n in numbers},
            value=partition,
            on_change=lambda e: ui.navigate.to(f"{here}?tab=anatomy&partition={e.value}"),
        ).props('dense outlined aria-label="Partition to look at"')
    with ui.card().classes("card q-pa-md w-full gap-2"):
        LogPanel(cluster, topic, partition).build()
