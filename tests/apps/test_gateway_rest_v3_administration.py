"""REST Proxy v3 for administrators: ACLs, configurations of brokers, groups in detail, errors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.apps.gateway_process import any_ports, running_gateway
from tests.conftest import ORACLE_PROPERTIES
from tests.support import asking

from ottla.embedded import Broker


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A Kafka with an authorizer, which the other tests' does not have."""
    given = os.environ.get("OTTLA_TEST_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    settings = {key: ORACLE_PROPERTIES[key] for key in ("authorizer.class.name", "super.users")}
    with Broker(config=settings) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="module")
def rest(kafka: str) -> Iterator[httpx.Client]:
    with running_gateway(any_ports(kafka)) as doors:
        door = doors["REST Proxy"]
        (cluster,) = asking.get(f"{door}/v3/clusters").json()["data"]
        with httpx.Client(base_url=cluster["metadata"]["self"], timeout=90) as client:
            yield client


@pytest.fixture
def topic(rest: httpx.Client, unique: str) -> str:
    created = rest.post("/topics", json={"topic_name": unique, "partitions_count": 2})
    assert created.status_code == 201, created.text
    return unique


def until(wanted: Callable[[], Any]) -> Any:
    """What `wanted` answers once it is true: brokers learn of changes a moment later."""
    deadline = time.monotonic() + 90
    while not (found := wanted()):
        assert time.monotonic() < deadline, "it did not become true"
    return found


def acl(topic: str, **fields: str) -> dict[str, str]:
    return {
        "resource_type": "TOPIC",
        "resource_name": topic,
        "pattern_type": "LITERAL",
        "principal": "User:alice",
        "host": "*",
        "operation": "READ",
        "permission": "ALLOW",
        **fields,
    }


