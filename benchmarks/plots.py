"""Pictures of a run: bars, drawn as SVG by hand, so that nothing need be installed for them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.systems import (
    APACHE_CACHE,
    APACHE_FSYNC,
    MOCK,
    NAMES,
    OTTLA_CACHE,
    OTTLA_FSYNC,
)

WIDTH: Final = 820
LABEL_WIDTH: Final = 190
BAR: Final = 14
GAP: Final = 14
TOP: Final = 64
COLOURS: Final = {
    OTTLA_FSYNC: "#0b6e4f",
    OTTLA_CACHE: "#54b689",
    APACHE_CACHE: "#8a8f98",
    APACHE_FSYNC: "#c3c7cd",
    MOCK: "#d9b44a",
}


class Picture(NamedTuple):
    """One bar for each system, in a group for each of `rows` (key and words)."""

    file: str
    title: str
    figure: str
    unit: str
    rows: Sequence[tuple[str, str]]


PICTURES: Final = (
    Picture("bench-produce.svg", "Produce, MB/s (longer is better)", "in_mb_s", "", (
        ("stream/100/none", "100 B"), ("stream/1000/none", "1 KB"),
        ("stream/10000/none", "10 KB"), ("stream/1000/lz4", "1 KB, lz4"),
    )),
    Picture("bench-consume.svg", "Consume, MB/s (longer is better)", "out_mb_s", "", (
        ("stream/100/none", "100 B"), ("stream/1000/none", "1 KB"),
        ("stream/10000/none", "10 KB"), ("stream/1000/lz4", "1 KB, lz4"),
    )),
    Picture("bench-cpu.svg", "Broker CPU, ms per MB taken in (shorter is better)",
        "in_cpu_ms_mb", "", (
        ("stream/100/none", "100 B"), ("stream/1000/none", "1 KB"),
        ("stream/10000/none", "10 KB"), ("tls/SSL", "1 KB, TLS"),
    )),
    Picture("bench-latency.svg", "Produce to consume, p99 in µs (shorter is better)",
        "p99_us", "", (("latency/1000", "1,000 msg/s"), ("latency/20000", "20,000 msg/s"))),
    Picture("bench-start.svg", "Start to first group-consumed record, s (shorter is better)",
        "consumed_s", "", (("fresh", "on an empty directory"),)),
)  # fmt: skip


def write(results: dict[str, Any], directory: Path) -> str:
    """Draw what was measured; returns the lines of Markdown that show it."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = []
    for picture in PICTURES:
        groups = list(_groups(results, picture))
        if groups:
            (directory / picture.file).write_text(_svg(picture, groups))
            lines.append(f"![{picture.title}]({directory.name}/{picture.file})\n")
    return "\n".join(lines) + "\n" if lines else ""


def _groups(
    results: dict[str, Any], picture: Picture
) -> Iterator[tuple[str, dict[str, list[float]]]]:
    for key, words in picture.rows:
        found = results["rows"].get(key, {}).get("systems", {})
        bars = {
            system: [sample[picture.figure] for sample in found[system]]
            for system in COLOURS
            if found.get(system) and picture.figure in found[system][0]
        }
        if bars:
            yield words, bars


def _svg(picture: Picture, groups: Sequence[tuple[str, dict[str, list[float]]]]) -> str:
    systems = [key for key in COLOURS if any(key in bars for _, bars in groups)]
    largest = max(max(samples) for _, bars in groups for samples in bars.values())
    scale = (WIDTH - LABEL_WIDTH - 80) / largest
    parts = list(_legend(picture.title, systems))
    y = TOP
    for words, bars in groups:
        middle = y + len(bars) * BAR / 2 + 4
        parts.append(f'<text x="{LABEL_WIDTH - 10}" y="{middle:.0f}" text-anchor="end">'
                     f"{escape(words)}</text>")  # fmt: skip
        for key, samples in bars.items():
            parts += _bar(key, samples, y, scale)
            y += BAR
        y += GAP
    style = "font: 12px system-ui, sans-serif; fill: #222"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}"'
        f' height="{y}" role="img" aria-label="{escape(picture.title)}"><g style="{style}">'
        f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>{"".join(parts)}</g></svg>\n'
    )


def _legend(title: str, systems: Sequence[str]) -> Iterator[str]:
    yield f'<text x="12" y="22" style="font-size: 15px; font-weight: 600">{escape(title)}</text>'
    x = 12
    for key in systems:
        yield f'<rect x="{x}" y="36" width="11" height="11" fill="{COLOURS[key]}"/>'
        yield f'<text x="{x + 15}" y="46">{escape(NAMES[key])}</text>'
        x += 34 + 6.4 * len(NAMES[key])


def _bar(key: str, samples: Sequence[float], y: float, scale: float) -> Iterator[str]:
    """The median as a bar, the smallest and largest as a line over it."""
    value = statistics.median(samples)
    width = max(1.0, value * scale)
    yield (f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR - 2}"'
           f' fill="{COLOURS[key]}"/>')  # fmt: skip
    low, high = LABEL_WIDTH + min(samples) * scale, LABEL_WIDTH + max(samples) * scale
    at = y + (BAR - 2) / 2
    if len(samples) > 1:
        yield (f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{at}" y2="{at}" stroke="#222"'
               ' stroke-width="1"/>')  # fmt: skip
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    yield f'<text x="{high + 5:.1f}" y="{y + BAR - 3}">{text}</text>'
