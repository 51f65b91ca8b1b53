"""Where the broker listens and what clients are told."""

from __future__ import annotations

import socket

import pytest
from tests.support.accepting import answers_leave_at_once

from ottla.broker.config import BrokerConfig
from ottla.broker.config_types import ConfigError
from ottla.server.errors import StartError
from ottla.server.listeners import Endpoint, Listeners, bind, parse_endpoints


def bound(**settings: str) -> Listeners:
    return bind(BrokerConfig({key.replace("_", "."): value for key, value in settings.items()}))


def test_endpoints_are_read_as_kafka_writes_them() -> None:
    text = "PLAINTEXT://:9092, ssl://[::1]:9093,A_B-1://broker.local:0"
    assert parse_endpoints("listeners", text) == [
        Endpoint("PLAINTEXT", "", 9092),
        Endpoint("SSL", "::1", 9093),
        Endpoint("A_B-1", "broker.local", 0),
    ]


@pytest.mark.parametrize(
    "text", ["", "localhost:9092", "PLAINTEXT://x:70000", "NOBODY://:0", "CONTROLLER:"]
)
def test_senseless_listeners_are_refused_by_key(text: str) -> None:
    with pytest.raises(ConfigError, match="listeners"):
        bound(listeners=text)


def test_without_a_host_both_loopback_addresses_share_a_port_and_one_warning_tells() -> None:
    listeners = bound(listeners="PLAINTEXT://:0")
    addresses = listeners.bound[0].addresses
    assert {host for host, _ in addresses} <= {"127.0.0.1", "::1"}
    assert len({port for _, port in addresses}) == 1
    assert listeners.bootstrap_servers == f"127.0.0.1:{addresses[0][1]}"
    assert len(listeners.warnings) == 1
    assert "--insecure --set listeners=PLAINTEXT://0.0.0.0:0" in listeners.warnings[0]
    listeners.close()


def test_what_listens_without_a_host_can_listen_everywhere_as_images_do() -> None:
    """Also where only advertised listeners are named; safety is asked for as ever."""
    text = "PLAINTEXT://:0"
    opened = bound(listeners=text, ottla_listen_host="0.0.0.0", ottla_insecure="true")
    assert [host for host, _ in opened.bound[0].addresses] == ["0.0.0.0"]
    assert not opened.warnings
    opened.close()
    kept = bound(listeners=text, ottla_listen_host="0.0.0.0")
    assert "0.0.0.0" not in [host for host, _ in kept.bound[0].addresses]
    assert "would let anybody on the network in" in kept.warnings[0]
    kept.close()


def test_a_file_for_kraft_keeps_its_controller_port_to_itself() -> None:
    listeners = bound(
        listeners="PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:1",
        controller_listener_names="CONTROLLER",
        advertised_listeners="PLAINTEXT://example.org:1234",
    )
    (only,) = listeners.bound
    assert only.advertise(("127.0.0.1", 5)) == ("example.org", 1234)
    assert listeners.bootstrap_servers == "example.org:1234"
    listeners.close()


def test_clients_are_told_the_address_they_came_in_on() -> None:
    listeners = bound(listeners="PLAINTEXT://0.0.0.0:0")
    assert listeners.bound[0].advertise(("192.0.2.7", 9092)) == ("192.0.2.7", 9092)
    assert listeners.bootstrap_servers.startswith("127.0.0.1:")
    listeners.close()


def test_a_compose_file_that_only_advertises_gets_listeners_to_match() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = one.getsockname()[1], two.getsockname()[1]
    listeners = bound(
        listener_security_protocol_map="INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
        advertised_listeners=f"INSIDE://broker:{ports[0]},OUTSIDE://localhost:{ports[1]}",
    )
    assert [(b.name, b.addresses[0]) for b in listeners.bound] == [
        ("INSIDE", ("127.0.0.1", ports[0])),
        ("OUTSIDE", ("127.0.0.1", ports[1])),
    ]
    assert listeners.bound[0].advertise(("127.0.0.1", 1)) == ("broker", ports[0])
    assert "0.0.0.0" in listeners.warnings[0]
    listeners.close()


@pytest.mark.parametrize("told", ["PLAINTEXT://0.0.0.0:1", "OTHER://example.org:1"])
def test_senseless_advertised_listeners_are_refused(told: str) -> None:
    with pytest.raises(ConfigError, match=r"advertised\.listeners"):
        bound(listeners="PLAINTEXT://127.0.0.1:0", advertised_listeners=told)


def test_a_port_in_use_and_a_foreign_address_are_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} is in use"):
            bound(listeners=f"PLAINTEXT://127.0.0.1:{port}")
        with pytest.raises(StartError, match=f"port {port} is in use"):
            bound(listeners=f"PLAINTEXT://:{port}")
    with pytest.raises(StartError, match="no such address"):
        bound(listeners="PLAINTEXT://192.0.2.1:0", ottla_insecure="true")
    with pytest.raises(StartError, match="not known here"):
        bound(listeners="PLAINTEXT://no-such-host.invalid:0", ottla_insecure="true")


def test_limits_per_address_are_read() -> None:
    with pytest.raises(ConfigError, match="host:count"):
        bound(listeners="PLAINTEXT://:0", max_connections_per_ip_overrides="nonsense")


def test_containers_get_listeners_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ottla.server.listeners._bridge_addresses", lambda: ["127.0.0.2"])
    listeners = bind(BrokerConfig({"listeners": "PLAINTEXT://127.0.0.1:0"}), containers=True)
    port = listeners.bound[0].addresses[0][1]
    assert listeners.bound[1].addresses == [("127.0.0.2", port)]
    assert listeners.container_address == f"127.0.0.2:{port}"
    assert listeners.bootstrap_servers == f"127.0.0.1:{port}"
    listeners.close()


async def test_an_accepted_connection_sends_its_answers_at_once() -> None:
    listeners = bound(listeners="PLAINTEXT://127.0.0.1:0")
    assert await answers_leave_at_once(*listeners.bound[0].sockets)
    listeners.close()


def test_sockets_count_connections_from_accept_to_close() -> None:
    """Before any handshake: what a stranger opens and leaves counts, too."""
    listeners = bound(listeners="PLAINTEXT://127.0.0.1:0", max_connections_per_ip="1")
    (listening,) = listeners.bound[0].sockets
    listening.setblocking(True)
    address = listening.getsockname()
    first, second = socket.create_connection(address), socket.create_connection(address)
    accepted, _ = listening.accept()
    second.settimeout(90)
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.accept()
    assert second.recv(1) == b""
    accepted.close()
    third = socket.create_connection(address)
    listening.setblocking(True)
    again, _ = listening.accept()
    for sock in (first, second, third, again):
        sock.close()
    assert listeners.bound[0].limits.refused == 1
    listeners.close()
