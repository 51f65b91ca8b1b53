"""The table of APIs, the modules behind it, and what every API does with little."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.support.core import Core, Sink
from tests.support.requests import create_topic, fetch, metadata

import ottla.handlers
from ottla.handlers.registry import ROWS, find_api
from ottla.wire.errors import ErrorCode
from ottla.wire.messages import API_NAMES, API_VERSIONS
from ottla.wire.messages.api_versions import ApiVersionsRequest

EVERY_VERSION = [
    pytest.param(key, version, id=f"{row.name}-v{version}")
    for key, row in ROWS.items()
    for version in range(row.min_version, row.max_version + 1)
]


def test_every_row_has_its_module_and_every_handler_its_row() -> None:
    for key, row in ROWS.items():
        assert API_NAMES[key] == row.name
        api = find_api(key)
        assert api is not None
        assert callable(api.handle)
    folder = Path(ottla.handlers.__path__[0])
    handlers = {
        m.name
        for m in pkgutil.iter_modules([str(folder)])
        if re.search(r"^def handle\(", (folder / f"{m.name}.py").read_text(), re.MULTILINE)
    }
    assert handlers == {row.name for row in ROWS.values()}


def test_versions_served_are_versions_that_can_be_read() -> None:
    for key, row in ROWS.items():
        oldest, newest, _ = API_VERSIONS[key]
        assert oldest <= row.min_version <= row.max_version <= newest


def test_docstrings_name_key_and_versions() -> None:
    for key, row in ROWS.items():
        text = import_module(f"ottla.handlers.{row.name}").__doc__ or ""
        assert f"(API key {key}), version" in text, row.name
        numbers = rf"versions {row.min_version} (to|and) {row.max_version}\b"
        if row.min_version == row.max_version:
            numbers = rf"version {row.min_version}\b"
        assert re.search(numbers, text), row.name


def test_api_versions_lists_what_is_served(core: Core) -> None:
    response = core.client().call(ApiVersionsRequest("test", "1.0"), 4)
    listed = {a.api_key: (a.min_version, a.max_version) for a in response.api_keys}
    assert listed.keys() == ROWS.keys()
    assert listed[0] == (0, 13)
    assert listed[1] == (ROWS[1].min_version, 18)
    assert {f.name for f in response.finalized_features} >= {"metadata.version"}
    assert response.finalized_features_epoch >= 0


def test_a_client_from_the_future_is_told_in_version_0_what_to_ask_with(core: Core) -> None:
    client = core.client()
    frame = bytearray(b"\x00\x12\x00\x63\x00\x00\x00\x01\xff\xff\x00whatever comes then")
    client._expected.append((18, 0, 1))
    client.send_frame(frame)
    response = client.read()
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(a.api_key, a.min_version, a.max_version) for a in response.api_keys] == [(18, 0, 4)]


def test_software_names_are_checked(core: Core) -> None:
    response = core.client().call(ApiVersionsRequest("-", "1"), 3)
    assert response.error_code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0",
        b"\0\x12\0\0\0\0\0\1",
        b"\x7f\xff\0\0\0\0\0\1\xff\xff",
        b"\0\3\0\x63\0\0\0\1\xff\xff",
        b"\0\3\0\1\0\0\0\1\0\5ab",
        b"\0\3\0\1\0\0\0\1\0\2\xff\xff",
        b"\0\3\0\1\0\0\0\1\xff\xff\0\0\0\5",
        b"\0\3\0\x09\0\0\0\1\xff\xff",
    ],
)
def test_what_is_not_a_request_closes_the_connection(core: Core, frame: bytes) -> None:
    client = core.client()
    client.send_frame(bytearray(frame))
    assert client.close_reason
    assert core.broker.metrics.connections_closed_by_error == 1
    assert core.client().call(ApiVersionsRequest("a", "b"), 3).error_code == 0


@pytest.mark.parametrize(("key", "version"), EVERY_VERSION)
def test_an_empty_request_of_every_version_is_answered(core: Core, key: int, version: int) -> None:
    client = core.client()
    request: Any = import_module(f"ottla.wire.messages.{ROWS[key].name}").REQUEST()
    if getattr(request, "topics", ()) is None:
        request.topics = []  # The oldest versions cannot say null.
    if hasattr(request, "acks"):
        request.acks = 1
    client.send(request, version)
    core.advance(1000)
    sink: Sink = core.sink
    if client.connection not in sink.closed and client.read() is None:
        assert client.connection.slots, "neither answered, parked nor closed"


def test_equal_requests_are_answered_from_the_cache_until_something_changes(core: Core) -> None:
    client, elsewhere = core.client(), core.client(port=1)
    client.call(create_topic("t"), 7)
    first = client.call(metadata("t", "u"), 12)
    assert len(core.broker.response_cache) == 1
    assert client.call(metadata("t", "u"), 12) == first
    assert elsewhere.call(metadata("t", "u"), 12).brokers[0].port == 1
    client.call(create_topic("u"), 7)
    assert [t.error_code for t in client.call(metadata("t", "u"), 12).topics] == [0, 0]


def test_what_a_lost_client_waited_for_is_forgotten(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    client.send(fetch("t", max_wait_ms=2**31 - 1), 12)
    partition = core.broker.find_partition("t", 0)
    assert partition is not None
    assert partition.watchers
    core.broker.connection_lost(client.connection)
    assert not partition.watchers
