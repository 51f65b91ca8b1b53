"""The frame around every page: header, navigation, colours, keyboard, time zone."""

from __future__ import annotations

import contextlib
import json
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, tzinfo
from typing import Any
from urllib.parse import quote

from nicegui import app, ui

from ottla.console import actions, login
from ottla.console.cluster import ClusterError, ClusterView
from ottla.console.clusters import FIRST, Clusters
from ottla.console.style import PRIMARY, STYLE, WARM

PAGES = (
    ("Overview", "/", "dashboard", "o"),
    ("Topics", "/topics", "topic", "t"),
    ("Groups", "/groups", "groups", "g"),
    ("Demos", "/demos", "play_circle", "d"),
    ("Anatomy", "/anatomy", "biotech", "y"),
    ("Administration", "/admin", "tune", "a"),
)
THEMES = {"auto": "as the system", "light": "light", "dark": "dark"}
BROWSER_ZONE = "return Intl.DateTimeFormat().resolvedOptions().timeZone"


PROBLEM_S = 2.0
#: The address becomes the given one; a cluster that it does not name is named.
ADDRESS = (
    "{{ const to = new URL({}, location), name = {}; if (name && !to.searchParams.has('cluster'))"
    " to.searchParams.set('cluster', name); history.replaceState(history.state, '', to) }}"
)
#: A page is built within a fraction of a second, unless Kafka or this machine is slow.
PAGE_LIMIT_S = 30.0


def page(route: str) -> ui.page:
    """The decorator of every page."""
    return ui.page(route, response_timeout=PAGE_LIMIT_S)


def path(*parts: str) -> str:
    """A deep link; names may hold any character."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def show_address(address: str) -> None:
    """The browser's address is this one, of the same cluster; nothing is loaded."""
    named = "new URL(location).searchParams.get('cluster')"
    ui.run_javascript(ADDRESS.format(json.dumps(address), named))


