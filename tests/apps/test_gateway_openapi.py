"""The OpenAPI document says what is served, no less and no more."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from ottla.gateway.admin_commands import AdminCommands
from ottla.gateway.kafka_access import KafkaAccess
from ottla.gateway.openapi import document
from ottla.gateway.openapi_page import page
from ottla.gateway.rest_app import rest_application
from ottla.gateway.settings import GatewaySettings


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
