"""`/openapi.json`, and `/docs`: the same to read, one page without outside assets."""

from __future__ import annotations

import html
import json
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ottla.gateway.openapi import SECTIONS, Operation, document
from ottla.gateway.openapi_schemas import SCHEMAS
from ottla.gateway.rest_v3.resources import v3_json

STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 0 auto; padding: 1rem; }
input { font: inherit; width: 100%; padding: .5rem; box-sizing: border-box; }
details { border-bottom: 1px solid #8884; padding: .35rem 0; }
summary { cursor: pointer; display: flex; gap: .8rem; flex-wrap: wrap; }
summary b { width: 4.2rem; } summary span { opacity: .75; }
code, pre { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: #8882; padding: .7rem; overflow: auto; border-radius: .3rem; }
"""

# Filters by what is typed; the page is complete without it.
SCRIPT: Final = """
document.querySelector("input").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const row of document.querySelectorAll("details"))
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
"""

TITLES: Final = {
    "v2": "Version 2",
    "v3": "Version 3",
    "general": "Health, commands, documentation",
}


def _row(op: Operation) -> str:
    parts = []
    if op.query:
        parts.append(f"<p>Query: <code>{html.escape(', '.join(op.query))}</code></p>")
    if op.body is not None:
        schema = json.dumps(SCHEMAS[op.body], indent=2)
        parts.append(f"<p>Body: {op.body}</p><pre>{html.escape(schema)}</pre>")
    parts.append(f"<p>Answers {op.status}{f' as {op.answer}' if op.answer else ''}.</p>")
    if op.gives is not None:
        schema = json.dumps(SCHEMAS[op.gives], indent=2)
        parts.append(f"<p>Answer: {op.gives}</p><pre>{html.escape(schema)}</pre>")
    return (
        f"<details><summary><b>{op.method}</b><code>{html.escape(op.path)}</code>"
        f"<span>{html.escape(op.summary)}</span></summary>{''.join(parts)}</details>"
    )


def page() -> str:
    sections = "".join(
        f"<h2>{TITLES[tag]}</h2>{''.join(_row(op) for op in operations)}"
        for tag, operations in SECTIONS
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Ottla REST</title>'
        f"<style>{STYLE}</style><h1>Ottla REST</h1>"
        '<p>Every route of this door. For tools: <a href="/openapi.json">openapi.json</a>.</p>'
        f'<input placeholder="Find a route" aria-label="Find a route">{sections}'
        f"<script>{SCRIPT}</script></html>"
    )


async def openapi_json(_: Request) -> Response:
    return v3_json(document())


async def docs(_: Request) -> Response:
    return HTMLResponse(page())


def documentation_routes() -> list[Route]:
    return [
        Route("/openapi.json", openapi_json, methods=["GET"]),
        Route("/docs", docs, methods=["GET"]),
    ]