def zone() -> tzinfo:
    """The time zone this person chose; UTC until then."""
    try:
        return zoneinfo.ZoneInfo(str(app.storage.user.get("zone") or "UTC"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return UTC


def zone_name() -> str:
    return str(app.storage.user.get("zone") or "UTC")


def dress(title: str) -> ui.dark_mode:
    """Title, style and colours of a page; gives its switch for dark and light."""
    ui.page_title(f"{title} · Ottla")
    ui.add_head_html(STYLE)
    ui.colors(primary=PRIMARY, secondary=WARM, accent=WARM, negative="#c0392b")
    theme = app.storage.user.get("theme", "auto")
    return ui.dark_mode({"light": False, "dark": True}.get(theme))


@contextlib.contextmanager
def frame(clusters: Clusters, title: str, here: str) -> Iterator[ClusterView]:
    """Build a page's frame and its content inside; gives the cluster it is about."""
    asked = ui.context.client.request.query_params.get("cluster")
    if asked in clusters.names():
        app.storage.user["cluster"] = asked  # a link from somebody else, who looked at that one
    cluster = clusters.current(app.storage.user.get("cluster"))
    dark = dress(title)
    with ui.header().classes("items-center q-px-md no-wrap gap-0").style("padding-block: 6px"):
        ui.link("Ottla", "/").classes("text-h6 text-white no-underline q-mr-md")
        with ui.element("nav").classes("row no-wrap").props('aria-label="Pages"'):
            for name, target, icon, key in PAGES:
                _page_link(name, target, icon, key, is_here=target == here)
        ui.space()
        _cluster_choice(clusters, cluster)
        _settings(dark)
    _keys()
    with ui.column().classes("w-full max-w-screen-xl mx-auto q-px-md q-pt-md q-pb-xl gap-3"):
        if cluster.name != FIRST:
            ui.run_javascript(ADDRESS.format("location.href", json.dumps(cluster.name)))
        if here != "/":  # the overview lists all problems
            _problem_of(cluster)
        yield cluster


def _problem_of(cluster: ClusterView) -> None:
    """A page says, for as long as it is so, that its cluster cannot be asked."""
    with ui.card().classes("card problem w-full q-py-sm").props("role=alert") as card:
        text = ui.label(cluster.problem)
    card.set_visibility(bool(cluster.problem))

    def refresh() -> None:
        text.set_text(cluster.problem)
        card.set_visibility(bool(cluster.problem))

    ui.timer(PROBLEM_S, refresh)


def _page_link(name: str, target: str, icon: str, key: str, *, is_here: bool) -> None:
    shade = "bg-white/20" if is_here else ""
    with ui.link(target=target).classes(
        f"row no-wrap items-center gap-1 text-white no-underline rounded q-px-sm q-py-xs {shade}"
    ) as link:
        link.props(f'aria-label="{name} (key {key})"' + (" aria-current=page" if is_here else ""))
        ui.icon(icon, size="18px").classes("max-lg:hidden")
        ui.label(name).style("font-size: 14px")


def _cluster_choice(clusters: Clusters, cluster: ClusterView) -> None:
    if len(clusters.names()) > 1:
        ui.select(
            clusters.names(), value=cluster.name, on_change=lambda event: _switch(event.value)
        ).props('dense dark borderless aria-label="Cluster"').classes("q-mr-sm")
    else:
        ui.label(cluster.bootstrap_servers).classes("mono ellipsis max-lg:hidden")
    if login.actor().is_admin:  # others could have the console's password sent where they like
        ui.button(icon="add_link", on_click=lambda: _add_dialog(clusters, cluster)).props(
            'flat round dense color=white aria-label="Add a cluster"'
        ).tooltip("Add a cluster")


def _settings(dark: ui.dark_mode) -> None:
    """Theme, time zone and log-out; built when asked for: there are hundreds of time zones."""

    def choose_theme(name: str) -> None:
        app.storage.user["theme"] = name
        dark.set_value({"light": False, "dark": True}.get(name))

    async def use_browser_zone() -> None:
        _set_zone(str(await ui.run_javascript(BROWSER_ZONE)))

    def open_dialog() -> None:
        with passing_dialog() as dialog, ui.card().classes("w-80 gap-3"):
            ui.label("Settings").classes("text-h6")
            ui.select(
                THEMES,
                value=app.storage.user.get("theme", "auto"),
                label="Colours",
                on_change=lambda event: choose_theme(event.value),
            ).classes("w-full").props('dense outlined aria-label="Colours"')
            names = sorted(zoneinfo.available_timezones() | {"UTC"})
            ui.select(
                names,
                value=zone_name() if zone_name() in names else "UTC",
                label="Time zone",
                with_input=True,
                on_change=lambda event: _set_zone(event.value),
            ).classes("w-full").props('dense outlined aria-label="Time zone"')
            ui.button("Use this browser's time zone", on_click=use_browser_zone).props(
                "flat dense no-caps"
            )
            keys = ", ".join(f"{key} {name.lower()}" for name, _, _, key in PAGES)
            ui.label(f"Keys: {keys}, / search").classes("text-caption text-dim")
            if login.is_required():
                person = login.actor()
                role = "admin" if person.is_admin else "viewer"
                ui.label(f"Logged in as {person.user} ({role})").classes("text-caption text-dim")
                ui.button("Log out", on_click=login.log_out).props("outline dense no-caps")
            ui.button("Close", on_click=dialog.close).props("flat no-caps")
        dialog.open()

    ui.button(icon="settings", on_click=open_dialog).props(
        'flat round dense color=white aria-label="Settings"'
    ).tooltip("Settings")


def _set_zone(name: str | None) -> None:
    if name and name != zone_name():
        app.storage.user["zone"] = name
        ui.navigate.reload()


def _keys() -> None:
    targets = {key: target for _, target, _, key in PAGES}

    def on_key(event: Any) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.meta:
            return
        if event.key.name in targets:
            ui.navigate.to(targets[event.key.name])
        elif event.key.name == "/":
            ui.run_javascript("document.querySelector('input[aria-label^=\"Search\"]')?.focus()")

    ui.keyboard(on_key=on_key)


def _switch(name: str) -> None:
    app.storage.user["cluster"] = name
    ui.navigate.to("/")


def _add_dialog(clusters: Clusters, here: ClusterView) -> None:
    """Ask for a cluster's name and bootstrap servers; that it was added is noted `here`."""
    with passing_dialog() as dialog, ui.card().classes("w-96"):
        ui.label("Add a cluster").classes("text-h6")
        name = ui.input("Name").classes("w-full").props("autofocus")
        servers = ui.input("Bootstrap servers", placeholder="host:9092,host:9093").classes("w-full")
        metrics = ui.input(
            "Metrics endpoint (may be empty)", placeholder="http://host:9644/metrics"
        )
        metrics.classes("w-full")
        properties = ui.textarea(
            "Client properties (empty: those of the first cluster)",
            placeholder="security.protocol=SASL_SSL",
        )
        properties.classes("w-full mono").props("autogrow")
        fault = ui.label().classes("text-negative").props("role=alert")

        def act() -> None:
            problem = clusters.add(
                name.value, servers.value, metrics.value or "", properties.value or ""
            )
            if problem:
                raise ClusterError(problem)

        async def add() -> None:
            details = {"cluster": name.value, "bootstrap_servers": servers.value}
            try:
                await actions.perform(here, "add cluster", details, act)
            except ClusterError as error:
                fault.set_text(str(error))
                return
            dialog.close()
            _switch(name.value.strip())

        with ui.row().classes("justify-end w-full"):
            ui.button("Cancel", on_click=dialog.close).props("flat no-caps")
            ui.button("Add", on_click=add).props("no-caps unelevated")
    dialog.open()


def passing_dialog() -> ui.dialog:
    """A dialog for one use: gone once it is closed, with all it holds, though its page stays."""
    box = ui.dialog()
    box.on("hide", box.delete)
    return box


def heading(text: str, *trail: tuple[str, str]) -> None:
    """A page's heading with links back up."""
    with ui.row().classes("items-baseline gap-2"):
        for name, target in trail:
            ui.link(name, target).classes("text-h6 no-underline link")
            ui.label("/").classes("text-h6 text-dim")
        ui.label(text).classes("text-h6").style("word-break: break-all").props(
            "role=heading aria-level=1"
        )


def tile(label: str, value: str) -> ui.label:
    """A number with its name; returns the number's label for updates."""
    with ui.card().classes("card tile grow"):
        ui.label(label).classes("name")
        return ui.label(value).classes("value")


def admin_button(
    text: str, on_click: Callable[[], Any], *, icon: str | None = None, is_dangerous: bool = False
) -> ui.button:
    """A button that changes something: a viewer sees it, but cannot use it."""
    color = "negative" if is_dangerous else "primary"
    button = ui.button(text, icon=icon, on_click=on_click).props(
        f"no-caps outline dense padding='4px 10px' color={color}"
    )
    if not login.actor().is_admin:
        button.disable()
        button.tooltip("A viewer may only look")
    return button


def section(text: str) -> ui.label:
    return ui.label(text).classes("section").props("role=heading aria-level=2")


def raw_html(content: str = "") -> ui.html:
    """A place for what `markup` has built (escaped there, so it is not cleaned again)."""
    return ui.html(content, sanitize=False)


def update_html(place: ui.html, content: str) -> None:
    """Send new content only when it differs."""
    if place.content != content:
        place.set_content(content)
