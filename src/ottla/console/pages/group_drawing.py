"""Draws who reads what: partitions at the left, members at the right, a line for each hold."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ottla.console import formatting
from ottla.console.group_watch import GroupPicture, Place, lags_of_tasks, name_of
from ottla.console.markup import Markup, join, tag
from ottla.console.style import SERIES

WIDTH = 820
ROW, MEMBER_ROW = 26, 46
LEFT_X, LEFT_WIDTH = 2, 320
RIGHT_X, RIGHT_WIDTH = 540, 278
#: So long a partition that moved is drawn bold.
FRESH_S = 4.0
MAX_PARTITIONS = 60
MAX_NAME = 40


def group_svg(
    picture: GroupPicture, lags: Mapping[Place, int], moved_at: Mapping[Place, float]
) -> Markup:
    """The assignment; partitions that nobody has are drawn, too, when they have a lag."""
    what = "task" if picture.kind == "streams" else "partition"
    if picture.kind == "streams":
        lags = lags_of_tasks(picture, lags)
    held = {place for m in picture.members for place in m.partitions}
    places = sorted(held | lags.keys())
    if not places and not picture.members:
        return tag("div", "No member is connected.", class_="text-dim")
    left_out = places[MAX_PARTITIONS:]
    places = places[:MAX_PARTITIONS]
    height = max(ROW * len(places), MEMBER_ROW * len(picture.members)) + 12
    place_y = _spread(len(places), ROW, height)
    member_y = _spread(len(picture.members), MEMBER_ROW, height)
    rows = dict(zip(places, place_y, strict=True))
    parts: list[Markup] = []
    for number, (member, y) in enumerate(zip(picture.members, member_y, strict=True)):
        color = SERIES[number % len(SERIES)]
        parts += [
            _hold(rows[place], y, color, is_fresh=_is_fresh(place, moved_at))
            for place in sorted(member.partitions)
            if place in rows
        ]
        count = len(member.partitions)
        coming = len((member.target or member.partitions) - member.partitions)
        note = f"{count} {what}s" if count != 1 else f"1 {what}"
        note = f"idle: no {what} left" if not count and not coming else note
        note += f", {member.standbys} standby" if member.standbys else ""
        note += f", {coming} to come" if coming else ""
        parts.append(_member(member.name, f"{member.host} · {note}", y, color, is_idle=not count))
    owned = {p: n for n, m in enumerate(picture.members) for p in m.partitions}
    for place, y in rows.items():
        color = SERIES[owned[place] % len(SERIES)] if place in owned else "var(--dim)"
        parts.append(_partition(name_of(picture.kind, place), lags.get(place), y, color))
    svg = tag(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {height}", xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_label=f"{len(places)} {what}s held by {len(picture.members)} members",
    )  # fmt: skip
    more = f"{len(left_out)} more {what}s are not drawn." if left_out else None
    return join(
        tag("div", svg, class_="wide"), tag("div", more, class_="text-dim") if more else None
    )


def _spread(count: int, row: int, height: int) -> list[float]:
    """The middles of `count` rows, spread over the height."""
    step = max(row, (height - 12) / count) if count else row
    return [6 + step * (number + 0.5) for number in range(count)]


def _is_fresh(place: Place, moved_at: Mapping[Place, float]) -> bool:
    return time.monotonic() - moved_at.get(place, -FRESH_S) < FRESH_S


def _hold(y1: float, y2: float, color: str, *, is_fresh: bool) -> Markup:
    start, end = LEFT_X + LEFT_WIDTH, RIGHT_X
    middle = (start + end) / 2
    return tag(
        "path", d=f"M{start},{y1:.1f} C{middle:.0f},{y1:.1f} {middle:.0f},{y2:.1f} {end},{y2:.1f}",
        fill="none", stroke=color, stroke_width=5 if is_fresh else 2,
        stroke_opacity=1 if is_fresh else 0.7,
    )  # fmt: skip


def _partition(name: str, lag: int | None, y: float, color: str) -> Markup:
    shown = name if len(name) < 34 else "…" + name[-33:]
    text = "" if lag is None else (f"{formatting.count(lag)} behind" if lag else "at the end")
    return join(
        tag(
            "rect", x=LEFT_X, y=y - 10, width=LEFT_WIDTH, height=20, rx=4, fill=color,
            fill_opacity=0.16, stroke=color, stroke_opacity=0.5,
        ),
        tag("text", tag("title", name) if shown != name else None, shown, x=LEFT_X + 8, y=y + 4),
        tag("text", text, x=LEFT_X + LEFT_WIDTH - 8, y=y + 4, text_anchor="end", class_="dim"),
    )  # fmt: skip


def _shortened(name: str) -> str:
    """What fits: the ends of a member's name tell most."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 14]}…{name[-13:]}"


def _member(name: str, note: str, y: float, color: str, *, is_idle: bool) -> Markup:
    return join(
        tag(
            "rect", x=RIGHT_X, y=y - 19, width=RIGHT_WIDTH, height=38, rx=6, fill=color,
            fill_opacity=0.04 if is_idle else 0.16, stroke=color,
            stroke_dasharray="4 3" if is_idle else None,
        ),
        tag(
            "text", tag("title", name) if len(name) > MAX_NAME else None, _shortened(name),
            x=RIGHT_X + 10, y=y - 3, font_weight="600",
        ),
        tag("text", note, x=RIGHT_X + 10, y=y + 12, class_="dim"),
    )  # fmt: skip
