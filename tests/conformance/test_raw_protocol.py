"""Request by request, in every version, Ottla answers as Apache Kafka does.

Apache Kafka's answers are in `transcripts/`; `make conformance` checks that
they still are its answers, and with OTTLA_RECORD=1 writes them anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.conformance import comparison, scenarios
from tests.conformance.scenarios import Scenario
from tests.conformance.talk import Talk

import ottla
from ottla.engine.apache import ApacheKafka

ALL = scenarios.load()
CASES = [
    pytest.param(s, version, id=f"{s.name}-v{version}")
    for s in ALL.values()
    for version in s.versions
]
IS_RECORDING = os.environ.get("OTTLA_RECORD") == "1"


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, list[comparison.Difference]]]:
    """Differences met so far; after a whole run the register may list no others."""
    found: dict[str, list[comparison.Difference]] = {}
    yield found
    if len(found) == len(CASES):
        stale = comparison.unseen([d for several in found.values() for d in several])
        assert not stale, f"docs/compatibility.toml lists what no longer differs: {stale}"


def talk_through(scenario: Scenario, host: str, port: int, version: int) -> comparison.Entries:
    talk = Talk(host, port, version)
    try:
        scenario.speech(talk)
    finally:
        talk.close()
    return talk.entries


@pytest.mark.parametrize(("scenario", "version"), CASES)
def test_apache_kafka_answers_as_written_down(
    apache_kafka: ApacheKafka, scenario: Scenario, version: int
) -> None:
    port = apache_kafka.nodes[0].port
    assert port is not None
    entries = talk_through(scenario, "127.0.0.1", port, version)
    kept = comparison.load(scenario.name)
    if IS_RECORDING:
        comparison.save(scenario.name, {**kept, version: entries})
        return
    assert comparison.differences(scenario.name, kept.get(version, []), entries) == []


@pytest.mark.parametrize(("scenario", "version"), CASES)
def test_ottla_answers_as_apache_kafka_does(
    strict_broker: ottla.Broker,
    seen: dict[str, list[comparison.Difference]],
    scenario: Scenario,
    version: int,
) -> None:
    kafka = comparison.load(scenario.name)[version]
    ottla = talk_through(scenario, "127.0.0.1", strict_broker.port, version)
    differences = comparison.differences(scenario.name, kafka, ottla)
    seen[f"{scenario.name} v{version}"] = differences
    found = comparison.unregistered(differences)
    report = "\n".join(f"{d.path}: kafka {d.kafka!r}, ottla {d.ottla!r}" for d in found)
    assert not found, f"not in docs/compatibility.toml:\n{report}"
