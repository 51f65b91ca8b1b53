"""The dashboard on the terminal: takes a snapshot twice a second and shows it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from ottla.dashboard.chart import short_number
from ottla.dashboard.panels import (
    AMBER,
    MUTED,
    ORDER,
    PLOTTED_SECONDS,
    TEAL,
    Addresses,
    CatchUp,
    Header,
    ListPanel,
    RatePlot,
    Tiles,
    UsersPlot,
)
from ottla.dashboard.plain import shop_time
from ottla.dashboard.reader import Reader

REFRESH_S = 0.5
MIN_LIST_HEIGHT = 8
MIN_LIST_WIDTH = 26

KEYS = "[b]q[/] quit   [b]?[/] help   [b]← →[/] lists   [b]↑ ↓[/] rows   [b]Enter[/] enlarge"

HELP = f"""\
[b {TEAL}]Shop analytics[/]
Reads every partition of the topic from its first record, then live. It
joins no group and commits nothing: close it, open it, and all is there
again, out of the log. That is event sourcing.

{KEYS}   [b]Esc[/] back

[b]Events per second[/]  by the records' timestamps: real time
[b]Users online[/]       as the dispatcher tells, by the shop's time of
                   day; dotted: the pattern; dark: yesterday
[b]recurring[/]          share of sessions whose user had one before
[b]anonymous[/]          share of sessions without a userId
[b]~[/]                  from a sample of 65,536 sessions or more: users
                   within 0.4 %, shares within 0.2 points
                   (standard error)
[b]lists[/]              exact up to 2,000 different names each; beyond,
                   the lower edge tells the error
