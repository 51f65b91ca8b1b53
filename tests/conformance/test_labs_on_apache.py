"""The labs that need nodes of Apache Kafka, and the whole story, which ends on them."""

from __future__ import annotations

import io
import os

import pytest

from ottla.labs import catalog
from ottla.labs.screen import Screen

pytestmark = [
    pytest.mark.apache,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("OTTLA_CONFORMANCE") != "1",
        reason="[apache-kafka-not-asked-for] run `make conformance`",
    ),
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["replication", "story"])
def test_its_verdict_holds(name: str) -> None:
    out = io.StringIO()
    result = catalog.run(name, None, Screen(out), is_fast=True)
    assert result["verdict"] == "holds", out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80, out.getvalue()


def test_the_labs_that_bring_their_own_kafka_are_these() -> None:
    own = {name for name in catalog.available() if catalog.brings_its_own_kafka(name)}
    assert own == {"replication", "story"}
