"""Draws a partition's log: offsets to scale, segments, index entries, who has read how far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import tzinfo

from ottla.console import formatting
from ottla.console.anatomy import LogPicture, SegmentView, deletable_from
from ottla.console.markup import Markup, join, tag
from ottla.console.pages.drawing import chip

WIDTH, LEFT, RIGHT = 1180, 150, 24
TOP, BOX = 34, 58
GROUP_ROW, MAX_GROUPS = 24, 8
SHOWN_SEGMENTS = 14
#: A label inside a box needs so much room.
LABEL_ROOM = 74


class Scale:
    """Offsets to x: what was deleted takes a fixed part at the left."""

    def __init__(self, picture: LogPicture) -> None:
        first = picture.segments[0].base_offset if picture.segments else picture.log_start
        self.first = min(first, picture.log_start)
        self.end = max(picture.high_watermark, self.first + 1)
        self.gone = 60 if self.first > 0 else 0
        self.room = WIDTH - LEFT - RIGHT - self.gone

    def x(self, offset: int) -> float:
        share = (offset - self.first) / (self.end - self.first)
        return LEFT + self.gone + max(0.0, min(1.0, share)) * self.room


def log_svg(picture: LogPicture) -> Markup:
    """The whole picture; its width follows the page."""
    scale = Scale(picture)
    groups = sorted(picture.commits.items(), key=lambda item: (-item[1], item[0]))[:MAX_GROUPS]
    height = TOP + BOX + 44 + GROUP_ROW * max(1, len(groups)) + 8
    parts = [
        _gone(scale),
        *(_box(segment, scale, number) for number, segment in enumerate(picture.segments)),
        *([] if picture.segments else [_whole(picture, scale)]),
        _marks(picture, scale),
        *(_group(name, offset, picture, scale, row) for row, (name, offset) in enumerate(groups)),
    ]
    if not groups:
        parts.append(_text(LEFT, TOP + BOX + 56, "No group has committed offsets here.", "dim"))
    label = (
        f"Log from offset {picture.log_start} to {picture.high_watermark} in"
        f" {len(picture.segments)} segments"
    )
    svg = tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {height}",
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        aria_label=label,
    )
    return tag("div", svg, class_="wide")


def _text(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", text, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def _gone(scale: Scale) -> Markup:
    """What was there before the first offset that is kept."""
    title = _text(8, TOP + BOX / 2 - 2, "segments")
    hint = _text(8, TOP + BOX / 2 + 13, "and index entries", "dim")
    if not scale.gone:
        return join(title, hint)
    box = tag(
        "rect", x=LEFT, y=TOP, width=scale.gone - 4, height=BOX, rx=4, fill="none",
        stroke="var(--line)", stroke_dasharray="4 4",
    )  # fmt: skip
    middle = LEFT + scale.gone / 2 - 2
    return join(
        title,
        hint,
        box,
        _text(middle, TOP + BOX / 2, "deleted", "dim", "middle"),
        _text(middle, TOP + BOX / 2 + 14, f"0–{short(scale.first - 1)}", "dim", "middle"),
    )


def _box(segment: SegmentView, scale: Scale, number: int) -> Markup:
    left, right = scale.x(segment.base_offset), scale.x(segment.end_offset)
    width = max(1.5, right - left - 1.5)
    fill = "var(--warm)" if segment.is_active else "var(--accent)"
    parts = [
        tag(
            "rect",
            tag("title", f"segment {segment.base_offset}, {segment.log_bytes:,} bytes"),
            x=left, y=TOP, width=width, height=BOX, rx=3, fill=fill,
            fill_opacity=0.30 if number % 2 else 0.22, stroke=fill, stroke_opacity=0.7,
        ),
        *(
            tag(
                "line", x1=x, x2=x, y1=TOP + BOX - 14, y2=TOP + BOX - 2, stroke=fill,
                stroke_opacity=0.8, stroke_width=1,
            )
            for x in sorted({round(scale.x(tick), 1) for tick in segment.ticks})
        ),
    ]  # fmt: skip
    if width > LABEL_ROOM:
        parts.append(_text(left + 6, TOP + 16, f"{segment.base_offset:,}"))
        parts.append(_text(left + 6, TOP + 31, formatting.size(segment.log_bytes), "dim"))
        if segment.is_active and width > 2 * LABEL_ROOM:
            parts.append(_text(left + width - 6, TOP + 16, "active: written now", "", "end"))
    return join(*parts)


def _whole(picture: LogPicture, scale: Scale) -> Markup:
    """The log as one box where its segments are not known."""
    left, right = scale.x(scale.first), scale.x(scale.end)
    size = formatting.size(picture.size_bytes)
    return join(
        tag(
            "rect", x=left, y=TOP, width=right - left, height=BOX, rx=3, fill="var(--accent)",
            fill_opacity=0.22, stroke="var(--accent)",
        ),
        _text(left + 8, TOP + 24, f"{size} in the leader's log"),
        _text(left + 8, TOP + 41, f"Its segments are not known: {picture.why_no_segments}", "dim"),
    )  # fmt: skip


def _marks(picture: LogPicture, scale: Scale) -> Markup:
    """Log start, last stable offset and high watermark, above the boxes."""
    marks = [("log start", picture.log_start, "start"), ("high watermark", picture.high_watermark,
                                                         "end")]  # fmt: skip
    if picture.log_start >= picture.high_watermark:
        x = scale.x(picture.log_start)
        text = f"log start and high watermark {picture.log_start:,}: it is empty"
        return join(_line(x, TOP - 8, TOP + BOX + 8, "var(--good)"), _text(x, TOP - 14, text))
    parts: list[Markup] = []
    for name, offset, anchor in marks:
        x = scale.x(offset)
        parts.append(_line(x, TOP - 8, TOP + BOX + 8, "var(--good)"))
        parts.append(_text(x, TOP - 14, f"{name} {offset:,}", "", anchor))
    if picture.last_stable < picture.high_watermark:
        x = scale.x(picture.last_stable)
        parts.append(_line(x, TOP - 8, TOP + BOX + 8, "var(--warn)"))
        middle = min(max(x, LEFT + 260), WIDTH - 300)
        parts.append(
            _text(middle, TOP - 14, f"last stable {picture.last_stable:,} (open transaction)", "",
                  "middle")
        )  # fmt: skip
    return join(*parts)


def _line(x: float, top: float, bottom: float, color: str) -> Markup:
    return tag("line", x1=x, x2=x, y1=top, y2=bottom, stroke=color, stroke_width=2)


def _group(name: str, offset: int, picture: LogPicture, scale: Scale, row: int) -> Markup:
    """How far one group has read: a bar up to its committed offset."""
    y = TOP + BOX + 40 + row * GROUP_ROW
    left, x = scale.x(scale.first), scale.x(offset)
    lag = max(0, picture.high_watermark - offset)
    shown = name if len(name) <= 22 else name[:21] + "…"
    text = f"{offset:,}" + (f", {lag:,} behind" if lag else ", at the end")
    is_late = x > WIDTH - 190
    return join(
        tag("text", tag("title", name) if shown != name else None, shown, x=8, y=y + 10),
        tag(
            "rect", x=left, y=y, width=max(1.0, x - left), height=13, rx=3,
            fill="var(--accent)", fill_opacity=0.45,
        ),
        _text(x - 6 if is_late else x + 6, y + 10, text, "", "end" if is_late else "start"),
    )  # fmt: skip


def short(number: int) -> str:
    """12,345,678 as 12.3M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 10 * size:
            return f"{number / size:.0f}{unit}"
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def segment_table(picture: LogPicture, zone: tzinfo) -> Markup:
    """The files of each segment, newest first, their sizes as bars of one scale."""
    if not picture.segments:
        return tag("div", f"Not known: {picture.why_no_segments}.", class_="text-dim")
    largest = max(s.log_bytes for s in picture.segments) or 1
    names = ("Segment", "Offsets", "Log", "", "Index", "Time index", "Newest record",
             "May be deleted")  # fmt: skip
    rows = [
        _segment_row(segment, largest, picture.config, zone)
        for segment in picture.segments[: -SHOWN_SEGMENTS - 1 : -1]
    ]
    left_out = len(picture.segments) - len(rows)
    more = tag("div", f"and {left_out} older segments", class_="text-dim") if left_out else None
    head = tag("tr", *(tag("th", name) for name in names))
    return join(tag("table", head, *rows, class_="feed tight"), more)


