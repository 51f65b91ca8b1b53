"""The frame around every page: header, navigation, colours, keyboard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.parse import quote

from nicegui import app, ui

from ottla.console.cluster import ClusterView
from ottla.console.clusters import Clusters

PAGES = (
    ("Overview", "/", "dashboard", "o"),
    ("Topics", "/topics", "topic", "t"),
    ("Groups", "/groups", "groups", "g"),
)

STYLE = """
<style>
:root { --ottla: #1f6f78; --ottla-warm: #e07a3f; }
body { font-feature-settings: "tnum"; }
.q-header { background: var(--ottla) !important; }
.number { font-variant-numeric: tabular-nums; }
.card { border-radius: 10px; box-shadow: none !important; border: 1px solid rgba(128,128,128,.25); }
.q-table th { font-weight: 600; }
.q-table tbody tr { cursor: pointer; }
.mono, .mono textarea { font-family: ui-monospace, SFMono-Regular, Menlo, monospace;
  font-size: 12px;  white-space: pre-wrap; word-break: break-all; }
.problem { border-left: 4px solid #c0392b; }
.fine { border-left: 4px solid #2e8b57; }
</style>
"""


def path(*parts: str) -> str:
    """A deep link; names may hold any character."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@contextlib.contextmanager
def frame(clusters: Clusters, title: str, here: str) -> Iterator[ClusterView]:
    """Build a page's frame and its content inside; gives the cluster it is about."""
    cluster = clusters.current(app.storage.user.get("cluster"))
    ui.page_title(f"{title} · Ottla")
    ui.add_head_html(STYLE)
    ui.colors(primary="#1f6f78", secondary="#e07a3f", accent="#e07a3f")
    dark = ui.dark_mode(app.storage.user.get("dark"))

    def toggle() -> None:
        dark.set_value(not dark.value)
        app.storage.user["dark"] = dark.value

    with ui.header().classes("items-center q-py-xs"):
        ui.link("Ottla", "/").classes("text-h6 text-white no-underline")
        for name, target, icon, key in PAGES:
            ui.button(name, icon=icon, on_click=lambda target=target: ui.navigate.to(target)).props(
                f'flat no-caps color=white aria-label="{name} (key {key})"'
                + (" outline" if target == here else "")
            )
        ui.space()
        if len(clusters.names()) > 1:
            ui.select(
                clusters.names(),
                value=cluster.name,
                on_change=lambda event: _switch(event.value),
            ).props('dense dark borderless aria-label="Cluster"')
        else:
            ui.label(cluster.bootstrap_servers).classes("mono")
        ui.button(icon="add_link", on_click=lambda: _add_dialog(clusters)).props(
            'flat round color=white aria-label="Add a cluster"'
        )
        ui.button(icon="contrast", on_click=toggle).props(
            'flat round color=white aria-label="Dark or light"'
        )
    keys = {key: target for _, target, _, key in PAGES}
    ui.keyboard(
        on_key=lambda event: (
            ui.navigate.to(keys[event.key.name])
            if event.action.keydown and event.key.name in keys and not event.modifiers.ctrl
            else None
        )
    )
    with ui.column().classes("w-full max-w-screen-xl mx-auto q-pa-md gap-4"):
        yield cluster


def _switch(name: str) -> None:
    app.storage.user["cluster"] = name
    ui.navigate.to("/")


def _add_dialog(clusters: Clusters) -> None:
    """Ask for a cluster's name and bootstrap servers."""
    with ui.dialog() as dialog, ui.card().classes("w-96"):
        ui.label("Add a cluster").classes("text-h6")
        name = ui.input("Name").classes("w-full")
        servers = ui.input("Bootstrap servers", placeholder="host:9092,host:9093").classes("w-full")
        fault = ui.label().classes("text-negative")

        def add() -> None:
            problem = clusters.add(name.value, servers.value)
            if problem:
                fault.set_text(problem)
            else:
                dialog.close()
                _switch(name.value.strip())

        with ui.row().classes("justify-end w-full"):
            ui.button("Cancel", on_click=dialog.close).props("flat")
            ui.button("Add", on_click=add)
    dialog.open()


def heading(text: str, *trail: tuple[str, str]) -> None:
    """A page's heading with links back up."""
    with ui.row().classes("items-baseline gap-2"):
        for name, target in trail:
            ui.link(name, target).classes("text-h5 no-underline text-primary")
            ui.label("/").classes("text-h5 text-grey")
        ui.label(text).classes("text-h5").style("word-break: break-all")


def tile(label: str, value: str) -> ui.label:
    """A number with its name; returns the number's label for updates."""
    with ui.card().classes("card q-pa-md grow"):
        ui.label(label).classes("text-caption text-grey")
        return ui.label(value).classes("text-h5 number")