[b]malformed[/]          no event of the shop: counted and skipped
"""


class HelpScreen(ModalScreen[None]):
    """What the keys do, what the numbers mean, and where the platform is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "back"),
    ]

    def __init__(self, addresses: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._addresses = addresses

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(HELP)
            if self._addresses:
                lines = [f"{name:<19}{address}" for name, address in self._addresses]
                yield Static("\n".join(["", *lines]), markup=False)


class Dashboard(App[None]):
    """Shows what a reader has counted. Quitting closes the reader, too."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "ottla: shop analytics"
    CSS = f"""
    Screen {{ background: #0b1220; color: #e2e8f0; layout: vertical; }}
    Header {{ height: 1; background: #111c33; }}
    Tiles {{ height: 2; margin: 0 0; background: #0f182c; }}
    CatchUp {{ height: 1; display: none; }}
    CatchUp.active {{ display: block; }}
    #plots {{ height: 9; }}
    RatePlot, UsersPlot {{ width: 1fr; border: round #334155; border-title-color: #e2e8f0; }}
    #lists {{ height: 1fr; grid-size: 3; grid-gutter: 0; }}
    .list {{ border: round #334155; border-subtitle-color: {AMBER}; }}
    .list:focus {{ border: round {TEAL}; }}
    .hidden {{ display: none; }}
    #status {{ height: auto; max-height: 2; color: {AMBER}; padding: 0 1; display: none; }}
    #status.active {{ display: block; }}
    Addresses {{ height: 1; }}
    #footer {{ height: auto; max-height: 2; color: #94a3b8; padding: 0 1; }}
    #keys {{ height: 1; color: {MUTED}; padding: 0 1; background: #111c33; }}
    Screen.tall #plots {{ height: 13; }}
    Screen.short #plots {{ height: 7; }}
    HelpScreen {{ align: center middle; background: #0b1220 70%; }}
    #help {{ width: 80; max-width: 100%; height: auto; max-height: 100%;
             border: round {TEAL}; background: #0f182c; padding: 0 2; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c,ctrl+q", "quit", "quit", priority=True),
        Binding("question_mark,f1,h", "help", "help"),
        Binding("left", "choose(-1)", "previous list"),
        Binding("right", "choose(1)", "next list"),
        Binding("enter", "enlarge", "enlarge"),
        Binding("escape", "shrink", "back"),
    ]

    def __init__(
        self,
        reader: Reader,
        footer: Sequence[str] = (),
        addresses: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__()
        self._reader = reader
        self._footer = Static("\n".join(footer), id="footer", markup=False)
        self._footer.display = bool(footer)
        self._addresses = Addresses(addresses)
        self._addresses.display = bool(addresses)
        self._chosen = 0
        self._enlarged = False
        self._dimensions = self.size
        self._header = Header()
        self._tiles = Tiles()
        self._catch_up = CatchUp()
        self._rate_plot = RatePlot()
        self._users_plot = UsersPlot()
        self._lists = [ListPanel(name) for name in ORDER]
        self._grid = Grid(*self._lists, id="lists")
        self._status = Static(id="status", markup=False)

    def compose(self) -> ComposeResult:
        yield self._header
        yield self._tiles
        yield self._catch_up
        yield Horizontal(self._rate_plot, self._users_plot, id="plots")
        yield self._grid
        yield self._status
        yield self._addresses
        yield self._footer
        yield Static(KEYS, id="keys")

    def on_mount(self) -> None:
        if threading.current_thread() is threading.main_thread() and os.name == "posix":
            # Otherwise a SIGTERM would leave the terminal in raw mode behind.
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.add_signal_handler(number, self.exit)
        self._reader.start()
        self._choose(0)
        self._show()
        self.set_interval(REFRESH_S, self._show)

    def on_unmount(self) -> None:
        self._reader.close()

    def on_resize(self, event: Resize) -> None:
        self._arrange(event.size)

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if isinstance(focused, ListPanel):
            self._chosen = ORDER.index(focused.list_name)

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._addresses.pairs))

    def action_choose(self, by: int) -> None:
        self._choose((self._chosen + by) % len(ORDER))

    def action_enlarge(self) -> None:
        self._enlarged = not self._enlarged
        self._arrange()

    def action_shrink(self) -> None:
        self._enlarged = False
        self._arrange()

    def _choose(self, index: int) -> None:
        self._chosen = index
        self._arrange()
        self._lists[index].focus()

    def _arrange(self, size: Size | None = None) -> None:
        """Show as many lists as fit; the chosen one is among them."""
        width, height = self._dimensions = size or self._dimensions
        screen = self.screen_stack[0]
        screen.set_class(height >= 44, "tall")
        screen.set_class(height < 22, "short")
        plots = 13 if height >= 44 else 7 if height < 22 else 9
        room = height - 4 - plots - self._addresses.display - 2 * self._footer.display
        columns = max(1, min(3, width // MIN_LIST_WIDTH))
        rows = max(1, min(3, room // MIN_LIST_HEIGHT))
        if self._enlarged:
            columns = rows = 1
        self._grid.styles.grid_size_columns = columns
        self._grid.styles.grid_size_rows = rows
        per_page = columns * rows
        page = self._chosen // per_page
        for index, panel in enumerate(self._lists):
            panel.set_class(index // per_page != page, "hidden")

    def _show(self) -> None:
        if not self._grid.is_attached:  # the timer may tick once more while the screen closes
            return
        reader = self._reader
        snapshot = reader.snapshot(PLOTTED_SECONDS)
        with reader.lock:
            progress, bar = reader.progress, self._catch_up
            bar.share, bar.done, bar.total = progress.share, progress.done, progress.total
            bar.rate, bar.left_s = progress.rate, progress.left_s
            is_reading = progress.partitions > 0
        bar.set_class(is_reading and not reader.is_caught_up, "active")
        header = self._header
        header.topic, header.clock = reader.topic, shop_time(snapshot.time_s)
        header.state, header.state_color = self._state()
        self._tiles.snapshot = self._rate_plot.snapshot = self._users_plot.snapshot = snapshot
        for widget in (bar, header, self._tiles, self._rate_plot, self._users_plot):
            widget.refresh()
        for panel in self._lists:
            panel.show(snapshot)
        self._status.set_class(snapshot.last_malformed is not None, "active")
        if snapshot.last_malformed is not None:
            partition, offset, reason = snapshot.last_malformed
            self._status.update(
                f"{short_number(snapshot.malformed)} malformed, the last in partition "
                f"{partition} at offset {offset}: {reason}"
            )

    def _state(self) -> tuple[str, str]:
        trouble = self._reader.trouble
        if trouble:
            return f"waiting: {trouble}", "#f87171"
        if not self._reader.is_caught_up:
            return "catching up", AMBER
        return "live", TEAL


def run_dashboard(reader: Reader, footer: Sequence[str]) -> None:
    """Returns once the user has quit; the reader is closed then."""
    Dashboard(reader, footer).run()
