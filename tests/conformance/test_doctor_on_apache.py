"""`ottla doctor` on a cluster that has lost a broker, which one node alone cannot show."""

from __future__ import annotations

import json
import time

import pytest
from tests.apps.typed_lines import Shell, environment_for
from tests.conformance.programs import toolchains

from ottla.engine.apache import ApacheKafka


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_partitions_without_leader_or_replicas_are_found() -> None:
    toolchains.need("java")
    with ApacheKafka(brokers=2, controllers=1) as kafka:
        create = Shell(environment_for(kafka.bootstrap_servers))
        create("kafka-topics --create --topic both --replica-assignment 1:2")
        create("kafka-topics --create --topic second --replica-assignment 2")
        first, second = kafka.brokers
        servers = f"127.0.0.1:{first.port}"
        second.kill()

        def sentences() -> dict[str, dict[str, str]]:
            shell = Shell(environment_for(servers))
            lines = shell("ottla doctor --json || true").splitlines()
            return {found["sentence"]: found for found in map(json.loads, lines)}

        deadline = time.monotonic() + 120
        while True:
            found = sentences()
            headless = [f for s, f in found.items() if "no leader: second-0" in s]
            behind = [f for s, f in found.items() if "partitions lack replicas" in s]
            if headless and behind:
                break
            assert time.monotonic() < deadline, list(found)
            time.sleep(1)  # until the controller has given the broker up
    assert headless[0]["verdict"] == "bad"
    assert "--unavailable-partitions" in headless[0]["remedy"]
    assert behind[0]["verdict"] == "warning"
    assert "--under-replicated-partitions" in behind[0]["remedy"]
