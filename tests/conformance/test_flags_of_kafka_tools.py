"""The recorded flags of Apache Kafka's tools are those that the tools name in --help.

docs/kafka-tools.md and the test that our tools take every flag rest on this record.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.conformance.test_kafka_tools_side_by_side import CLASSES, JAVA_OPTIONS

from ottla.engine.apache import ApacheKafka

RECORD = Path(__file__).parents[1] / "unit" / "cli" / "apache_kafka_4_3_1_flags.json"
RECORDED = {tool: set(flags.split()) for tool, flags in json.loads(RECORD.read_text()).items()}
TOOLS = "org.apache.kafka.tools"
ALL_CLASSES = CLASSES | {
    "kafka-cluster": f"{TOOLS}.ClusterTool",
    "kafka-console-consumer": f"{TOOLS}.consumer.ConsoleConsumer",
    "kafka-console-producer": f"{TOOLS}.ConsoleProducer",
    "kafka-console-share-consumer": f"{TOOLS}.consumer.ConsoleShareConsumer",
    "kafka-consumer-perf-test": f"{TOOLS}.ConsumerPerformance",
    "kafka-delegation-tokens": f"{TOOLS}.DelegationTokenCommand",
    "kafka-dump-log": f"{TOOLS}.DumpLogSegments",
    "kafka-e2e-latency": f"{TOOLS}.EndToEndLatency",
    "kafka-producer-perf-test": f"{TOOLS}.ProducerPerformance",
    "kafka-verifiable-consumer": f"{TOOLS}.VerifiableConsumer",
    "kafka-verifiable-producer": f"{TOOLS}.VerifiableProducer",
}


#: Tools whose flags are told by the help of their actions.
ACTIONS = {
    "kafka-cluster": ("cluster-id", "unregister", "list-endpoints"),
    "kafka-features": (
        *("describe", "upgrade", "downgrade", "disable", "version-mapping"),
        "feature-dependencies",
    ),
    "kafka-metadata-quorum": ("describe", "add-controller", "remove-controller"),
    "kafka-transactions": (
        *("list", "describe", "describe-producers", "abort", "find-hanging"),
        "forceTerminateTransaction",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("tool", sorted(RECORDED))
def test_the_record_is_what_help_names(apache_kafka: ApacheKafka, tool: str) -> None:
    command = apache_kafka.distribution.command(ALL_CLASSES[tool], JAVA_OPTIONS)
    said = ""
    for words in ([], *([action] for action in ACTIONS.get(tool, ()))):
        done = subprocess.run(
            # This one takes a lonely --help for a mistake, and tells all when asked nothing.
            [*command, *words, *([] if tool == "kafka-e2e-latency" else ["--help"])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said += done.stdout + done.stderr
    named = set(re.findall(r"^\s{0,2}\[?(--[a-z][\w.-]+)", said, re.MULTILINE))
    assert named - {"--help", "--version"} <= RECORDED[tool]
    assert {flag for flag in RECORDED[tool] if flag not in said} == set()
