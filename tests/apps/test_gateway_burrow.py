"""Burrow's API and the metrics door over a Kafka with a group that lags."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, ShareConsumer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic
from tests.apps.admin_commands import COMMANDS
from tests.apps.gateway_process import any_ports, running_gateway
from tests.support import asking


def eventually(ask: Callable[[], Any], is_right: Callable[[Any], bool]) -> Any:
    """Ask until the answer is right; fails with the last answer after 90 seconds."""
    deadline = time.monotonic() + 90
    while True:
        answer = ask()
        if is_right(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)  # polling the condition


@pytest.fixture(scope="module")
def lagging_group(bootstrap_servers: str) -> tuple[str, str]:
    """(topic, group): ten records in partition 1, of which four are committed."""
    name = f"burrow{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, num_partitions=2)])[name].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(10):
        producer.produce(name, str(n), partition=1)
    producer.flush(90)
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": name})
    consumer.commit(offsets=[TopicPartition(name, 1, 4)], asynchronous=False)
    consumer.close()
    return name, name


@pytest.fixture(scope="module")
def doors(
    bootstrap_servers: str, lagging_group: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A gateway that started after the group had committed, with a burrow.toml of its own."""
    folder = tmp_path_factory.mktemp("burrow")
    config = folder / "burrow.toml"
    config.write_text(
        f"""
        [general]
        pidfile = "burrow.pid"
        [logging]
        filename = "{folder}/logs/burrow.log"
        level = "info"
        [zookeeper]
        servers = ["zoo1:2181"]
        [client-profile.profile]
        client-id = "burrow"
        kafka-version = "2.0.0"
        [cluster.local]
        class-name = "kafka"
        servers = ["{bootstrap_servers}"]
        client-profile = "profile"
        topic-refresh = 60
        offset-refresh = 1
        [consumer.local]
        class-name = "kafka"
        cluster = "local"
        servers = ["{bootstrap_servers}"]
        [storage.default]
        class-name = "inmemory"
        intervals = 5
        [evaluator.default]
        class-name = "caching"
        expire-cache = 0
        [httpserver.default]
        address = ":8000"
        """
    )
    settings = any_ports(bootstrap_servers)
    settings.burrow_config_file = str(config)
    with running_gateway(settings) as addresses:
        yield addresses
    assert (folder / "logs" / "burrow.log").exists()


@pytest.fixture(scope="module")
def burrow(doors: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=doors["Burrow"], timeout=90) as client:
        eventually(lambda: client.get("/burrow/admin/ready").text, lambda text: text == "READY")
        yield client


def test_commits_from_before_the_start_are_known(
    burrow: httpx.Client, lagging_group: tuple[str, str]
) -> None:
    topic, group = lagging_group
    answer = burrow.get(f"/v3/kafka/local/consumer/{group}/lag").json()
    assert answer["error"] is False
    status = answer["status"]
    assert (status["group"], status["totallag"], status["partition_count"]) == (group, 6, 1)
    (partition,) = status["partitions"]
    assert (partition["topic"], partition["partition"]) == (topic, 1)
    assert (partition["end"]["offset"], partition["current_lag"]) == (4, 6)
    assert partition["complete"] == 0.2
    assert status["maxlag"]["partition"] == 1
    assert set(answer["request"]) == {"url", "host"}


def test_a_group_that_no_longer_commits_is_stopped(
    burrow: httpx.Client, bootstrap_servers: str, lagging_group: tuple[str, str]
) -> None:
    _, group = lagging_group
    status = eventually(
        lambda: burrow.get(f"/v3/kafka/local/consumer/{group}/status").json()["status"],
        lambda s: s["status"] == "ERR",
    )
    assert [p["status"] for p in status["partitions"]] == ["STOP"]


def test_routes_for_topics_and_consumers(
    burrow: httpx.Client, lagging_group: tuple[str, str]
) -> None:
    topic, group = lagging_group
    assert burrow.get("/burrow/admin").text == "GOOD"
    assert burrow.get("/v3/kafka").json()["clusters"] == ["local"]
    assert topic in burrow.get("/v3/kafka/local/topic").json()["topics"]
    assert burrow.get(f"/v3/kafka/local/topic/{topic}").json()["offsets"] == [0, 10]
    consumers = burrow.get(f"/v3/kafka/local/topic/{topic}/consumers").json()["consumers"]
    assert consumers == [group]
    assert group in burrow.get("/v3/kafka/local/consumer").json()["consumers"]
    detail = burrow.get(f"/v3/kafka/local/consumer/{group}").json()["topics"][topic]
    assert [d["current-lag"] for d in detail] == [0, 6]
    assert detail[1]["offsets"][:4] == [None] * 4
    assert detail[1]["offsets"][4]["offset"] == 4


