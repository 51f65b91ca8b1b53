"""Two doors to a Kafka for the tests of the applications.

By default an embedded broker is started once for all of them. With
OTTLA_TEST_BOOTSTRAP_SERVERS set, the same tests run against that Kafka: this
is how `make conformance` runs them on Apache Kafka. Tests therefore make their
own topics and groups, with names of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.apps.postgresql_server import postgresql_url

__all__ = ["bootstrap_servers", "postgresql_url", "unique"]


@pytest.fixture(scope="session")
def bootstrap_servers() -> Iterator[str]:
    """The address of a Kafka that is ready."""
    given = os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    from ottla.embedded import Broker

    with Broker() as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def unique() -> str:
    """A name that no other test uses, for topics and groups."""
    return f"t{uuid4().hex[:12]}"