def refused(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and error code of an answer that is an error, and says why."""
    body = answer.json()
    assert set(body) == {"error_code", "message"}
    assert body["message"]
    return answer.status_code, body["error_code"]


def test_acls_are_created_found_and_removed(rest: httpx.Client, unique: str) -> None:
    def found(**query: str) -> list[dict[str, str]]:
        listed = rest.get("/acls", params={"resource_name": unique, **query}).json()
        assert listed["kind"] == "KafkaAclList"
        return [{key: entry[key] for key in acl(unique)} for entry in listed["data"]]

    created = rest.post("/acls", json=acl(unique))
    assert created.status_code == 201
    assert created.headers["location"].startswith(f"{rest.base_url}".rstrip("/") + "/acls")
    assert until(found) == [acl(unique)]
    more = [acl(unique, operation="WRITE"), acl(unique, principal="User:bob", permission="DENY")]
    assert rest.post("/acls:batch", json={"data": more}).status_code == 201
    until(lambda: len(found()) == 3)
    assert found(principal="User:bob") == [more[1]]
    assert found(operation="write") == [more[0]]
    assert found(permission="DENY", host="10.0.0.1") == []
    (entry,) = rest.get("/acls", params={"resource_name": unique, "operation": "WRITE"}).json()[
        "data"
    ]
    itself = asking.get(entry["metadata"]["self"]).json()["data"]
    assert [e["operation"] for e in itself] == ["WRITE"]
    everything = {
        "resource_type": "TOPIC",
        "resource_name": unique,
        "pattern_type": "LITERAL",
        "operation": "ANY",
        "permission": "ANY",
    }
    removed = rest.delete("/acls", params={**everything, "principal": "User:alice"})
    assert removed.status_code == 200
    assert {e["operation"] for e in removed.json()["data"]} == {"READ", "WRITE"}
    until(lambda: len(found()) == 1)
    assert len(rest.delete("/acls", params=everything).json()["data"]) == 1
    assert rest.delete("/acls", params=everything).json()["data"] == []


def test_acls_of_other_resources(rest: httpx.Client, unique: str) -> None:
    wanted = [
        acl(f"{unique}-", pattern_type="PREFIXED"),
        acl(unique, resource_type="GROUP"),
        acl(unique, resource_type="TRANSACTIONAL_ID", operation="DESCRIBE"),
        acl(
            "kafka-cluster", resource_type="CLUSTER", principal=f"User:{unique}", operation="ALTER"
        ),
    ]
    assert rest.post("/acls:batch", json={"data": wanted}).status_code == 201
    for one in wanted:
        listed = until(lambda one=one: rest.get("/acls", params=one).json()["data"])
        assert [{key: entry[key] for key in one} for entry in listed] == [one]
        assert len(rest.delete("/acls", params=one).json()["data"]) == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"resource_type": "TABLE"}, (400, 400)),
        ({"operation": "ANY"}, (400, 400)),
        ({"permission": "ANY"}, (400, 400)),
        ({"pattern_type": "MATCH"}, (400, 400)),
        ({"principal": "alice"}, (400, 40002)),
        ({"operation": ""}, (422, 422)),
    ],
)
def test_acls_that_make_no_sense(
    rest: httpx.Client, unique: str, fields: dict[str, str], expected: tuple[int, int]
) -> None:
    assert refused(rest.post("/acls", json=acl(unique, **fields))) == expected
    assert rest.get("/acls", params={"resource_name": unique}).json()["data"] == []


def test_without_an_authorizer_there_are_no_acls(unique: str) -> None:
    with Broker() as broker, running_gateway(any_ports(broker.bootstrap_servers)) as doors:
        door = doors["REST Proxy"]
        (cluster,) = asking.get(f"{door}/v3/clusters").json()["data"]
        path = f"{door}/v3/clusters/{cluster['cluster_id']}/acls"
        assert refused(asking.get(path)) == (400, 40002)
        assert refused(asking.post(path, json=acl(unique))) == (400, 40002)


def test_what_the_brokers_refuse_has_a_code_of_its_own(unique: str) -> None:
    """Authorization and size, in both versions; the gateway's own principal is refused."""
    config = {
        "authorizer.class.name": ORACLE_PROPERTIES["authorizer.class.name"],
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:nobody",
    }
    with (
        Broker(config=config, topics={unique: 1, f"{unique}-closed": 1}) as broker,
        running_gateway(any_ports(broker.bootstrap_servers)) as doors,
        httpx.Client(base_url=doors["REST Proxy"], timeout=90) as client,
    ):
        (cluster,) = client.get("/v3/clusters").json()["data"]
        deny = acl(f"{unique}-closed", principal="User:ANONYMOUS", permission="DENY")
        for operation in ("READ", "WRITE"):
            refusal = {**deny, "operation": operation}
            assert client.post(cluster["acls"]["related"], json=refusal).status_code == 201
        json_type = {"content-type": "application/vnd.kafka.json.v2+json"}

        def produce(topic: str, value: str) -> Any:
            records = {"records": [{"value": value}]}
            (result,) = client.post(f"/topics/{topic}", json=records, headers=json_type).json()[
                "offsets"
            ]
            return result

        assert produce(unique, "x")["error_code"] is None
        assert produce(f"{unique}-closed", "x")["error_code"] == 40301
        path = f"/v3/clusters/{cluster['cluster_id']}/topics"
        read = client.get(f"{path}/{unique}-closed/partitions/0/records", params={"timeout": 2000})
        assert refused(read) == (403, 40301)
        small = {"name": "max.message.bytes", "value": "200"}
        altered = client.post(f"{path}/{unique}/configs:alter", json={"data": [small]})
        assert altered.status_code == 204
        assert produce(unique, "x" * 1000)["error_code"] == 413
        batch = {"entries": [{"id": "1", "value": {"type": "STRING", "data": "x" * 1000}}]}
        (failed,) = client.post(f"{path}/{unique}/records:batch", json=batch).json()["failures"]
        assert failed["error_code"] == 413


def test_configurations_of_all_brokers_together(rest: httpx.Client) -> None:
    path = "/broker-configs"
    entry = f"{path}/log.cleaner.threads"
    assert refused(rest.get(entry)) == (404, 404)
    assert rest.put(entry, json={"value": "2"}).status_code == 204
    shown = rest.get(entry).json()
    assert shown["kind"] == "KafkaClusterConfig"
    assert (shown["value"], shown["config_type"]) == ("2", "BROKER")
    assert (shown["source"], shown["is_default"]) == ("DYNAMIC_DEFAULT_BROKER_CONFIG", False)
    assert asking.get(shown["metadata"]["self"]).json() == shown
    listed = rest.get(path).json()
    assert listed["kind"] == "KafkaClusterConfigList"
    assert shown in listed["data"]
    changes = [
        {"name": "log.cleaner.threads", "operation": "DELETE"},
        {"name": "log.cleaner.backoff.ms", "value": "14000"},
    ]
    trial = rest.post(f"{path}:alter", json={"data": changes, "validate_only": True})
    assert trial.status_code == 204
    assert rest.get(entry).status_code == 200
    assert rest.post(f"{path}:alter", json={"data": changes}).status_code == 204
    assert rest.get(entry).status_code == 404
    assert rest.get(f"{path}/log.cleaner.backoff.ms").json()["value"] == "14000"
    assert rest.delete(f"{path}/log.cleaner.backoff.ms").status_code == 204
    assert rest.get(f"{path}/log.cleaner.backoff.ms").status_code == 404
    assert refused(rest.put(entry, json={"value": "many"})) == (400, 40002)
    assert refused(rest.put(entry, json={"value": None})) == (422, 422)


def test_configurations_of_one_broker(rest: httpx.Client) -> None:
    broker = rest.get("/brokers").json()["data"][0]
    path = broker["configs"]["related"]
    entry = f"{path}/log.cleaner.threads"
    before = asking.get(entry).json()
    assert (before["kind"], before["broker_id"]) == ("KafkaBrokerConfig", broker["broker_id"])
    assert asking.put(entry, json={"value": "2"}).status_code == 204
    after = asking.get(entry).json()
    assert (after["value"], after["source"]) == ("2", "DYNAMIC_BROKER_CONFIG")
    assert after["synonyms"][0]["source"] == "DYNAMIC_BROKER_CONFIG"
    everywhere = rest.get("/brokers/-/configs").json()
    assert everywhere["kind"] == "KafkaBrokerConfigList"
    assert after in everywhere["data"]
    assert asking.delete(entry).status_code == 204
    assert asking.get(entry).json()["value"] == before["value"]
    changes = [{"name": "log.cleaner.threads", "value": 2}]
    assert asking.post(f"{path}:alter", json={"data": changes}).status_code == 204
    assert asking.get(entry).json()["value"] == "2"
    changes = [{"name": "log.cleaner.threads", "operation": "DELETE"}]
    assert asking.post(f"{path}:alter", json={"data": changes}).status_code == 204
    assert asking.get(entry).json()["value"] == before["value"]
    fixed = asking.put(f"{path}/broker.id", json={"value": "9"})
    assert refused(fixed) == (400, 40002)
    assert refused(asking.get(f"{path}/no.such.key")) == (404, 404)
    assert refused(asking.put(f"{path}/no.such.key", json={"value": "1"})) == (404, 404)
    unknown = [{"name": "no.such.key", "value": "1"}]
    assert refused(asking.post(f"{path}:alter", json={"data": unknown})) == (404, 404)
    assert refused(rest.get("/brokers/77/configs")) == (404, 404)
    assert refused(rest.get("/brokers/one/configs")) == (404, 404)


def test_groups_of_both_protocols_and_groups_that_only_commit(
    rest: httpx.Client, kafka: str, topic: str
) -> None:
    """Members, assignments and lag look the same whichever protocol a group speaks."""
    producer = Producer({"bootstrap.servers": kafka})
    for n in range(7):
        producer.produce(topic, str(n), partition=n % 2)
    producer.flush(90)
    common = {"bootstrap.servers": kafka, "auto.offset.reset": "earliest"}
    kinds: dict[str, dict[str, str]] = {
        "CLASSIC": {"group.instance.id": "fixed", "client.id": "c"},
        "CONSUMER": {"group.protocol": "consumer", "client.id": "c"},
    }
    for kind, settings in kinds.items():
        name = f"{topic}-{kind.lower()}"
        consumer = Consumer({**common, "group.id": name, "enable.auto.commit": "false", **settings})
        consumer.subscribe([topic])
        until(lambda consumer=consumer: consumer.consume(1, 1))
        consumer.commit(offsets=[TopicPartition(topic, 1, 1)], asynchronous=False)
        path = f"/consumer-groups/{name}"
        group = until(lambda path=path: (g := rest.get(path).json()).get("state") == "STABLE" and g)
        assert (group["type"], group["is_simple"]) == (kind, False)
        (member,) = rest.get(f"{path}/consumers").json()["data"]
        assert member["client_id"] == "c"
        assert member["instance_id"] == settings.get("group.instance.id")
        # Its id may have a slash, which only the link writes as a URL has to.
        assert asking.get(member["metadata"]["self"]).json() == member
        one = asking.get(member["assignments"]["related"]).json()["data"]
        assert [(a["topic_name"], a["partition_id"]) for a in one] == [(topic, 0), (topic, 1)]
        assert rest.get(one[0]["partition"]["related"]).json()["partition_id"] == 0
        assert refused(rest.get(one[0]["lag"]["related"])) == (404, 404)  # nothing committed there
        (lag,) = rest.get(f"{path}/lags").json()["data"]
        assert (lag["partition_id"], lag["lag"], lag["client_id"]) == (1, 2, "c")
        summary = rest.get(f"{path}/lag-summary").json()
        assert (summary["max_lag"], summary["max_lag_consumer_id"]) == (2, member["consumer_id"])
        assert rest.get(summary["max_lag_consumer"]["related"]).json() == member
        assert rest.get(summary["max_lag_partition"]["related"]).json()["partition_id"] == 1
        nobody = rest.get(f"{path}/consumers/nobody")
        assert refused(nobody) == (404, 404)
        consumer.close()
    simple = Consumer({**common, "group.id": f"{topic}-simple"})
    simple.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
    simple.close()
    group = rest.get(f"/consumer-groups/{topic}-simple").json()
    assert (group["state"], group["is_simple"]) == ("EMPTY", True)
    (lag,) = rest.get(f"/consumer-groups/{topic}-simple/lags").json()["data"]
    assert (lag["lag"], lag["consumer_id"], lag["instance_id"]) == (2, "", None)
    assert rest.get(f"/consumer-groups/{topic}-simple/consumers").json()["data"] == []
    for tail in ("", "/consumers", "/consumers/x", "/lags", "/lag-summary"):
        assert refused(rest.get(f"/consumer-groups/{topic}-none{tail}")) == (404, 40405)


def test_a_group_with_a_slash_in_its_name(rest: httpx.Client, kafka: str, topic: str) -> None:
    name = f"{topic}/a b"
    writer = Consumer({"bootstrap.servers": kafka, "group.id": name})
    writer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    writer.close()
    (group,) = [
        g for g in rest.get("/consumer-groups").json()["data"] if g["consumer_group_id"] == name
    ]
    assert asking.get(group["metadata"]["self"]).json() == group
    assert asking.get(group["lag_summary"]["related"]).json()["total_lag"] == 0


def test_replicas_and_reassignments(rest: httpx.Client, topic: str) -> None:
    partition = rest.get(f"/topics/{topic}/partitions/1").json()
    replicas = rest.get(partition["replicas"]["related"]).json()["data"]
    (replica,) = [one for one in replicas if one["is_leader"]]
    assert replica["is_in_sync"]
    broker = replica["broker_id"]
    assert rest.get(replica["broker"]["related"]).json()["broker_id"] == broker
    held = rest.get(f"/brokers/{broker}/partition-replicas").json()["data"]
    assert replica in held
    for path in (
        "/topics/-/partitions/-/reassignment",
        f"/topics/{topic}/partitions/-/reassignment",
    ):
        listed = rest.get(path).json()
        assert (listed["kind"], listed["data"]) == ("KafkaReassignmentList", [])
        assert listed["metadata"]["self"].endswith(path)
    assert refused(rest.get(f"/topics/{topic}/partitions/1/reassignment")) == (404, 404)
    assert refused(rest.get(f"/topics/{topic}/partitions/5/reassignment")) == (404, 40403)
    assert refused(rest.get(f"/topics/{topic}/partitions/x/reassignment")) == (404, 404)
    assert refused(rest.get(f"/topics/{topic}-/partitions/-/reassignment")) == (404, 40403)
    assert refused(rest.get(f"/topics/{topic}/partitions/1/replicas/77")) == (404, 404)


def test_topics_that_cannot_be(rest: httpx.Client, topic: str) -> None:
    again = rest.post("/topics", json={"topic_name": topic})
    assert refused(again) == (400, 40002)
    for fields in (
        {"replication_factor": 9},
        {"configs": [{"name": "no.such.key", "value": "1"}]},
        {"configs": [{"name": "retention.ms", "value": "soon"}]},
        {"topic_name": "not a name"},
    ):
        wanted = {"topic_name": f"{topic}-2", **fields}
        assert refused(rest.post("/topics", json=wanted)) == (400, 40002)
    for fields, status in (
        ({"partitions_count": 0}, 422),
        ({"partitions_count": "three"}, 422),
        ({"colour": "red"}, 422),
        ({"topic_name": None}, 422),
    ):
        wanted = {"topic_name": f"{topic}-2", **fields}
        assert refused(rest.post("/topics", json=wanted))[0] == status
    only = rest.post("/topics", json={"topic_name": f"{topic}-2", "validate_only": True})
    assert only.status_code == 200
    assert refused(rest.get(f"/topics/{topic}-2")) == (404, 40403)
    fewer = rest.patch(f"/topics/{topic}", json={"partitions_count": 1})
    assert refused(fewer) == (400, 40002)
    more = rest.patch(f"/topics/{topic}", json={"partitions_count": 4}).json()
    assert (more["kind"], more["partitions_count"]) == ("KafkaTopic", 4)


def test_a_topic_with_its_replicas_named(rest: httpx.Client, unique: str) -> None:
    broker = rest.get("/brokers").json()["data"][0]["broker_id"]
    rows = [{"partition_id": n, "broker_ids": [broker]} for n in range(3)]
    made = rest.post("/topics", json={"topic_name": unique, "replicas_assignments": rows})
    assert made.status_code == 201, made.text
    assert made.json()["partitions_count"] == 3
    offset = rest.get(f"/topics/{unique}/partitions/2/offset").json()
    assert (offset["earliest_offset"], offset["latest_offset"]) == (0, 0)