def test_groups_of_every_kind_have_a_lag(
    burrow: httpx.Client, bootstrap_servers: str, unique: str
) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(unique, num_partitions=1)])[unique].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(5):
        producer.produce(unique, str(n))
    producer.flush(90)
    kinds: dict[str, dict[str, str]] = {"classic": {}, "consumer": {"group.protocol": "consumer"}}
    for kind, settings in kinds.items():
        consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": f"{unique}-{kind}", **settings}
        )
        consumer.subscribe([unique])
        eventually(lambda c=consumer: c.poll(0.1) is None and c.assignment(), bool)
        consumer.commit(offsets=[TopicPartition(unique, 0, 2)], asynchronous=False)
        consumer.close()
    share = f"{unique}-share"
    from_the_start = ConfigEntry(
        "share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.GROUP, share, incremental_configs=[from_the_start])
    admin.incremental_alter_configs([resource])[resource].result(90)
    sharing = ShareConsumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": share, "log_level": 0}
    )
    sharing.subscribe([unique])
    shared: list[Any] = []
    # A poll answers for what the one before it gave; the last is answered for below.
    eventually(lambda: shared.extend(sharing.poll(1)) or len(shared), lambda n: n >= 5)
    assert len(shared) == 5
    sharing.commit_sync()
    sharing.close()
    producer.produce(unique, "one more")
    producer.flush(90)

    def lag(group: str) -> int | None:
        status = burrow.get(f"/v3/kafka/local/consumer/{group}/lag").json()["status"]
        return None if status["status"] == "NOTFOUND" else int(status["totallag"])

    for kind, expected in (("classic", 4), ("consumer", 4), ("share", 1)):
        eventually(lambda group=f"{unique}-{kind}": lag(group), lambda n, e=expected: n == e)


def test_configuration_routes(burrow: httpx.Client) -> None:
    module = burrow.get("/v3/kafka/local").json()["module"]
    assert module["client-profile"]["kafka-version"] == "2.0.0"
    assert burrow.get("/v3/config/cluster/local").json()["module"] == module
    assert burrow.get("/v3/config").json()["zookeeper"]["servers"] == ["zoo1:2181"]
    assert burrow.get("/v3/config/storage").json()["modules"] == ["default"]
    assert burrow.get("/v3/config/storage/default").json()["module"]["intervals"] == 5
    assert burrow.post("/v3/admin/loglevel", json={"level": "debug"}).status_code == 200
    assert burrow.get("/v3/admin/loglevel").json()["level"] == "debug"


@pytest.mark.parametrize(
    ("path", "message", "is_error"),
    [
        ("/v3/kafka/none", "cluster module not found", True),
        ("/v3/kafka/none/topic", "cluster not found", True),
        ("/v3/kafka/local/topic/none", "cluster or topic not found", True),
        ("/v3/kafka/local/consumer/none", "cluster or consumer not found", True),
        ("/v3/kafka/local/consumer/none/status", "consumer status returned", False),
        ("/v3/kafka/local/consumer/none/lag", "consumer status returned", False),
        ("/v3/config/notifier/none", "notifier module not found", True),
        ("/v9", "invalid request type", True),
    ],
)
def test_what_is_not_found(burrow: httpx.Client, path: str, message: str, is_error: bool) -> None:
    answer = burrow.get(path)
    assert answer.status_code == 404
    assert (answer.json()["message"], answer.json()["error"]) == (message, is_error)


def test_metrics_have_the_names_that_dashboards_use(
    doors: dict[str, str], burrow: httpx.Client, lagging_group: tuple[str, str]
) -> None:
    topic, group = lagging_group
    lines = asking.get(f"{doors['Metrics']}/metrics").text.splitlines()
    assert f'kafka_topic_partition_current_offset{{topic="{topic}",partition="1"}} 10' in lines
    assert (
        f'kafka_consumergroup_lag{{consumergroup="{group}",topic="{topic}",partition="1"}} 6'
        in lines
    )
    assert f'kafka_consumergroup_lag_sum{{consumergroup="{group}",topic="{topic}"}} 6' in lines
    assert f'burrow_kafka_consumer_lag_total{{cluster="local",consumer_group="{group}"}} 6' in lines
    names = {line.split("{")[0] for line in lines if not line.startswith("#")}
    assert "kafka_consumergroup_group_max_lag_seconds" in names
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))


def test_admin_commands_answer_each_of_the_documented_names(doors: dict[str, str]) -> None:
    assert len(COMMANDS) == 17
    for address in (doors["Admin commands"], doors["REST Proxy"]):
        index = asking.get(f"{address}/commands")
        for name in COMMANDS:
            assert f"/commands/{name}" in index.text
            answer = asking.get(f"{address}/commands/{name}")
            assert answer.status_code == 200, name
            assert answer.json()["command"] == name
            assert "error" in answer.json()
        assert asking.get(f"{address}/commands/ruok").json() == {"command": "ruok", "error": None}
        assert asking.get(f"{address}/commands/dirs").json()["datadir_size"] > 0
        assert asking.get(f"{address}/commands/none").status_code == 404
        assert "kafka-metadata-quorum" in asking.get(f"{address}/zookeeper").text
