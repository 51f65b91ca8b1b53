"""Schemathesis asks the REST door what its OpenAPI document allows, and what it forbids.

A few examples a route in `make test`; OTTLA_SCHEMATHESIS_EXAMPLES=300 asks for more.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from tests.apps.gateway_process import any_ports, running_gateway
from tests.conftest import ORACLE_PROPERTIES

from ottla.embedded import Broker
from ottla.gateway.openapi import document

EXAMPLES = int(os.environ.get("OTTLA_SCHEMATHESIS_EXAMPLES", "5"))
#: What exists, so that some of the questions are about something.
KNOWN: dict[str, list[str]] = {
    "cluster": [],
    "broker": ["1"],
    "topic": ["orders", "-", "missing"],
    "partition": ["0", "1", "7"],
    "group": ["readers", "missing"],
    "instance": ["one", "missing"],
    "consumer": ["nobody"],
}
NUMBERS = ("broker", "partition")
ASKED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]

schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    """A door of its own: these questions delete topics and set configurations."""
    config = {key: ORACLE_PROPERTIES[key] for key in ("authorizer.class.name", "super.users")}
    with Broker(config=config, topics={"orders": 2}) as broker:
        limits = replace(any_ports(broker.bootstrap_servers), consumer_request_timeout_ms=50)
        with running_gateway(limits) as doors, httpx.Client(timeout=90) as client:
            door = doors["REST Proxy"]
            (cluster,) = client.get(f"{door}/v3/clusters").json()["data"]
            KNOWN["cluster"][:] = [cluster["cluster_id"]]
            yield door


@schema.hook("map_path_parameters")
def known(context: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> Any:
    """Often name what exists instead of what nobody has heard of."""
    if path_parameters is None:
        return None
    found = dict(path_parameters)
    for name, value in found.items():
        choices = KNOWN.get(name)
        # What must be a number and is none has to be refused.
        if choices and (name not in NUMBERS or (isinstance(value, int) and value >= 0)):
            found[name] = choices[zlib.crc32(str(value).encode("utf-8", "replace")) % len(choices)]
    return found


@schema.hook("map_body")
def few_partitions(context: schemathesis.HookContext, body: Any) -> Any:
    """Thousands of partitions are allowed, and take longer than a test should."""
    if isinstance(body, dict) and type(body.get("partitions_count")) is int:
        return {**body, "partitions_count": min(body["partitions_count"], 5)}
    return body


@schema.exclude(path_regex="records:tail$").parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
def test_the_document_is_kept(case: schemathesis.Case, door: str) -> None:
    paths = ("/records", "/records:batch")
    answered_one_by_one = case.path.endswith(paths) and case.method == "POST"
    case.call_and_validate(
        base_url=door,
        checks=ASKED,
        # A stream has begun with 200 when its first record is looked at, and a batch tells
        # with 207 what each of its entries came to.
        excluded_checks=[checks.negative_data_rejection] if answered_one_by_one else [],
        timeout=90,
    )
