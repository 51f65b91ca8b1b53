"""Take a picture of the dashboard with the traffic that flows right now.

Usage: python tools/dashboard_picture.py HOST:PORT [TARGET.svg] [COLUMNSxLINES] [TOPIC]

The picture names no font of the network and is small enough for the README.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from ottla.dashboard.app import Dashboard
from ottla.dashboard.reader import Reader

WATCHED_S = 4.0


async def take_picture(servers: str, topic: str, size: tuple[int, int]) -> str:
    app = Dashboard(Reader({"bootstrap.servers": servers}, topic))
    async with app.run_test(size=size) as pilot:
        await pilot.pause(WATCHED_S)
        return app.export_screenshot(title="ottla dash")


def made_small(svg: str) -> str:
    """Without fonts of the network, and without what only matters where text overflows."""
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    svg = re.sub(r"terminal-\d+-", "", svg)
    svg = re.sub(r'<clipPath id="line-\d+">.*?</clipPath>', "", svg, flags=re.DOTALL)
    svg = re.sub(r' clip-path="url\(#line-\d+\)"| shape-rendering="crispEdges"', "", svg)
    svg = re.sub(r'="(\d+\.\d)\d+"', r'="\1"', svg)
    return re.sub(r"\n\s*", "\n", svg)


def main() -> None:
    servers, *rest = sys.argv[1:]
    target, size, topic = (
        *rest,
        *("docs/pictures/dashboard.svg", "120x40", "analytics")[len(rest) :],
    )
    columns, lines = (int(word) for word in size.split("x"))
    svg = made_small(asyncio.run(take_picture(servers, topic, (columns, lines))))
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(svg, encoding="utf-8")
    print(f"{target}: {len(svg) // 1024} KB")


if __name__ == "__main__":
    main()
