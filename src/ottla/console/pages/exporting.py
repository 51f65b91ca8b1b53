"""A whole topic as a download, read while it is sent."""

from __future__ import annotations

from collections.abc import Iterator

from nicegui import app
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ottla.console import exchange
from ottla.console.cluster import ClusterError
from ottla.console.clusters import Clusters
from ottla.console.messages import Range, Reader

TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


def register(clusters: Clusters) -> None:
    @app.get("/export/{topic}")
    def export(topic: str, format: str = "jsonl", cluster: str = "") -> Response:
        kind = format if format in TYPES else "jsonl"
        reader = Reader(clusters.current(cluster), topic)
        try:
            bounds = reader.bounds(Range(start="beginning"))
        except ClusterError as error:
            reader.close()
            return PlainTextResponse(str(error), 404)
        name = "".join(c if c.isalnum() or c in "._-" else "_" for c in topic)
        return StreamingResponse(
            _lines(reader, bounds, kind),
            media_type=TYPES[kind],
            headers={"content-disposition": f'attachment; filename="{name}.{kind}"'},
        )


def _lines(reader: Reader, bounds: dict[int, tuple[int, int]], kind: str) -> Iterator[str]:
    """Partition by partition as they come; each is in order."""
    try:
        if kind == "csv":
            yield exchange.as_csv([])
        for batch in reader.read(bounds):
            if kind == "csv":
                yield exchange.as_csv(batch, with_head=False)
            else:
                yield exchange.as_json_lines(batch)
    finally:
        reader.close()
