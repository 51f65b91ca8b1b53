"""REST Proxy v3: resources, records streamed and in batches, and reading without a group."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.apps.gateway_process import any_ports, running_gateway
from tests.support import asking


@pytest.fixture(scope="module")
def address(bootstrap_servers: str) -> Iterator[str]:
    with running_gateway(any_ports(bootstrap_servers)) as doors:
        yield doors["REST Proxy"]


@pytest.fixture(scope="module")
def base(address: str) -> str:
    clusters = asking.get(f"{address}/v3/clusters").json()
    assert clusters["kind"] == "KafkaClusterList"
    (cluster,) = clusters["data"]
    assert cluster["metadata"]["self"] == f"{address}/v3/clusters/{cluster['cluster_id']}"
    return str(cluster["metadata"]["self"])


@pytest.fixture(scope="module")
def rest(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, timeout=90) as client:
        yield client


@pytest.fixture
def topic(rest: httpx.Client, unique: str) -> str:
    """A topic with two partitions."""
    created = rest.post("/topics", json={"topic_name": unique, "partitions_count": 2})
    assert created.status_code == 201, created.text
    return unique


def text(value: str) -> dict[str, Any]:
    return {"value": {"type": "STRING", "data": value}}


def test_every_link_of_a_cluster_and_its_brokers_leads_somewhere(
    rest: httpx.Client, base: str
) -> None:
    cluster = rest.get(base).json()
    assert cluster["kind"] == "KafkaCluster"
    for name in ("controller", "acls", "brokers", "consumer_groups", "topics"):
        answer = rest.get(cluster[name]["related"])
        # A broker without an authorizer refuses to list ACLs, and says so.
        assert answer.status_code == 200 or name == "acls", (name, answer.text)
    broker = rest.get("/brokers").json()["data"][0]
    assert rest.get(broker["metadata"]["self"]).json() == broker
    configs = rest.get(broker["configs"]["related"]).json()["data"]
    assert {"num.partitions", "log.retention.ms"} <= {c["name"] for c in configs}
    assert rest.get(configs[0]["metadata"]["self"]).json() == configs[0]
    assert rest.get(broker["partition_replicas"]["related"]).status_code == 200
    assert rest.get("/brokers/-/configs").json()["data"]
    assert rest.get("/broker-configs").json()["kind"] == "KafkaClusterConfigList"
    assert rest.get("/brokers/4711").status_code == 404


def test_the_life_of_a_topic(rest: httpx.Client, base: str, unique: str) -> None:
    wanted = {
        "topic_name": unique,
        "partitions_count": 2,
        "replication_factor": 1,
        "configs": [{"name": "cleanup.policy", "value": "compact"}],
    }
    assert rest.post("/topics", json={**wanted, "validate_only": True}).status_code == 200
    missing = rest.get(f"/topics/{unique}")
    assert (missing.status_code, missing.json()["error_code"]) == (404, 40403)
    created = rest.post("/topics", json=wanted)
    assert created.status_code == 201
    body = created.json()
    assert created.headers["location"] == body["metadata"]["self"] == f"{base}/topics/{unique}"
    assert body["metadata"]["resource_name"].endswith(f"/topic={unique}")
    assert (body["partitions_count"], body["replication_factor"]) == (2, 1)
    again = rest.post("/topics", json=wanted)
    assert (again.status_code, again.json()["error_code"]) == (400, 40002)
    assert unique in [t["topic_name"] for t in rest.get("/topics").json()["data"]]
    grown = rest.patch(f"/topics/{unique}", json={"partitions_count": 3})
    assert grown.json()["partitions_count"] == 3
    fewer = rest.patch(f"/topics/{unique}", json={"partitions_count": 1})
    assert (fewer.status_code, fewer.json()["error_code"]) == (400, 40002)
    partitions = rest.get(body["partitions"]["related"]).json()["data"]
    assert [p["partition_id"] for p in partitions] == [0, 1, 2]
    assert rest.get(partitions[1]["metadata"]["self"]).json() == partitions[1]
    (replica,) = rest.get(partitions[1]["replicas"]["related"]).json()["data"]
    assert replica["is_leader"]
    assert replica["is_in_sync"]
    assert rest.get(partitions[1]["leader"]["related"]).json() == replica
    assert rest.get(f"/topics/{unique}/partitions/3").status_code == 404
    assert rest.delete(f"/topics/{unique}").status_code == 204
    assert rest.get(f"/topics/{unique}").status_code == 404


def test_configurations_of_a_topic(rest: httpx.Client, topic: str) -> None:
    path = f"/topics/{topic}/configs"
    entry = f"{path}/retention.ms"
    before = rest.get(entry).json()
    assert before.get("is_default"), before
    assert rest.put(entry, json={"value": "1000"}).status_code == 204
    after = rest.get(entry).json()
    assert (after["value"], after["source"]) == ("1000", "DYNAMIC_TOPIC_CONFIG")
    assert after["synonyms"][0]["value"] == "1000"
    assert rest.delete(entry).status_code == 204
    assert rest.get(entry).json()["value"] == before["value"]
    altered = rest.post(
        f"{path}:alter",
        json={
            "data": [
                {"name": "cleanup.policy", "value": "compact"},
                {"name": "retention.ms", "operation": "DELETE"},
            ]
        },
    )
    assert altered.status_code == 204
    assert rest.get(f"{path}/cleanup.policy").json()["value"] == "compact"
    assert rest.get(f"{path}/no.such.key").status_code == 404
    bad = rest.put(f"{path}/cleanup.policy", json={"value": "burn"})
    assert (bad.status_code, bad.json()["error_code"]) == (400, 40002)
    names = {c["topic_name"] for c in rest.get("/topics/-/configs").json()["data"]}
    assert topic in names


def test_consumer_groups_and_their_lag(
    rest: httpx.Client, bootstrap_servers: str, topic: str
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(10):
        producer.produce(topic, str(n), partition=n % 2)
    producer.flush(90)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": topic,
            "client.id": "the-client",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    try:
        assert consumer.consume(1, 90)
        offsets = [TopicPartition(topic, 0, 1), TopicPartition(topic, 1, 5)]
        consumer.commit(offsets=offsets, asynchronous=False)
        group = rest.get(f"/consumer-groups/{topic}").json()
        assert (group["state"], group["is_simple"]) == ("STABLE", False)
        listed = rest.get("/consumer-groups").json()["data"]
        assert group in listed
        (member,) = rest.get(group["consumers"]["related"]).json()["data"]
        assert member["client_id"] == "the-client"
        assert rest.get(member["metadata"]["self"]).json() == member
        assignments = rest.get(member["assignments"]["related"]).json()["data"]
        assert [a["partition_id"] for a in assignments] == [0, 1]
        assert rest.get(assignments[0]["metadata"]["self"]).json() == assignments[0]
        lag = rest.get(assignments[0]["lag"]["related"]).json()
        assert (lag["current_offset"], lag["log_end_offset"], lag["lag"]) == (1, 5, 4)
        assert lag["consumer_id"] == member["consumer_id"]
        lags = rest.get(f"/consumer-groups/{topic}/lags").json()["data"]
        assert [x["lag"] for x in lags] == [4, 0]
        summary = rest.get(group["lag_summary"]["related"]).json()
        assert (summary["max_lag"], summary["total_lag"]) == (4, 4)
        assert (summary["max_lag_topic_name"], summary["max_lag_partition_id"]) == (topic, 0)
    finally:
        consumer.close()
    unknown = rest.get(f"/consumer-groups/{topic}-unknown")
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, 40405)


def test_records_as_a_stream_answer_while_more_are_sent(base: str, topic: str) -> None:
    address, path = base.removeprefix("http://").split("/", 1)
    connection = http.client.HTTPConnection(address, timeout=90)
    connection.putrequest("POST", f"/{path}/topics/{topic}/records")
    connection.putheader("transfer-encoding", "chunked")
    connection.putheader("content-type", "application/json")
    connection.endheaders()

    def send(data: bytes) -> None:
        connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    first = json.dumps({"partition_id": 1, **text('a }" {')}).encode()
    send(first[:10])
    send(first[10:])
    response = connection.getresponse()
    assert response.status == 200
    result = json.loads(response.readline())
    assert (result["error_code"], result["partition_id"], result["offset"]) == (200, 1, 0)
    assert result["value"] == {"type": "STRING", "size": 6}
    send(b'{"partition_id":1,"key":{"type":"JSON","data":{"a":1}}}{"value":{"type":"AVRO"}}')
    assert json.loads(response.readline())["offset"] == 1
    assert json.loads(response.readline())["error_code"] == 42206
    send(json.dumps({"partition_id": 7, **text("x")}).encode())
    assert json.loads(response.readline())["error_code"] != 200
    send(b" [] ")
    assert json.loads(response.readline())["error_code"] == 400
    response.close()
    connection.close()


def test_many_records_on_one_connection_keep_their_order(rest: httpx.Client, topic: str) -> None:
    total = 20_000
    body = (json.dumps({"partition_id": 0, **text(str(n))}).encode() for n in range(total))
    answer = rest.post(f"/topics/{topic}/records", content=body)
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [r["offset"] for r in results] == list(range(total))
    offset = rest.get(f"/topics/{topic}/partitions/0/offset").json()
    assert (offset["earliest_offset"], offset["latest_offset"]) == (0, total)


def test_records_in_a_batch(rest: httpx.Client, topic: str) -> None:
    path = f"/topics/{topic}/records:batch"
    entries = [
        {"id": "good", "partition_id": 0, **text("x"), "timestamp": "2026-01-02T03:04:05Z"},
        {"id": "bad", "value": {"type": "BINARY", "data": "???"}},
    ]
    answer = rest.post(path, json={"entries": entries})
    assert answer.status_code == 207
    (success,), (failure,) = answer.json()["successes"], answer.json()["failures"]
    assert (success["id"], success["offset"]) == ("good", 0)
    assert success["timestamp"] == "2026-01-02T03:04:05.000Z"
    assert (failure["id"], failure["error_code"]) == ("bad", 42203)
    many = rest.post(path, json={"entries": [{"id": str(n), **text("")} for n in range(11)]})
    assert (many.status_code, many.json()["error_code"]) == (422, 42208)
    same = rest.post(path, json={"entries": [{"id": "1", **text("")}] * 2})
    assert (same.status_code, same.json()["error_code"]) == (422, 42208)
    for content in (b"", b'{"entries":[]}'):
        empty = rest.post(path, content=content)
        assert (empty.status_code, empty.json()["error_code"]) == (422, 42208)
    nothing = rest.post("/topics", content=b"")
    assert (nothing.status_code, nothing.json()["error_code"]) == (422, 42206)


def test_a_partition_read_page_by_page(rest: httpx.Client, topic: str) -> None:
    records = [
        {
            "partition_id": 0,
            "timestamp": 1000 * n,
            "headers": [{"name": "h", "value": base64.b64encode(b"v").decode()}],
            "key": {"type": "BINARY", "data": base64.b64encode(b"\xff\x00").decode()},
            "value": {"type": "JSON", "data": {"n": n}},
        }
        for n in range(1, 6)
    ]
    rest.post(f"/topics/{topic}/records", content="".join(map(json.dumps, records)))
    path = f"/topics/{topic}/partitions/0/records"
    page = rest.get(path, params={"limit": 2}).json()
    assert [r["value"]["data"]["n"] for r in page["data"]] == [1, 2]
    assert (page["beginning_offset"], page["end_offset"], page["next_offset"]) == (0, 5, 2)
    record = page["data"][0]
    assert (record["timestamp"], record["timestamp_type"]) == (1000, "CREATE_TIME")
    assert record["headers"] == [{"name": "h", "value": "dg=="}]
    assert record["key"] == {"type": "BINARY", "data": "/wA="}
    following = rest.get(page["metadata"]["next"]).json()
    assert [r["offset"] for r in following["data"]] == [2, 3]
    late = rest.get(path, params={"timestamp": 4500}).json()
    assert [r["offset"] for r in late["data"]] == [4]
    assert rest.get(path, params={"timestamp": 9999}).json()["data"] == []
    assert rest.get(path, params={"offset": 99}).json()["next_offset"] == 5
    assert rest.get(path, params={"limit": 0}).status_code == 400
    assert rest.get(f"/topics/{topic}/partitions/9/records").status_code == 404


def test_a_live_tail_continues_where_it_was_cut(rest: httpx.Client, topic: str) -> None:
    path = f"/topics/{topic}/records:tail"

    def produce(value: str) -> None:
        answer = rest.post(
            f"/topics/{topic}/records:batch",
            json={"entries": [{"id": "1", "partition_id": 0, **text(value)}]},
        )
        assert answer.json()["successes"]

    def next_event(lines: Iterator[str]) -> dict[str, str]:
        event: dict[str, str] = {}
        for line in lines:
            if not line and event:
                return event
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
        raise AssertionError("the tail ended")

    produce("before")
    with rest.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines).startswith(": tail of")
        sender = threading.Thread(target=produce, args=("while",))
        sender.start()
        event = next_event(lines)
        sender.join()
        assert json.loads(event["data"])["value"] == {"type": "STRING", "data": "while"}
    produce("after")
    with rest.stream("GET", path, headers={"last-event-id": event["id"]}) as answer:
        assert json.loads(next_event(answer.iter_lines())["data"])["value"]["data"] == "after"
    with rest.stream("GET", path, params={"from": "earliest", "partition": 0}) as answer:
        assert json.loads(next_event(answer.iter_lines())["data"])["offset"] == 0


def test_what_is_not_there(rest: httpx.Client, address: str) -> None:
    assert asking.get(f"{address}/v3/clusters/other/topics").json()["error_code"] == 404
    assert rest.get("/topics/none").json()["error_code"] == 40403
    assert rest.get("/topics/none/configs").json()["error_code"] == 40403
    assert rest.post("/topics", content=b"{").status_code == 400
    assert rest.post("/topics", json={"topic_name": "a/b"}).json()["error_code"] == 40002
    assert rest.post("/topics", json={"topic_name": "a\0b"}).status_code == 400
    assert rest.get("/topics/a%00b/configs").status_code == 400
    assert rest.post("/acls", json={}).status_code == 422
    assert rest.delete("/acls").status_code == 400
