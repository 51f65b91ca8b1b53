"""What tests in several rooms share: a real Apache Kafka, when one was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ottla.engine.apache import ApacheKafka
from ottla.engine.errors import MissingJavaError

#: Kafka's defaults, but quick: nobody waits for offsets to expire or deleted files to go.
ORACLE_PROPERTIES = {
    "group.coordinator.rebalance.protocols": "classic,consumer,share,streams",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    # The records of the written-down talks are from 2017.
    "log.retention.check.interval.ms": "86400000",
}


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """One node of Apache Kafka for the whole run (`make conformance`)."""
    if os.environ.get("OTTLA_CONFORMANCE") != "1":
        pytest.skip("[apache-kafka-not-asked-for] run `make conformance`")
    try:
        kafka = ApacheKafka(properties=ORACLE_PROPERTIES)
    except MissingJavaError as error:
        pytest.skip(f"[no-java] {error}")
    with kafka:
        yield kafka


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs Apache Kafka is marked so."""
    for item in items:
        if "apache_kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.apache)
