"""REST Proxy v2: the write-up's curl lines, the consumer life cycle, every error."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.apps.gateway_process import any_ports, running_gateway
from tests.support import asking

from ottla.embedded import Broker

V2 = "application/vnd.kafka.v2+json"
JSON = "application/vnd.kafka.json.v2+json"
BINARY = "application/vnd.kafka.binary.v2+json"


@pytest.fixture(scope="module")
def rest_address(bootstrap_servers: str) -> Iterator[str]:
    with running_gateway(any_ports(bootstrap_servers)) as doors:
        yield doors["REST Proxy"]


@pytest.fixture(scope="module")
def rest(rest_address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rest_address, timeout=90) as client:
        yield client


@pytest.fixture
def topic(bootstrap_servers: str, unique: str) -> str:
    """A topic with two partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(unique, num_partitions=2)])[unique].result(90)
    return unique


def produce(rest: httpx.Client, topic: str, *records: dict[str, Any], as_type: str = JSON) -> Any:
    answer = rest.post(
        f"/topics/{topic}", json={"records": list(records)}, headers={"content-type": as_type}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


class Instance:
    """A consumer instance, as a client of the API sees it."""

    def __init__(self, rest: httpx.Client, group: str, **config: Any) -> None:
        self.rest = rest
        created = rest.post(
            f"/consumers/{group}",
            json={"format": "json", "auto.offset.reset": "earliest", **config},
            headers={"content-type": V2},
        )
        assert created.status_code == 200, created.text
        self.name = created.json()["instance_id"]
        self.path = f"/consumers/{group}/instances/{self.name}"
        self.base_uri = created.json()["base_uri"]

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.rest.post(f"{self.path}/{path}", json=body, headers={"content-type": V2})

    def subscribe(self, *topics: str) -> None:
        assert self.post("subscription", {"topics": list(topics)}).status_code == 204

    def read_once(self, accept: str = JSON, **query: Any) -> Any:
        answer = self.rest.get(f"{self.path}/records", params=query, headers={"accept": accept})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read(self, accept: str = JSON, **query: Any) -> Any:
        """Read until something comes: on a busy machine a first answer may be empty."""
        deadline = time.monotonic() + 90
        while not (records := self.read_once(accept, **query)):
            assert time.monotonic() < deadline, "no record came"
        return records

    def read_until(self, count: int) -> list[Any]:
        """Read until there are `count` records."""
        found: list[Any] = []
        while len(found) < count:
            found += self.read()
        return found

    def assignments(self) -> list[int]:
        partitions = self.rest.get(f"{self.path}/assignments").json()["partitions"]
        return sorted(p["partition"] for p in partitions)

    def delete(self) -> None:
        assert self.rest.delete(self.path).status_code == 204


def curl(line: list[str]) -> str:
    return subprocess.run(
        ["curl", "-s", *line], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_write_ups_curl_lines(rest_address: str, unique: str) -> None:
    import json

    topic, group = f"topicgo1-{unique}", f"go_json_consumer-{unique}"
    produced = json.loads(
        curl(
            [
                "-X", "POST", "-H", "Content-Type: application/vnd.kafka.json.v2+json",
                "-H", "Accept: application/vnd.kafka.v2+json",
                "--data", '{"records":[{"value":{"msg":"success 4"}}]}',
                f"{rest_address}/topics/{topic}",
            ]
        )
    )  # fmt: skip
    assert produced["offsets"] == [{"partition": 0, "offset": 0, "error_code": None, "error": None}]
    assert topic in json.loads(curl([f"{rest_address}/topics"]))
    assert json.loads(curl([f"{rest_address}/topics/{topic}"]))["name"] == topic
    partitions = json.loads(curl([f"{rest_address}/topics/{topic}/partitions"]))
    assert partitions[0]["partition"] == 0
    assert partitions[0]["leader"] == partitions[0]["replicas"][0]["broker"]
    created = json.loads(
        curl(
            [
                "-X", "POST", "-H", "Content-Type: application/vnd.kafka.v2+json",
                "--data",
                ('{"name": "my_consumer_instance", "format": "json", "auto.offset.reset":'
                ' "earliest"}'),
                f"{rest_address}/consumers/{group}",
            ]
        )
    )  # fmt: skip
    base = f"{rest_address}/consumers/{group}/instances/my_consumer_instance"
    assert created == {"instance_id": "my_consumer_instance", "base_uri": base}
    curl(
        [
            "-X", "POST", "-H", "Content-Type: application/vnd.kafka.v2+json",
            "--data", json.dumps({"topics": [topic]}), f"{base}/subscription",
        ]
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while (read := curl(["-X", "GET", "-H", f"Accept: {JSON}", f"{base}/records"])) == "[]":
        assert time.monotonic() < deadline, "no record came"
    assert json.loads(read) == [
        {"topic": topic, "key": None, "value": {"msg": "success 4"}, "partition": 0, "offset": 0}
    ]
    deleted = curl(["-X", "DELETE", "-H", f"Content-Type: {V2}", "-w", "%{http_code}", base])
    assert deleted == "204"


def test_metadata_routes(rest: httpx.Client, topic: str) -> None:
    assert rest.get("/").json() == {}
    assert rest.get("/brokers").json()["brokers"]
    body = rest.get(f"/topics/{topic}").json()
    assert body["configs"]["cleanup.policy"] == "delete"
    assert [p["partition"] for p in body["partitions"]] == [0, 1]
    produce(rest, topic, {"value": 1, "partition": 1})
    offsets = rest.get(f"/topics/{topic}/partitions/1/offsets").json()
    assert offsets == {"beginning_offset": 0, "end_offset": 1}
    assert rest.get(f"/topics/{topic}/partitions/1").json()["partition"] == 1


def test_binary_records_keep_every_byte(rest: httpx.Client, topic: str, unique: str) -> None:
    data = base64.b64encode(bytes(range(256))).decode()
    produce(rest, topic, {"key": data, "value": data}, as_type=BINARY)
    reader = Instance(rest, unique, format="binary")
    reader.subscribe(topic)
    (record,) = reader.read(BINARY)
    assert (record["key"], record["value"]) == (data, data)
    reader.delete()


def test_produce_to_one_partition_and_keep_order(rest: httpx.Client, topic: str) -> None:
    answer = rest.post(
        f"/topics/{topic}/partitions/1",
        json={"records": [{"value": n} for n in range(100)]},
        headers={"content-type": JSON},
    ).json()
    assert [(o["partition"], o["offset"]) for o in answer["offsets"]] == [
        (1, n) for n in range(100)
    ]


def test_one_bad_partition_does_not_fail_the_other_records(rest: httpx.Client, topic: str) -> None:
    good, bad = produce(rest, topic, {"value": 1, "partition": 0}, {"value": 2, "partition": 9})[
        "offsets"
    ]
    assert good["error_code"] is None
    assert bad["offset"] is None
    assert bad["error_code"]


def test_invalid_json_is_reported_and_blocks_nobody(
    rest: httpx.Client, bootstrap_servers: str, topic: str, unique: str
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    key = b"0b5f9c3e-uuid"
    for value in (b'{"n":1}', b'{"uuid":"x", "msg":success"}', b'{"n":3}'):
        producer.produce(topic, value, key, partition=0)
    producer.flush(90)
    reader = Instance(rest, unique)
    reader.subscribe(topic)
    records = reader.read()
    assert [r["offset"] for r in records] == [0, 1, 2]
    assert [r["value"] for r in records] == [{"n": 1}, None, {"n": 3}]
    assert f"{topic}-0 offset 1" in records[1]["error"]
    assert base64.b64decode(records[1]["raw_value"]).startswith(b'{"uuid"')
    assert {r["key"] for r in records} == {key.decode()}
    reader.delete()


def test_headers_and_timestamps_on_request(
    rest: httpx.Client, bootstrap_servers: str, topic: str, unique: str
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    now_ms = int(time.time() * 1000)
    producer.produce(topic, b"1", headers=[("h", b"\x00v"), ("n", None)], timestamp=now_ms)
    producer.flush(90)
    reader = Instance(rest, unique)
    reader.subscribe(topic)
    (record,) = reader.read(metadata="true")
    assert record["timestamp"] == now_ms
    assert record["headers"] == [
        {"name": "h", "value": base64.b64encode(b"\x00v").decode()},
        {"name": "n", "value": None},
    ]
    reader.delete()


def test_commit_and_resume_with_a_second_instance(
    rest: httpx.Client, topic: str, unique: str
) -> None:
    produce(rest, topic, *({"value": n, "partition": 0} for n in range(5)))
    first = Instance(rest, unique, **{"auto.commit.enable": "false"})
    first.subscribe(topic)
    assert [r["value"] for r in first.read()] == list(range(5))
    committed = first.post("offsets", {"offsets": [{"topic": topic, "partition": 0, "offset": 2}]})
    assert committed.status_code == 200
    asked = rest.request(
        "GET",
        f"{first.path}/offsets",
        json={"partitions": [{"topic": topic, "partition": 0}]},
        headers={"content-type": V2},
    ).json()
    assert asked["offsets"][0]["offset"] == 3
    first.delete()
    second = Instance(rest, unique)
    second.subscribe(topic)
    assert [r["value"] for r in second.read()] == [3, 4]
    second.delete()


def test_the_first_read_of_a_new_kafka_returns_the_records(unique: str) -> None:
    """The broker makes its internal topics meanwhile; nobody types the line twice."""
    with (
        Broker() as broker,
        running_gateway(any_ports(broker.bootstrap_servers)) as doors,
        httpx.Client(base_url=doors["REST Proxy"], timeout=90) as rest,
    ):
        produce(rest, unique, {"value": {"msg": "success 4"}})
        for group in ("first", "second", "third"):
            instance = Instance(rest, group)
            instance.subscribe(unique)
            assert [r["value"] for r in instance.read_once()] == [{"msg": "success 4"}]
            instance.delete()


def test_reading_before_the_topic_exists(rest: httpx.Client, unique: str) -> None:
    instance = Instance(rest, unique)
    instance.subscribe(unique)
    assert instance.read_once() == []
    produce(rest, unique, {"value": 1})
    assert [r["value"] for r in instance.read()] == [1]
    instance.delete()


def test_a_second_instance_gets_its_share_while_the_first_is_idle(
    rest: httpx.Client, topic: str, unique: str
) -> None:
    for partition in (0, 1):
        produce(rest, topic, {"value": "early", "partition": partition})
    idle, busy = Instance(rest, unique), Instance(rest, unique)
    idle.subscribe(topic)
    assert len(idle.read_until(2)) == 2
    busy.subscribe(topic)
    deadline = time.monotonic() + 90
    while not (theirs := busy.assignments()):
        busy.read_once()
        assert time.monotonic() < deadline, "the second instance was never given a partition"
    assert len(theirs) == 1
    produce(rest, topic, {"value": "busy", "partition": theirs[0]})
    produce(rest, topic, {"value": "idle", "partition": 1 - theirs[0]})
    assert "busy" in [r["value"] for r in busy.read()]
    # Waking from its pause, the first goes on where it was.
    assert [r["value"] for r in idle.read()] == ["idle"]
    assert idle.assignments() == [1 - theirs[0]]
    idle.delete()
    busy.delete()


def test_committing_all_that_was_read(
    rest: httpx.Client, bootstrap_servers: str, topic: str, unique: str
) -> None:
    produce(rest, topic, *({"value": n, "partition": 1} for n in range(3)))
    reader = Instance(rest, unique, **{"auto.commit.enable": "false"})
    reader.subscribe(topic)
    reader.read()
    assert reader.rest.post(f"{reader.path}/offsets").json() == [
        {"topic": topic, "partition": 1, "consumed": 3, "committed": 3}
    ]
    reader.delete()
    check = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": unique})
    from confluent_kafka import TopicPartition

    assert check.committed([TopicPartition(topic, 1)], timeout=90)[0].offset == 3
    check.close()


def test_assign_seek_and_positions(rest: httpx.Client, topic: str, unique: str) -> None:
    produce(rest, topic, *({"value": n, "partition": 0} for n in range(6)))
    reader = Instance(rest, unique)
    where = {"topic": topic, "partition": 0}
    assert reader.post("assignments", {"partitions": [where]}).status_code == 204
    assert rest.get(f"{reader.path}/assignments").json() == {"partitions": [where]}
    assert len(reader.read()) == 6
    assert reader.post("positions", {"offsets": [{**where, "offset": 4}]}).status_code == 204
    assert [r["value"] for r in reader.read()] == [4, 5]
    assert reader.post("positions/beginning", {"partitions": [where]}).status_code == 204
    assert len(reader.read()) == 6
    assert reader.post("positions/end", {"partitions": [where]}).status_code == 204
    assert reader.read_once(timeout=300) == []
    reader.delete()


def test_max_bytes_splits_a_read_and_loses_nothing(
    rest: httpx.Client, topic: str, unique: str
) -> None:
    produce(rest, topic, *({"value": "x" * 100, "partition": 0} for _ in range(10)))
    reader = Instance(rest, unique)
    reader.subscribe(topic)
    offsets: list[int] = []
    while len(offsets) < 10:
        batch = reader.read(max_bytes=350)
        assert 0 < len(batch) <= 3
        offsets += [r["offset"] for r in batch]
    assert offsets == list(range(10))
    reader.delete()


def test_subscription_by_pattern(rest: httpx.Client, topic: str, unique: str) -> None:
    produce(rest, topic, {"value": 1})
    reader = Instance(rest, unique)
    assert reader.post("subscription", {"topic_pattern": f"{topic}.*"}).status_code == 204
    assert [r["value"] for r in reader.read()] == [1]
    assert rest.delete(f"{reader.path}/subscription").status_code == 204
    assert rest.get(f"{reader.path}/subscription").json() == {"topics": []}
    reader.delete()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "/topics/none-such", None, {}, 404, 40401),
        ("GET", "/topics/none-such/partitions", None, {}, 404, 40401),
        ("GET", "/topics/none-such/partitions/0", None, {}, 404, 40401),
        ("GET", "/nothing", None, {}, 404, 404),
        ("DELETE", "/topics", None, {}, 405, 405),
        ("GET", "/topics", None, {"accept": "text/html"}, 406, 406),
        ("POST", "/topics/t", "{}", {"content-type": "text/plain"}, 415, 415),
        ("POST", "/topics/t", "{", {"content-type": JSON}, 400, 400),
        ("POST", "/topics/t", "{}", {"content-type": JSON}, 422, 422),
        ("POST", "/topics/t", "", {"content-type": JSON}, 422, 422),
        ("POST", "/topics/t", '{"record":[]}', {"content-type": JSON}, 422, 422),
        ("POST", "/topics/t", '{"records":[{"value":"é"}]}', {"content-type": BINARY}, 422, 42203),
        (
            "POST",
            "/topics/t",
            '{"records":[{"value":1}]}',
            {"content-type": "application/vnd.kafka.avro.v2+json"},
            422,
            42207,
        ),
        (
            "POST",
            "/topics/t",
            '{"value_schema":"{}","records":[{"value":1}]}',
            {"content-type": "application/vnd.kafka.protobuf.v2+json"},
            422,
            42206,
        ),
        ("POST", "/consumers/g", '{"format":"xml"}', {"content-type": V2}, 422, 42204),
        ("POST", "/consumers/g", '{"format":"avro"}', {"content-type": V2}, 422, 42206),
        ("POST", "/consumers/g", '{"fetch.min.bytes":-5}', {"content-type": V2}, 422, 40001),
        ("POST", "/consumers/g", '{"name":592}', {"content-type": V2}, 422, 422),
        ("POST", "/consumers/g", '{"fetch.min.bytes":false}', {"content-type": V2}, 422, 42204),
        (
            "POST",
            "/topics/t",
            '{"records":[{"value":1,"partition":2147483648}]}',
            {"content-type": JSON},
            422,
            422,
        ),
        (
            "POST",
            "/consumers/g/instances/i/subscription",
            r'{"topics":["\uda69"]}',
            {"content-type": V2},
            400,
            400,
        ),
        (
            "POST",
            "/consumers/g/instances/i/positions",
            '{"timestamps":[{"topic":"t","partition":0,"timestamp":"99999-01-01T00:00:00Z"}]}',
            {"content-type": V2},
            422,
            422,
        ),
        ("GET", "/consumers/g/instances/i/records", None, {"accept": JSON}, 404, 40403),
        ("DELETE", "/consumers/g/instances/i", None, {}, 404, 40403),
    ],
)
def test_errors(
    rest: httpx.Client,
    method: str,
    path: str,
    body: str | None,
    headers: dict[str, str],
    status: int,
    code: int,
) -> None:
    answer = rest.request(method, path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert answer.json()["message"]


def test_errors_of_consumer_instances(rest: httpx.Client, topic: str, unique: str) -> None:
    reader = Instance(rest, unique, name="one")
    again = rest.post(f"/consumers/{unique}", json={"name": "one"}, headers={"content-type": V2})
    assert (again.status_code, again.json()["error_code"]) == (409, 40902)
    unready = rest.get(f"{reader.path}/records", headers={"accept": JSON})
    assert (unready.status_code, unready.json()["error_code"]) == (409, 40903)
    reader.subscribe(topic)
    other = rest.get(f"{reader.path}/records", headers={"accept": BINARY})
    assert (other.status_code, other.json()["error_code"]) == (406, 40601)
    both = reader.post("assignments", {"partitions": [{"topic": topic, "partition": 0}]})
    assert (both.status_code, both.json()["error_code"]) == (409, 40903)
    nothing = rest.get(f"{reader.path}/offsets")
    assert (nothing.status_code, nothing.json()["error_code"]) == (404, 40402)
    reader.delete()


def test_base_uri_uses_the_host_the_request_came_to(
    rest: httpx.Client, rest_address: str, unique: str
) -> None:
    port = rest_address.rpartition(":")[2]
    answer = rest.post(
        f"/consumers/{unique}",
        json={"name": "n"},
        headers={"content-type": V2, "host": f"localhost:{port}"},
    )
    assert answer.json()["base_uri"].startswith(f"http://localhost:{port}/consumers/")
    rest.delete(f"/consumers/{unique}/instances/n")


def test_idle_instances_expire(bootstrap_servers: str, unique: str) -> None:
    settings = any_ports(bootstrap_servers)
    settings.consumer_instance_timeout_ms = 400
    with (
        running_gateway(settings) as doors,
        httpx.Client(base_url=doors["REST Proxy"], timeout=90) as rest,
    ):
        reader = Instance(rest, unique)
        deadline = time.monotonic() + 90
        while True:
            # Asking for the subscription would keep it alive: create it again instead.
            answer = rest.post(
                f"/consumers/{unique}", json={"name": reader.name}, headers={"content-type": V2}
            )
            if answer.status_code == 200:
                break
            assert answer.json()["error_code"] == 40902
            assert time.monotonic() < deadline
            time.sleep(0.1)  # polling the condition


def test_credentials_are_asked_for(bootstrap_servers: str) -> None:
    settings = any_ports(bootstrap_servers)
    settings.basic_auth = "admin:secret"
    with running_gateway(settings) as doors:
        address = doors["REST Proxy"]
        assert asking.get(f"{address}/topics").status_code == 401
        assert asking.get(f"{address}/topics", auth=("admin", "wrong")).status_code == 401
        assert asking.get(f"{address}/topics", auth=("admin", "secret")).status_code == 200
        assert asking.get(f"{address}/health/live").status_code == 200
