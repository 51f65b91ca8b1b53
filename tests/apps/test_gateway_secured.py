"""The doors of a Kafka that asks for TLS and a password.

Each door reaches the brokers in its own way (librdkafka's admin client,
producer and consumers; our raw client; the lag feed), and each has to log in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic
from tests.apps.gateway_process import any_ports, running_gateway
from tests.support import asking

from ottla.cli import main
from ottla.client.properties_files import read_properties
from ottla.embedded import Broker
from ottla.gateway.command import client_config

JSON = {"content-type": "application/vnd.kafka.json.v2+json"}
V2 = {"content-type": "application/vnd.kafka.v2+json"}
READ = {"accept": "application/vnd.kafka.json.v2+json"}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(address, folder of `ottla secure`): a broker that lets nobody in without a password."""
    folder = tmp_path_factory.mktemp("doors") / "secure"
    assert main.main(["secure", str(folder), "--user", "ada", "--port", "0"]) == 0
    config = read_properties(str(folder / "server.properties"))
    config["listeners"] = "SASL_SSL://localhost:0"
    with Broker(config=config) as broker:
        yield broker.bootstrap_servers, folder


def eventually(ask: Callable[[], Any], is_right: Callable[[Any], bool]) -> Any:
    """Ask until the answer is right; fails with the last answer after 60 seconds."""
    deadline = time.monotonic() + 60
    while not is_right(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)  # polling the condition
    return answer


def librdkafka_client(properties: Path, address: str) -> dict[str, Any]:
    """What the file says, but for its address: the broker chose a port of its own."""
    return {**client_config(str(properties)), "bootstrap.servers": address}


def allow_everything(admin: AdminClient, principal: str, topic: str) -> None:
    pattern, allowed = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    entry = AclBinding(
        ResourceType.TOPIC, topic, pattern, principal, "*", AclOperation.ALL, allowed
    )
    admin.create_acls([entry])[entry].result(90)


def test_every_door_logs_in(secured: tuple[str, Path], unique: str) -> None:
    address, folder = secured
    settings = any_ports(address)
    settings.client_config = librdkafka_client(folder / "admin.properties", address)
    with (
        running_gateway(settings) as doors,
        httpx.Client(base_url=doors["REST Proxy"], timeout=60) as rest,
    ):
        cluster = rest.get("/v3/clusters").json()["data"][0]["cluster_id"]
        topics = f"/v3/clusters/{cluster}/topics"
        made = rest.post(topics, json={"topic_name": unique, "partitions_count": 1})
        assert made.status_code == 201, made.text
        value = b'{"records":[{"value":{"n":1}},{"value":{"n":2}}]}'
        produced = rest.post(f"/topics/{unique}", content=value, headers=JSON).json()
        assert [r["offset"] for r in produced["offsets"]] == [0, 1]
        streamed = rest.post(
            f"{topics}/{unique}/records", json={"value": {"type": "JSON", "data": 3}}
        )
        assert streamed.json()["offset"] == 2

        instance = rest.post(
            f"/consumers/{unique}",
            content=b'{"format":"json","auto.offset.reset":"earliest"}',
            headers=V2,
        ).json()["base_uri"]
        subscription = b'{"topics":["%s"]}' % unique.encode()
        rest.post(f"{instance}/subscription", content=subscription, headers=V2)
        read = eventually(lambda: rest.get(f"{instance}/records", headers=READ).json(), bool)
        assert [r["offset"] for r in read] == [0, 1, 2]
        assert rest.post(f"{instance}/offsets", headers=V2).status_code == 200

        # What goes through the raw client.
        acls = rest.get(f"/v3/clusters/{cluster}/acls")
        assert acls.status_code == 200, acls.text
        assert unique not in [entry["resource_name"] for entry in acls.json()["data"]]
        assert asking.get(f"{doors['Admin commands']}/commands/dirs").json()["error"] is None
        assert asking.get(f"{doors['REST Proxy']}/health/ready").status_code == 200

        # What the lag feed reads.
        lag = f"{doors['Burrow']}/v3/kafka/local/consumer/{unique}/lag"
        status = eventually(lambda: asking.get(lag), lambda a: a.status_code == 200)
        assert status.json()["status"]["totallag"] == 0
        line = f'kafka_topic_partition_current_offset{{topic="{unique}",partition="0"}} 3'
        eventually(lambda: asking.get(f"{doors['Metrics']}/metrics").text, lambda t: line in t)


def test_a_user_without_rights_is_told_so(secured: tuple[str, Path], unique: str) -> None:
    address, folder = secured
    settings = any_ports(address)
    settings.client_config = librdkafka_client(folder / "ada.properties", address)
    with running_gateway(settings) as doors:
        rest = doors["REST Proxy"]
        cluster = asking.get(f"{rest}/v3/clusters").json()["data"][0]["cluster_id"]
        made = asking.post(
            f"{rest}/v3/clusters/{cluster}/topics", json={"topic_name": unique}, timeout=60
        )
        assert (made.status_code, made.json()["error_code"]) == (403, 40301)


def test_a_wrong_password_is_401(secured: tuple[str, Path], unique: str) -> None:
    address, folder = secured
    settings = any_ports(address)
    ada = librdkafka_client(folder / "ada.properties", address)
    settings.client_config = {**ada, "sasl.password": "wrong"}
    settings.call_timeout_ms = 2000
    with running_gateway(settings) as doors:
        answer = asking.get(f"{doors['REST Proxy']}/topics")
        assert (answer.status_code, answer.json()["error_code"]) == (401, 40101)


def test_what_a_user_may_not_write_is_refused_until_he_may(
    secured: tuple[str, Path], unique: str
) -> None:
    """A refusal is fatal to a producer's client: the next request must have a new one."""
    address, folder = secured
    admin = AdminClient(librdkafka_client(folder / "admin.properties", address))
    admin.create_topics([NewTopic(unique, 1)])[unique].result(90)
    settings = any_ports(address)
    settings.client_config = librdkafka_client(folder / "ada.properties", address)
    with running_gateway(settings) as doors:

        def produce() -> Any:
            answer = asking.post(
                f"{doors['REST Proxy']}/topics/{unique}",
                content=b'{"records":[{"value":1},{"value":2}]}',
                headers=JSON,
                timeout=60,
            )
            return answer.json()["offsets"]

        for _ in range(2):
            assert {o["error_code"] for o in produce()} == {40301}
        allow_everything(admin, "User:ada", unique)
        done = eventually(produce, lambda offsets: offsets[0]["error_code"] is None)
        assert [o["offset"] for o in done] == [0, 1]
