"""A connection negotiates, pipelines, and says in one sentence what went wrong."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from tests.unit.client.scripted_broker import ScriptedBroker

from ottla.client.connection import Connection
from ottla.client.errors import (
    CannotConnectError,
    ConnectionLostError,
    NoAnswerError,
    SettingsError,
    UnsupportedError,
)
from ottla.client.settings import Settings, parse_address, parse_bootstrap_servers
from ottla.wire.message import Message, Request
from ottla.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from ottla.wire.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from ottla.wire.messages.produce import ProduceRequest

IMPATIENT = Settings(request_timeout_ms=200)


def echo_group(request: Request[Any]) -> Message | None:
    if isinstance(request, ListGroupsRequest):
        return ListGroupsResponse(groups=[ListedGroup(s) for s in request.states_filter])
    return FindCoordinatorResponse(host="here")


def test_the_newest_common_version_is_spoken() -> None:
    with ScriptedBroker(echo_group, {18: (0, 2), 16: (1, 3), 10: (0, 99)}) as broker:
        with Connection("127.0.0.1", broker.port) as connection:
            connection.request(ListGroupsRequest())
            connection.request(FindCoordinatorRequest())
            connection.request(ListGroupsRequest(), 2)
    assert broker.requests == [(18, 4), (18, 0), (16, 3), (10, 6), (16, 2)]


def test_a_broker_too_old_for_the_request_is_named() -> None:
    with ScriptedBroker(echo_group, {18: (0, 4), 16: (1, 3)}) as broker:
        with Connection("127.0.0.1", broker.port) as connection:
            with pytest.raises(UnsupportedError, match="in versions 1 to 3, and 4 to 5 are needed"):
                connection.request(ListGroupsRequest(), at_least=4)
            with pytest.raises(UnsupportedError, match="does not know find_coordinator"):
                connection.request(FindCoordinatorRequest())
            assert connection.request(ListGroupsRequest()).groups == []


def test_pipelined_answers_are_found_in_any_order() -> None:
    with ScriptedBroker(echo_group) as broker:
        with Connection("127.0.0.1", broker.port) as connection:
            tickets = [connection.send(ListGroupsRequest([name])) for name in "abc"]
            found = [connection.receive(t).groups[0].group_id for t in reversed(tickets)]
    assert found == ["c", "b", "a"]


def test_a_produce_request_without_acknowledgement_has_no_answer_to_wait_for() -> None:
    def script(request: Request[Any]) -> Message | bytes | None:
        return b"" if isinstance(request, ProduceRequest) else echo_group(request)

    with ScriptedBroker(script) as broker:
        with Connection("127.0.0.1", broker.port) as connection:
            connection.send(ProduceRequest(acks=0))
            assert connection.request(ListGroupsRequest(["x"])).groups[0].group_id == "x"


def test_no_listener_is_a_refused_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(
            CannotConnectError, match=rf"^cannot connect to 127.0.0.1:{port}: connection refused$"
        ):
            Connection("127.0.0.1", port)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(CannotConnectError, match=r"no\.invalid:9092: no such host is known"):
        Connection("no.invalid", 9092)


def test_silence_ends_after_the_time_out() -> None:
    with ScriptedBroker(lambda _: b"") as broker:
        connection = Connection("127.0.0.1", broker.port, IMPATIENT)
        expected = f"^no answer to list_groups from 127.0.0.1:{broker.port} within 200 ms$"
        with pytest.raises(NoAnswerError, match=expected):
            connection.request(ListGroupsRequest())
        assert connection.is_closed


def test_a_closed_connection_is_told() -> None:
    with ScriptedBroker(lambda _: None) as broker:
        connection = Connection("127.0.0.1", broker.port)
        with pytest.raises(ConnectionLostError, match="closed the connection"):
            connection.request(ListGroupsRequest())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x16",
        b"\x00\x00\x00\x06\x00\x00\xff\xff\x00\x00",
        b"\x00\x00\x00\x05\x00\x00\x00\x02\x07",
    ],
    ids=["http", "tls", "other correlation id", "too short"],
)
def test_what_is_not_kafka_is_told(answer: bytes) -> None:
    with ScriptedBroker(lambda _: answer) as broker:
        connection = Connection("127.0.0.1", broker.port)
        with pytest.raises(ConnectionLostError, match="does not answer in Kafka's protocol"):
            connection.request(ListGroupsRequest())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost", ("localhost", 9092)),
        ("a.b:1", ("a.b", 1)),
        ("[::1]:9093", ("::1", 9093)),
        ("[::1]", ("::1", 9092)),
        ("::1", ("::1", 9092)),
        ("PLAINTEXT://h:5", ("h", 5)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["h:x", "h:0", "h:65536", ":1", "[::1]x", "h:-1", "h:²"])
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not an address of the form host:port"):
        parse_address(text)


def test_several_bootstrap_servers() -> None:
    assert parse_bootstrap_servers("a:1, b,") == [("a", 1), ("b", 9092)]
    with pytest.raises(SettingsError, match="no bootstrap server was given"):
        parse_bootstrap_servers(" ,")
