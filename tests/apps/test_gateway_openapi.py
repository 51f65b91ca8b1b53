"""The OpenAPI document says what is served, no less and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from ottla.gateway.admin_commands import AdminCommands
from ottla.gateway.burrow_app import burrow_application, load_monitor
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.openapi import SECTIONS, document
from ottla.gateway.openapi_page import page
from ottla.gateway.rest_app import rest_application
from ottla.gateway.settings import GatewaySettings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def served() -> set[tuple[str, str]]:
    """(method, path) of every route of the REST door."""
    kafka = KafkaAccess(GatewaySettings("localhost:1"))
    found = {
        (method, route.path)
        for route in rest_application(kafka, AdminCommands(kafka)).routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    kafka.close()
    return found


def test_every_route_is_in_the_document_and_the_other_way_round(
    served: set[tuple[str, str]],
) -> None:
    documented = {
        (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method in methods
    }
    assert documented == served


def test_every_reference_leads_somewhere() -> None:
    found = document()
    text = repr(found)
    names = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert names == set(found["components"]["schemas"])
    for path, methods in found["paths"].items():
        for operation in methods.values():
            in_path = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
            assert in_path == re.findall(r"{(\w+)}", path)


def test_the_page_needs_nothing_from_outside(served: set[tuple[str, str]]) -> None:
    text = page()
    for _, path in served:
        assert path in text
    assert "http://" not in text
    assert "https://" not in text
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ["/openapi.json"]


def test_the_tables_in_the_documentation_name_every_route_once() -> None:
    text = (DOCS / "rest-proxy.md").read_text()
    rows = re.findall(
        r"^\| `([A-Z]+) ([^`]+)` \| ([^|]+) \| (original|ours) \|$", text, re.MULTILINE
    )
    named = [(m, path.replace("…", "/v3/clusters/{cluster}"), what) for m, path, what, _ in rows]
    served = [
        (op.method, op.path + ("?" + "&".join(op.query) if op.query else ""), op.summary)
        for _, operations in SECTIONS
        for op in operations
    ]
    short = [(m, path.split("?resource_type")[0], what) for m, path, what in served]
    assert sorted(named) == sorted(short)


def test_the_table_of_burrow_names_every_route() -> None:
    text = (DOCS / "burrow.md").read_text().replace("{group}", "{consumer}")
    kafka = KafkaAccess(GatewaySettings("localhost:1"))
    routes = {
        r.path
        for r in burrow_application(kafka, load_monitor(kafka)).routes
        if isinstance(r, Route)
    }
    kafka.close()
    told = routes - {"/{anything:path}", "/v3/config/cluster/{cluster}", "/health/ready"}
    for path in told:
        assert path in text or path.replace("/v3/config", "…") in text, path
