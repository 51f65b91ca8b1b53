"""`ottla chaos` in front of Apache Kafka."""

from __future__ import annotations

import os

import pytest
from tests.apps.test_chaos import slow_and_cut
from tests.conftest import ORACLE_PROPERTIES

from ottla.engine.apache import ApacheKafka
from ottla.engine.errors import MissingJavaError
from ottla.engine.ports import free_ports


@pytest.mark.apache
@pytest.mark.skipif(
    os.environ.get("OTTLA_CONFORMANCE") != "1",
    reason="[apache-kafka-not-asked-for] run `make conformance`",
)
def test_the_command_stands_in_front_of_apache_kafka() -> None:
    plain, controller, behind, port = free_ports(4)
    local = "127.0.0.1"
    properties = {
        **ORACLE_PROPERTIES,
        "listeners": f"PLAINTEXT://{local}:{plain},CONTROLLER://{local}:{controller},"
        f"CHAOS://{local}:{behind}",
        "advertised.listeners": f"PLAINTEXT://{local}:{plain},CHAOS://{local}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "CHAOS:PLAINTEXT",
    }
    try:
        kafka = ApacheKafka(ports=[plain], controller_ports=[controller], properties=properties)
    except MissingJavaError as error:
        pytest.skip(f"[no-java] {error}")
    with kafka:
        slow_and_cut(f"{local}:{behind}", port)
