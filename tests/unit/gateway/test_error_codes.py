"""Each code of the REST API: its status, and its line in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from ottla.gateway.errors import from_kafka

ROOT = Path(__file__).parents[3]
CODE = re.compile(r"\b(?:40|42|50)\d{3}\b")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (KafkaError.TOPIC_ALREADY_EXISTS, 400, 40002),
        (KafkaError.POLICY_VIOLATION, 400, 40002),
        (KafkaError.SASL_AUTHENTICATION_FAILED, 401, 40101),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, 403, 40301),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, 404, 40403),
        (KafkaError.LEADER_NOT_AVAILABLE, 404, 40404),
        (KafkaError.GROUP_ID_NOT_FOUND, 404, 40405),
        (KafkaError.MSG_SIZE_TOO_LARGE, 413, 413),
        (KafkaError.THROTTLING_QUOTA_EXCEEDED, 429, 42901),
        (KafkaError.NOT_ENOUGH_REPLICAS, 500, 50003),
        (KafkaError._TIMED_OUT, 500, 50003),
        (KafkaError.UNKNOWN, 500, 50002),
        (KafkaError._ALL_BROKERS_DOWN, 503, 50302),
    ],
)
def test_what_kafka_refuses_has_the_originals_code(error: int, status: int, code: int) -> None:
    found = from_kafka(KafkaError(error))
    assert (found.status, found.error_code) == (status, code)
    assert found.message


def test_each_code_is_documented() -> None:
    used = set()
    for path in (ROOT / "src/ottla/gateway").rglob("*.py"):
        used |= set(re.findall(r"RestError\(\s*\d+,\s*(\d{5})\b", path.read_text()))
    page = (ROOT / "docs/rest-proxy.md").read_text()
    table = page.partition("## Errors")[2].partition("The original defines")[0]
    assert used == set(CODE.findall(table))
