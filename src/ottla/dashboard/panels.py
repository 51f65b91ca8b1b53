"""The parts of the dashboard's screen. Each shows the last snapshot it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from ottla.dashboard.aggregate import LISTS, Row, Snapshot
from ottla.dashboard.chart import (
    MARGIN,
    day_columns,
    draw_chart,
    in_buckets,
    nice_ceiling,
    short_number,
)
from ottla.dashboard.plain import shop_time

TEAL, DIM_TEAL = "#2dd4bf", "#115e59"
SKY = "#38bdf8"
AMBER = "#fbbf24"
MUTED = "#64748b"
PLOTTED_SECONDS = 240

# Colours of a list: its title, and the bar behind each row.
LIST_COLORS = {
    "pages": ("#38bdf8", "#0c4a6e"),
    "elements": ("#a78bfa", "#3b2f6b"),
    "sold_products": ("#34d399", "#065f46"),
    "sold_colors": ("#34d399", "#065f46"),
    "cart_products": ("#fbbf24", "#6b4a0a"),
    "cart_colors": ("#fbbf24", "#6b4a0a"),
    "error_modules": ("#f87171", "#7f1d1d"),
    "last_errors": ("#f87171", "#7f1d1d"),
    "countries": ("#f472b6", "#6b2148"),
}
ORDER = (
    "sold_products", "cart_products", "pages",
    "sold_colors", "cart_colors", "elements",
    "error_modules", "last_errors", "countries",
)  # fmt: skip
TITLES = {**LISTS, "countries": "Users by country", "last_errors": "Last errors"}


class Header(Widget):
    """Name, topic, shop time and state, in one line."""

    state = ""
    state_color = MUTED
    clock = ""
    topic = ""

    def render(self) -> RenderResult:
        left = Text.assemble(
            (" ottla ", Style(color="#0b1220", bgcolor=TEAL, bold=True)),
            (" shop analytics", Style(bold=True)),
            (f"  topic {self.topic}", Style(color=MUTED)),
        )
        right = Text.assemble(
            ("shop time ", Style(color=MUTED)), self.clock, "   ", ("● ", self.state_color),
            (f"{self.state} ", self.state_color),
        )  # fmt: skip
        room = self.size.width - right.cell_len
        if left.cell_len > room - 1:
            left.truncate(max(8, room - 1), overflow="ellipsis")
        left.append(" " * max(1, room - left.cell_len))
        left.append_text(right)
        return left


#: Numbers that a window of less than 80 columns leaves out, the first first.
SPARED = ("malformed", "anonymous", "recurring", "users", "sold")


class Tiles(Widget):
    """The single numbers: labels above, values below."""

    snapshot: Snapshot | None = None

    def render(self) -> RenderResult:
        snapshot = self.snapshot
        if snapshot is None:
            return ""
        rate = sum(snapshot.per_second[-5:]) / 5
        online = snapshot.online
        about = "" if snapshot.is_audience_exact else "~"
        errors = dict(snapshot.kinds).get("error", 0)
        tiles = [
            ("events", short_number(snapshot.events), TEAL),
            ("per sec", short_number(rate), TEAL),
            ("online", "-" if online is None else short_number(online.online), SKY),
            ("users", about + short_number(snapshot.users), SKY),
            ("recurring", f"{snapshot.recurring_share:.1%}", "#f472b6"),
            ("anonymous", f"{snapshot.anonymous_share:.1%}", "#f472b6"),
            ("sold", short_number(snapshot.money), "#34d399"),
            ("errors", short_number(errors), "#f87171"),
            ("malformed", short_number(snapshot.malformed), AMBER if snapshot.malformed else MUTED),
        ]
        for spared in SPARED:
            if sum(len(label) + 2 for label, _, _ in tiles) > self.size.width:
                tiles = [tile for tile in tiles if tile[0] != spared]
        spare = max(0, self.size.width - sum(len(label) + 2 for label, _, _ in tiles))
        labels, values = Text(no_wrap=True), Text(no_wrap=True)
        for index, (label, value, color) in enumerate(tiles, 1):
            extra = spare * index // len(tiles) - spare * (index - 1) // len(tiles)
            width = len(label) + 2 + extra
            labels.append(f" {label}".ljust(width), Style(color=MUTED))
            values.append(f" {value}".ljust(width), Style(color=color, bold=True))
        return Text("\n").join([labels, values])


IMPORTANT = ("broker", "Console", "REST Proxy", "Burrow")  # first, where not all have room


class Addresses(Widget):
    """Where the platform's parts are: as many as fit in one line; the help shows them all."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.pairs = sorted(
            pairs, key=lambda p: IMPORTANT.index(p[0]) if p[0] in IMPORTANT else len(IMPORTANT)
        )

    def render(self) -> RenderResult:
        line = Text(" ", no_wrap=True, overflow="crop")
        for name, address in self.pairs:
            pair = Text.assemble((f"{name} ", MUTED), (f"{address}   ", "#94a3b8"))
            if line.cell_len + pair.cell_len > self.size.width + 2:
                break
            line.append_text(pair)
        return line


class CatchUp(Widget):
    """Progress through the history that was there when reading began."""

    share = 0.0
    done = 0
    total = 0
    rate = 0.0
    left_s: float | None = None

    def render(self) -> RenderResult:
        left = "" if self.left_s is None else f"  {duration(self.left_s)} left"
        numbers = (
            f"{self.share:>4.0%}  {short_number(self.done)} of {short_number(self.total)}  "
            f"{short_number(self.rate)}/s{left} "
        )
        label = " catching up "
        room = max(4, self.size.width - len(label) - len(numbers) - 1)
        filled = round(room * self.share)
        return Text.assemble(
            (label, AMBER), ("━" * filled, AMBER), ("─" * (room - filled), MUTED), f" {numbers}"
        )


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60:02d} min"


