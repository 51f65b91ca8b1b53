"""Whoever may do nothing gets nothing: the authorizer is asked in every path."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from tests.support.core import Client, Core, batch
from tests.support.requests import create_topic, fetch, produce

from ottla.broker.authorizer import Operation, Resource
from ottla.broker.connection import Connection
from ottla.handlers.registry import ROWS
from ottla.wire.errors import ErrorCode
from ottla.wire.message import Message
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

#: APIs that anybody may use, whoever they are.
OPEN = {
    "api_versions",
    "metadata",
    "sasl_handshake",
    "sasl_authenticate",
    "describe_cluster",
    "list_groups",
    "list_transactions",
    "list_offsets",
    "describe_topic_partitions",
    "create_delegation_token",
    "renew_delegation_token",
    "expire_delegation_token",
    "describe_delegation_token",
}
REFUSALS = {code for code in ErrorCode if code.name.endswith("AUTHORIZATION_FAILED")}


class AllowNone:
    def is_allowed(
        self, connection: Connection, operation: Operation, resource: Resource, name: str
    ) -> bool:
        return False

    def is_allowed_for_some(
        self, connection: Connection, operation: Operation, resource: Resource
    ) -> bool:
        return False


@pytest.fixture
def client(core: Core) -> Client:
    client = core.client()
    topic_id = client.call(create_topic("t"), 7).topics[0].topic_id
    client.call(produce("t", batch("secret")), 9)
    core.broker.authorizer = AllowNone()
    core.topic_id = topic_id  # type: ignore[attr-defined]
    return client


def fill(value: Any, topic_id: bytes, depth: int = 0) -> Any:
    """A message of the same class in which every name is "t" and every list has one element."""
    for field in value.SCHEMA:
        old = getattr(value, field.name)
        if field.is_array:
            element = "t" if field.type_ == "string" else 0
            if field.type_ == "uuid":
                element = topic_id
            if not isinstance(field.type_, str):
                element = fill(field.type_(), topic_id, depth + 1)
            setattr(value, field.name, [element])
        elif field.type_ == "string":
            setattr(value, field.name, "t")
        elif field.type_ == "uuid":
            setattr(value, field.name, topic_id)
        elif isinstance(old, Message):
            fill(old, topic_id, depth + 1)
    return value


def error_codes(message: Any) -> Iterator[int]:
    for field in message.SCHEMA:
        value = getattr(message, field.name)
        if field.name.endswith("error_code"):
            yield value
        elif isinstance(value, list):
            for element in value:
                if isinstance(element, Message):
                    yield from error_codes(element)


@pytest.mark.parametrize(
    "key", [pytest.param(k, id=row.name) for k, row in ROWS.items() if row.name not in OPEN]
)
def test_every_api_refuses_who_may_do_nothing(core: Core, client: Client, key: int) -> None:
    row = ROWS[key]
    request: Any = import_module(f"ottla.wire.messages.{row.name}").REQUEST()
    fill(request, core.topic_id)  # type: ignore[attr-defined]
    if row.name in ("describe_configs", "alter_configs", "incremental_alter_configs"):
        request.resources[0].resource_type = 2
    if row.name == "delete_topics":
        request.topics[0].topic_id = bytes(16)
    if row.name == "produce":
        request.acks = 1
    if hasattr(request, "session_epoch"):
        request.session_epoch = -1
    before = core.broker.metadata.epoch
    client.send(request, row.max_version)
    core.advance(100)
    response = client.read()
    assert response is not None, "the request was parked"
    assert REFUSALS.intersection(error_codes(response)), response
    assert core.broker.metadata.epoch == before


def test_nothing_is_shown(core: Core, client: Client) -> None:
    for name in ("metadata", "list_groups", "list_transactions", "describe_topic_partitions"):
        module = import_module(f"ottla.wire.messages.{name}")
        response = client.call(module.REQUEST(), module.MAX_VERSION)
        assert "'t'" not in repr(response)
    data = client.call(fetch("t"), 12).responses[0].partitions[0]
    assert data.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert not data.records


class AllowReading:
    """Topics may be described and written to, and none created."""

    def is_allowed(
        self, connection: Connection, operation: Operation, resource: Resource, name: str
    ) -> bool:
        return resource is Resource.TOPIC and operation is not Operation.CREATE

    def is_allowed_for_some(
        self, connection: Connection, operation: Operation, resource: Resource
    ) -> bool:
        return True


def test_asking_for_a_topic_creates_it_only_for_who_may(core: Core) -> None:
    core.broker.authorizer = AllowReading()
    question = MetadataRequest([MetadataRequestTopic(name="new")], True)
    (refused,) = core.client().call(question, 8).topics
    assert refused.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert "new" not in core.broker.metadata.topics
