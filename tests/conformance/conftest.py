"""Targets of the conformance suite: the embedded broker, and Apache Kafka when asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import ORACLE_PROPERTIES

import ottla


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[ottla.Broker]:
    """One throw-away broker for the whole run: tests use topics and groups of their own."""
    with ottla.Broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def strict_broker() -> Iterator[ottla.Broker]:
    """Serves just the versions that Apache Kafka 4 serves, with an authorizer as it has."""
    settings = {key: ORACLE_PROPERTIES[key] for key in ("authorizer.class.name", "super.users")}
    with ottla.Broker(config={"ottla.protocol": "strict", **settings}) as broker:
        yield broker


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.apache)])
def bootstrap_servers(request: pytest.FixtureRequest) -> str:
    """Address of a broker that must behave as Kafka."""
    name = "embedded_broker" if request.param == "embedded" else "apache_kafka"
    address: str = request.getfixturevalue(name).bootstrap_servers
    return address


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A name for topics and groups that no other test uses."""
    import uuid

    return f"t-{uuid.uuid4().hex[:12]}"