class RatePlot(Widget):
    """Events per second over the last minutes, by the records' timestamps."""

    snapshot: Snapshot | None = None

    def on_mount(self) -> None:
        self.border_title = "Events per second"

    def render(self) -> RenderResult:
        if self.snapshot is None or self.size.height < 3:
            return ""
        width = max(1, self.size.width - MARGIN)
        columns = in_buckets(self.snapshot.per_second, width, self.snapshot.last_second)
        padded: list[float | None] = [None] * (width - len(columns)) + list(columns)
        top = nice_ceiling(max(columns, default=0) * 1.05)
        return draw_chart(
            padded, (), (self.size.width, self.size.height), top=top,
            labels=("-4 min", "-3", "-2", "-1", "now"), colors=[TEAL] * width,
        )  # fmt: skip


class UsersPlot(Widget):
    """Users online by the shop's time of day, against the pattern of the dispatcher."""

    snapshot: Snapshot | None = None

    def on_mount(self) -> None:
        self.border_title = f"Users online  [{AMBER}]⠤⠒⠉ pattern[/]"

    def render(self) -> RenderResult:
        snapshot = self.snapshot
        if snapshot is None or self.size.height < 3:
            return ""
        if not snapshot.traffic:
            return Text("\nNo dispatcher tells how many users are online.", MUTED, justify="center")
        width = max(1, self.size.width - MARGIN)
        samples = [(sample.time_s, float(sample.online)) for sample in snapshot.traffic]
        columns, newest = day_columns(samples, width)
        pattern = snapshot.pattern
        line = [
            snapshot.peak * _between(pattern, x * 12 / width)
            for x in range(2 * width if pattern else 0)
        ]
        top = nice_ceiling(max([1.0, *(c for c in columns if c is not None), *line]))
        # Right of the newest column stands what was a day ago.
        colors = [
            SKY if x == newest else "#0284c7" if x < newest else "#1e4a6b" for x in range(width)
        ]
        return draw_chart(
            columns, line, (self.size.width, self.size.height), top=top,
            labels=("0 h", "6 h", "12 h", "18 h", "24 h"), colors=colors, line_color=AMBER,
        )  # fmt: skip


def _between(pattern: tuple[float, ...], hour: float) -> float:
    before = int(hour) % len(pattern)
    after = (before + 1) % len(pattern)
    share = hour - int(hour)
    return pattern[before] * (1 - share) + pattern[after] * share


class ListPanel(Widget, can_focus=True):
    """One list: rows over bars, scrolled by up and down while the panel is chosen."""

    BINDINGS: ClassVar = [
        ("up", "scroll_rows(-1)", "up"),
        ("down", "scroll_rows(1)", "down"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__(id=f"list-{name}", classes="list")
        self.list_name = name
        self.first_row = 0
        self.snapshot: Snapshot | None = None

    def on_resize(self) -> None:
        color, _ = LIST_COLORS[self.list_name]
        title = TITLES[self.list_name]
        if len(title) + 4 > self.size.width:
            title = title.removeprefix("Top ").capitalize()
        self.border_title = f"[{color}]{title}[/]"

    def show(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.first_row = max(0, min(self.first_row, self._row_count() - self.size.height))
        error = snapshot.list_errors.get(self.list_name, 0)
        self.border_subtitle = f"each up to {short_number(error)} more" if error else ""
        self.refresh()

    def action_scroll_rows(self, by: int) -> None:
        last = max(0, self._row_count() - self.size.height)
        self.first_row = max(0, min(last, self.first_row + by))
        self.refresh()

    def render(self) -> RenderResult:
        if self.snapshot is None:
            return ""
        if not self._row_count():
            return Text("\nnothing yet", MUTED, justify="center")
        if self.list_name == "last_errors":
            return self._render_errors(self.snapshot)
        return self._render_rows(self._rows(self.snapshot))

    def _rows(self, snapshot: Snapshot) -> list[Row]:
        if self.list_name == "countries":
            return snapshot.countries
        return snapshot.lists[self.list_name]

    def _row_count(self) -> int:
        if self.snapshot is None:
            return 0
        if self.list_name == "last_errors":
            return len(self.snapshot.last_errors)
        return len(self._rows(self.snapshot))

    def _render_rows(self, rows: list[Row]) -> Text:
        _, bar = LIST_COLORS[self.list_name]
        width = self.size.width
        largest = max(1, rows[0][1])
        text = Text(no_wrap=True, overflow="crop")
        for label, count in rows[self.first_row : self.first_row + self.size.height]:
            number = f"{count:,}" if width >= 34 else short_number(count)
            row = Text(f" {label}", no_wrap=True)
            row.truncate(max(1, width - len(number) - 2), overflow="ellipsis")
            row.append(" " * max(1, width - row.cell_len - len(number) - 1))
            row.append(f"{number} ", Style(bold=True))
            row.stylize(Style(bgcolor=bar), 0, max(1, round(width * count / largest)))
            text.append_text(row)
            text.append("\n")
        return text

    def _render_errors(self, snapshot: Snapshot) -> Text:
        text = Text(no_wrap=True, overflow="crop")
        for error in snapshot.last_errors[self.first_row : self.first_row + self.size.height]:
            row = Text(no_wrap=True)
            row.append(f" {shop_time(error.time_s)[-5:]} ", Style(color=MUTED))
            row.append(error.name, Style(color="#f87171"))
            row.append(f" {error.location}", Style(color="#cbd5e1"))
            row.truncate(self.size.width, overflow="ellipsis")
            text.append_text(row)
            text.append("\n")
        return text
