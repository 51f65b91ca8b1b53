"""Who mistyped a port is told so, also when librdkafka tells of its first tries only."""

from __future__ import annotations

import socket

import pytest
from confluent_kafka import KafkaError

from ottla.cli.errors import CommandError
from ottla.cli.workers import record_clients
from ottla.cli.workers.record_clients import Reachability
from ottla.engine.ports import free_ports


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_clients, "PATIENCE_S", 3_600.0)
    monkeypatch.setattr(record_clients, "LOOK_EVERY_S", -3_600.0)


def told_early_that_nobody_answers(servers: str) -> Reachability:
    watch = Reachability(servers)
    watch.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert not watch.unreachable, "one of two addresses may be deaf"
    return watch


def test_nobody_there_is_found_out_without_another_word_of_the_client() -> None:
    (port,) = free_ports(1)
    watch = told_early_that_nobody_answers(f"127.0.0.1:{port}")
    with pytest.raises(CommandError, match=f"No broker answers at 127.0.0.1:{port}"):
        watch.check()


def test_a_second_address_that_listens_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (port,) = free_ports(1)
        there = listening.getsockname()[1]
        watch = told_early_that_nobody_answers(f"127.0.0.1:{port},127.0.0.1:{there}")
        watch.check()
    watch.check()  # the client would tell of a new loss
