"""Requests of other sites are refused."""

from __future__ import annotations

import pytest

from ottla.console.origin import LOCAL_NAMES, SameOrigin


async def nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("is never called")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:9021", None),
        ("127.0.0.1:9021", "http://127.0.0.1:9021"),
        ("[::1]:9021", "http://[::1]:9021"),
    ],
)
def test_our_own_pages_are_answered(host: str, origin: str | None) -> None:
    headers = {b"host": host.encode()}
    if origin:
        headers[b"origin"] = origin.encode()
    assert SameOrigin(nothing, LOCAL_NAMES).problem(headers) is None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999"])
def test_another_sites_requests_are_not(origin: str) -> None:
    headers = {b"host": b"localhost:9021", b"origin": origin.encode()}
    assert SameOrigin(nothing, None).problem(headers) == "This request came from another site."


def test_a_name_that_was_pointed_at_this_machine_is_not() -> None:
    problem = SameOrigin(nothing, LOCAL_NAMES).problem({b"host": b"evil.example:9021"})
    assert problem is not None
    assert "evil.example" in problem
