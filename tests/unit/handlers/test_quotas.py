"""Client quotas, stored and enforced."""

from __future__ import annotations

from tests.support.core import Client, Core, batch
from tests.support.requests import create_topic, fetch, produce

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    EntityData,
    EntryData,
    OpData,
)
from ottla.wire.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
)


def alter(client: Client, key: str, value: float | None, **entity: str | None) -> int:
    entry = EntryData(
        [EntityData(kind.replace("_", "-"), name) for kind, name in entity.items()],
        [OpData(key, value or 0.0, value is None)],
    )
    return client.call(AlterClientQuotasRequest([entry]), 1).entries[0].error_code


def test_quotas_are_kept_and_described(core: Core) -> None:
    client = core.client()
    assert alter(client, "producer_byte_rate", 1000.0, user="a", client_id=None) == 0
    assert alter(client, "consumer_byte_rate", 5.0, client_id="c") == 0
    core.restart()
    client = core.client()
    every = client.call(DescribeClientQuotasRequest([], False), 1).entries
    assert every is not None
    assert len(every) == 2
    default = DescribeClientQuotasRequest([ComponentData("client-id", 1)], False)
    entries = client.call(default, 1).entries
    assert entries is not None
    assert [(v.key, v.value) for v in entries[0].values] == [("producer_byte_rate", 1000.0)]
    assert alter(client, "consumer_byte_rate", None, client_id="c") == 0
    assert len(client.call(DescribeClientQuotasRequest([], False), 1).entries or []) == 1


def test_nonsense_is_refused(core: Core) -> None:
    client = core.client()
    for key, value, entity in (
        ("nonsense", 1.0, {"user": "a"}),
        ("producer_byte_rate", -1.0, {"user": "a"}),
        ("producer_byte_rate", 1.0, {"planet": "a"}),
        ("producer_byte_rate", 1.0, {"user": ""}),
        ("producer_byte_rate", 1.0, {"ip": "1.1.1.1", "user": "a"}),
    ):
        assert alter(client, key, value, **entity) == ErrorCode.INVALID_REQUEST


def test_a_producer_above_its_rate_is_told_and_muted(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    data = batch("x" * 10_000)
    assert client.call(produce("t", data), 9).throttle_time_ms == 0
    assert alter(client, "producer_byte_rate", 1000.0, client_id=None) == 0
    response = client.call(produce("t", data), 9)
    assert 8000 < response.throttle_time_ms < 10_000
    assert client.connection.is_paused
    other = core.client()
    other.send(produce("t", data), 9, client_id="other")
    assert other.read().responses[0].partition_responses[0].error_code == 0
    core.advance(response.throttle_time_ms)
    assert not client.connection.is_paused
    assert client.connection in core.sink.resumed


def test_the_most_exact_quota_counts(core: Core) -> None:
    client = core.client()
    client.call(create_topic("t"), 7)
    assert alter(client, "consumer_byte_rate", 1.0, client_id=None) == 0
    assert alter(client, "consumer_byte_rate", 1e9, user="ANONYMOUS") == 0
    client.call(produce("t", batch("x" * 10_000)), 9)
    assert client.call(fetch("t"), 12).throttle_time_ms == 0
    assert alter(client, "consumer_byte_rate", 1000.0, user="ANONYMOUS", client_id="test") == 0
    assert client.call(fetch("t"), 12).throttle_time_ms > 5000
