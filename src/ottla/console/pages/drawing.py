"""Parts that several pages draw: bars of a list, charts over time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ottla.console.layout import zone_name
from ottla.console.markup import Markup, join, tag
from ottla.console.style import AXIS, GRID, SERIES


def bars(rows: Sequence[tuple[str, float]], text: Callable[[float], str], nothing: str) -> Markup:
    """Names with their numbers, each behind a bar to the scale of the largest."""
    if not rows:
        return tag("div", tag("div", nothing, class_="none"), class_="bars")
    largest = max(number for _, number in rows) or 1
    return tag(
        "div",
        join(
            *(
                tag(
                    "div",
                    tag("div", class_="fill", style=f"width:{number / largest * 100:.1f}%"),
                    tag("span", name or "(empty)", class_="left", title=name),
                    tag("span", text(number), class_="right"),
                    class_="row",
                )
                for name, number in rows
            )
        ),
        class_="bars",
    )


def chip(text: str, kind: str = "dim") -> Markup:
    return tag("span", text, class_=f"chip {kind}")


def line_chart(
    *names: str, colors: Sequence[str] = SERIES, is_time: bool = True, is_stacked: bool = False
) -> dict[str, Any]:
    """Options of a chart with one line for each name; data is set by `set_series`."""
    axis: dict[str, dict[str, Any]] = {
        "axisLabel": {"color": AXIS, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": GRID}},
    }
    return {
        "animation": False,
        "grid": {"left": 52, "right": 14, "top": 30 if len(names) > 1 else 12, "bottom": 24},
        "legend": {
            "show": len(names) > 1, "top": 0, "type": "scroll", "itemHeight": 8,
            "textStyle": {"color": AXIS}, "icon": "roundRect",
        },
        "xAxis": {
            "type": "time" if is_time else "value", "splitLine": {"show": False}, **axis,
            **(_clock(axis["axisLabel"], zone_name()) if is_time else {}),
        },
        "yAxis": {
            "type": "value", "min": 0, "splitNumber": 3,
            "splitLine": {"lineStyle": {"color": GRID}}, **axis,
        },
        "tooltip": {"trigger": "axis"},
        "series": [
            {
                "type": "line",
                "name": name,
                "showSymbol": False,
                "lineStyle": {"width": 1.5},
                "areaStyle": {"opacity": 0.18},
                "color": color,
                "data": [],
                **({"stack": "all"} if is_stacked else {}),
            }
            for name, color in zip(names, colors, strict=False)
        ],
    }  # fmt: skip


def _clock(label: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Times at a time axis, and beside a pointer at it, are those of the chosen time zone."""
    show = (
        "t => new Date(typeof t === 'number' ? t : t.value)"
        f".toLocaleTimeString('en-GB', {{timeZone: {json.dumps(zone)}}})"
    )
    return {
        "axisLabel": {**label, ":formatter": show},
        "axisPointer": {"label": {":formatter": show}},
    }
