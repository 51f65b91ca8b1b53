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
from ottla.wire.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from ottla.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
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


def test_handling_time_is_a_quota(core: Core) -> None:
    spent_ms = iter(range(0, 10_000, 300))
    core.broker.quotas.lend_clock(lambda: float(next(spent_ms)))
    client = core.client()
    assert alter(client, "request_percentage", 10.0, client_id=None) == 0
    # Each request takes 300 ms, which is three seconds' worth of 10 %.
    first = client.call(DescribeClientQuotasRequest([], False), 1)
    assert first.throttle_time_ms == 1000
    assert client.connection.is_paused
    core.advance(1000)
    assert not client.connection.is_paused
    core.advance(60_000)
    assert alter(core.client(), "request_percentage", None, client_id=None) == 0
    assert client.call(DescribeClientQuotasRequest([], False), 1).throttle_time_ms == 0


def test_changes_beyond_the_rate_are_refused_to_those_who_know(core: Core) -> None:
    client = core.client()
    assert alter(client, "controller_mutation_rate", 1.0, client_id=None) == 0
    assert client.call(create_topic("t", 12), 7).topics[0].error_code == 0
    refused = client.call(create_topic("u"), 7)
    assert refused.topics[0].error_code == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    assert 0 < refused.throttle_time_ms <= 1000
    core.advance(refused.throttle_time_ms)
    more = CreatePartitionsRequest([CreatePartitionsTopic("t", 30)], 1000)
    assert client.call(more, 3).results[0].error_code == 0
    delete = DeleteTopicsRequest([DeleteTopicState("t")], ["t"], 1000)
    assert client.call(delete, 6).responses[0].error_code == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    core.advance(18_000)
    # One that does not know the error is slowed down instead.
    slowed = client.call(delete, 4)
    assert slowed.responses[0].error_code == 0
    assert slowed.throttle_time_ms > 0


def test_an_address_opens_so_many_connections_a_second(core: Core) -> None:
    client = core.client()
    assert alter(client, "connection_creation_rate", 2.0, ip=None) == 0
    free = [core.client() for _ in range(22)]
    assert not any(one.connection.is_paused for one in free)
    late = core.client()
    assert late.connection.is_paused
    core.advance(1000)
    assert late.connection.is_closed
    assert not free[0].connection.is_closed
    assert not core.client().connection.is_paused


def test_all_addresses_together_open_so_many_connections_a_second(core: Core) -> None:
    core.settings["max.connection.creation.rate"] = "2"
    core.restart()
    free = [core.client() for _ in range(22)]
    assert not any(one.connection.is_paused for one in free)
    late = [core.client() for _ in range(4)]
    assert all(one.connection.is_paused for one in late)
    core.advance(1_000)
    assert [one.connection.is_paused for one in late] == [False, False, True, True]
    core.advance(1_000)
    assert not any(one.connection.is_paused or one.connection.is_closed for one in late)
    # Changed while the broker runs.
    core.broker.config.set_dynamic({"max.connection.creation.rate": "2147483647"}, {})
    assert not any(core.client().connection.is_paused for _ in range(40))


def test_no_connection_at_all_a_second_is_a_long_wait(core: Core) -> None:
    core.settings["max.connection.creation.rate"] = "0"
    core.restart()
    late = core.client()
    core.advance(60_000)
    assert late.connection.is_paused