def _segment_row(
    segment: SegmentView, largest: int, config: dict[str, str], zone: tzinfo
) -> Markup:
    count = segment.end_offset - segment.base_offset
    bar = tag(
        "div",
        tag("div", style=f"width:{segment.log_bytes / largest * 100:.1f}%;height:8px;"
            "border-radius:3px;background:var(--accent)"),
        style="width:110px",
    )  # fmt: skip
    newest = formatting.moment(segment.newest_ms, zone)[11:19] if segment.newest_ms >= 0 else "–"
    return tag(
        "tr",
        tag("td", f"{segment.base_offset:,} ",
            chip("active", "warn") if segment.is_active else None),
        tag("td", f"{count:,}", class_="num"),
        tag("td", formatting.size(segment.log_bytes), class_="num"),
        tag("td", bar),
        tag("td", f"{formatting.size(segment.index_bytes)} ({segment.index_bytes // 8:,} entries)"),
        tag("td", formatting.size(segment.time_index_bytes)),
        tag("td", newest),
        tag("td", _when_deletable(segment, config)),
    )  # fmt: skip


def _when_deletable(segment: SegmentView, config: dict[str, str]) -> str:
    if segment.is_active:
        return "no: it is written to"
    when = deletable_from(segment, config)
    if when is None:
        return "no"
    left = when - int(time.time() * 1000)
    return f"in {formatting.duration(left)}" if left > 0 else "at the broker's next look"


def event_list(events: Sequence[tuple[int, str]], zone: tzinfo) -> Markup:
    """What happened while the page was open, newest first."""
    if not events:
        return tag("div", "Nothing has happened yet since you look.", class_="text-dim")
    rows = [
        tag(
            "tr",
            tag("td", formatting.moment(moment, zone)[11:19], class_="text-dim"),
            tag("td", sentence),
        )
        for moment, sentence in events
    ]
    return tag("div", tag("table", *rows, class_="feed"), class_="events")
