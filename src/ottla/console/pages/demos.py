"""The demos: started and stopped here, with pages that show two of them live."""

from __future__ import annotations

import asyncio
from functools import partial

from nicegui import ui

from ottla.console import actions, formatting
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import Clusters
from ottla.console.demo_runner import DEMOS, Demo, DemoRunner
from ottla.console.layout import admin_button, frame, heading, page, path, raw_html, update_html
from ottla.console.markup import tag
from ottla.console.pages import fraud, shop

REFRESH_S = 1.0
SHOWN_LINES = 6


def register(clusters: Clusters, runner: DemoRunner) -> None:
    @page("/demos")
    async def demos() -> None:
        with frame(clusters, "Demos", "/demos") as cluster:
            await asyncio.to_thread(cluster.wait_until_known, 2.0)
            heading("Demos")
            ui.label(
                "Programs of the kind that use Kafka, to look at while they run. Each is an"
                " ordinary client in a process of its own; it writes to the cluster of this page."
            ).classes("text-dim")
            with ui.element("div").classes("grid2"):
                for demo in DEMOS:
                    DemoCard(cluster, runner, demo).build()

    shop.register(clusters, runner)
    fraud.register(clusters, runner)


class DemoSwitch:
    """State of one demo and the button that starts or stops it."""

    def __init__(self, cluster: ClusterView, runner: DemoRunner, demo: Demo) -> None:
        self.cluster = cluster
        self.runner = runner
        self.demo = demo

    def build(self) -> None:
        with ui.row().classes("items-center gap-3"):
            self.state = raw_html()
            self.button = admin_button("Start", self.toggle, icon="play_arrow")
        self.refresh()

    @property
    def is_running(self) -> bool:
        run = self.runner.run_of(self.demo.name, self.cluster.bootstrap_servers)
        return run is not None and run.is_running

    async def toggle(self) -> None:
        cluster, runner, demo = self.cluster, self.runner, self.demo
        self.button.disable()
        try:
            await actions.perform(
                cluster,
                "stop demo" if self.is_running else "start demo",
                {"demo": demo.name},
                partial(runner.stop, demo, cluster.bootstrap_servers)
                if self.is_running
                else partial(runner.start, demo, cluster.client_config),
            )
        except ClusterError as error:
            ui.notify(str(error), type="negative")
        self.button.enable()
        self.refresh()

    def refresh(self) -> None:
        run = self.runner.run_of(self.demo.name, self.cluster.bootstrap_servers)
        is_running = run is not None and run.is_running
        self.button.set_text("Stop" if is_running else "Start")
        self.button.props(f"icon={'stop' if is_running else 'play_arrow'}")
        if run is not None and is_running:
            text, kind = f"running for {formatting.duration(run.seconds * 1000)}", "good"
        elif any(self.cluster.rates.by_topic.get(t) for t in self.demo.topics):
            text, kind = "running elsewhere", "good"
        elif run is not None and run.process.returncode:
            text, kind = f"ended with status {run.process.returncode}", "bad"
        else:
            text, kind = "ended" if run else "not running", "dim"
        update_html(self.state, tag("span", text, class_=f"chip {kind}"))


class DemoCard(DemoSwitch):
    """A demo in the list, with its last lines of output."""

    def build(self) -> None:
        demo = self.demo
        with ui.card().classes("card q-pa-md gap-2"):
            with ui.row().classes("items-center w-full no-wrap"):
                ui.label(demo.title).classes("section")
                ui.space()
                super().build()
            ui.label(demo.story).classes("text-dim")
            with ui.row().classes("items-center gap-3"):
                if demo.page:
                    ui.link("Watch it live", demo.page).classes("link text-weight-medium")
                for topic in demo.topics:
                    ui.link(topic, path("topics", topic)).classes("link")
                for name, address in demo.doors:
                    ui.link(name, address, new_tab=True).classes("link")
            self.lines = ui.label().classes("mono text-dim w-full")
        ui.timer(REFRESH_S, self._refresh_all)

    def _refresh_all(self) -> None:
        self.refresh()
        run = self.runner.run_of(self.demo.name, self.cluster.bootstrap_servers)
        lines = list(run.lines)[-SHOWN_LINES:] if run else []
        self.lines.set_text("\n".join(line[:160] for line in lines))


def switch_of(cluster: ClusterView, runner: DemoRunner, name: str) -> DemoSwitch:
    """Build the switch of the demo `name` where a page has room for it."""
    demo = next(demo for demo in DEMOS if demo.name == name)
    switch = DemoSwitch(cluster, runner, demo)
    switch.build()
    ui.timer(REFRESH_S, partial(switch.refresh))
    return switch
