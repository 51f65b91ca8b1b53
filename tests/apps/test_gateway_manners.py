"""What every door does alike: who may enter, how much and how long, what it tells, how it stops."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.apps.admin_commands import COMMANDS
from tests.apps.gateway_process import any_ports, running_gateway
from tests.support import asking

from ottla.cli.certificates import Authority

OTTLA = "import sys; from ottla.cli.main import main; sys.exit(main())"
JSON = {"content-type": "application/vnd.kafka.json.v2+json"}


def test_every_door_asks_for_credentials_and_tells_its_health(bootstrap_servers: str) -> None:
    settings = replace(any_ports(bootstrap_servers), basic_auth="ada:lace", bearer_token="t0ken")
    paths = {
        "REST Proxy": "/topics",
        "Burrow": "/v3/kafka",
        "Metrics": "/metrics",
        "Admin commands": "/commands/ruok",
    }
    with running_gateway(settings) as doors:
        assert set(doors) == set(paths)
        for name, path in paths.items():
            url = doors[name] + path
            refused = asking.get(url)
            assert refused.status_code == 401
            assert refused.json()["error_code"] == 40101
            assert refused.headers["www-authenticate"].startswith("Basic")
            for header in ("Bearer wrong", "Basic !!!", "Basic YTpi", "Digest x", "Bearer"):
                assert asking.get(url, headers={"authorization": header}).status_code == 401
            assert asking.get(url, auth=("ada", "lace")).status_code == 200
            known = {"authorization": "Bearer t0ken"}
            assert asking.get(url, headers=known).status_code == 200
            assert asking.get(f"{doors[name]}/health/live").json() == {"status": "live"}
            assert asking.get(f"{doors[name]}/health/ready").json()["status"] == "ready"


def test_the_address_as_it_is_printed_leads_somewhere(bootstrap_servers: str) -> None:
    """Doors without a front page of their own: a browser is sent on."""
    with running_gateway(any_ports(bootstrap_servers)) as doors:
        for name, path in (("Metrics", "/metrics"), ("Admin commands", "/commands")):
            answer = asking.get(f"{doors[name]}/")
            assert (answer.status_code, answer.headers["location"]) == (307, path)


def test_every_door_says_when_kafka_does_not_answer() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        settings = replace(any_ports(address), call_timeout_ms=300)
        with running_gateway(settings) as doors:
            for door in doors.values():
                assert asking.get(f"{door}/health/live").status_code == 200
                ready = asking.get(f"{door}/health/ready")
                assert ready.status_code >= 500
                assert set(ready.json()) == {"error_code", "message"}
                assert "Traceback" not in ready.text
            command = asking.get(f"{doors['Admin commands']}/commands/stats").json()
            assert (command["command"], bool(command["error"])) == ("stats", True)


def test_every_command_is_answered_wherever_zookeeper_users_look(bootstrap_servers: str) -> None:
    settings = replace(any_ports(bootstrap_servers), admin_ports=(0, 0))
    with running_gateway(settings) as doors:
        for name in ("Admin commands 1", "Admin commands 2", "REST Proxy"):
            door = doors[name]
            index = asking.get(f"{door}/commands")
            for command in COMMANDS:
                assert f"/commands/{command}" in index.text
                answer = asking.get(f"{door}/commands/{command}")
                assert answer.status_code == 200
                assert answer.json()["command"] == command
            assert asking.get(f"{door}/commands/ruok").json()["error"] is None
            assert asking.get(f"{door}/commands/isro").json()["read_only"] is False
            assert "metadata.max.age.ms" in asking.get(f"{door}/commands/watches").json()["error"]
            unknown = asking.get(f"{door}/commands/nonsense")
            assert (unknown.status_code, unknown.json()["command"]) == (404, "nonsense")
            roles = asking.get(f"{door}/zookeeper")
            assert "Controller election" in roles.text


def test_doors_over_tls(bootstrap_servers: str, tmp_path: Path) -> None:
    authority = Authority.create()
    authority.save(tmp_path)
    certificate = tmp_path / "door.pem"
    certificate.write_bytes(authority.issue("door", ["127.0.0.1"], is_server=True))
    settings = replace(any_ports(bootstrap_servers), tls_certificate=str(certificate))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with running_gateway(settings) as doors:
        for door in doors.values():
            assert door.startswith("https://")
            assert asking.get(f"{door}/health/live", verify=trusting).status_code == 200
        made = asking.post(
            f"{doors['REST Proxy']}/consumers/g",
            content=b"{}",
            headers={"content-type": "application/vnd.kafka.v2+json"},
            verify=trusting,
        )
        assert made.json()["base_uri"].startswith("https://")


def test_a_burrow_toml_says_where_its_api_listens(bootstrap_servers: str, tmp_path: Path) -> None:
    authority = Authority.create()
    authority.save(tmp_path)
    certificate = tmp_path / "door.pem"
    certificate.write_bytes(authority.issue("door", ["127.0.0.1"], is_server=True))
    config = tmp_path / "burrow.toml"
    config.write_text(
        f"""
        [general]
        access-control-allow-origin = "https://a.example"
        [cluster.local]
        class-name = "kafka"
        servers = ["{bootstrap_servers}"]
        [httpserver.default]
        address = ":0"
        [httpserver.safe]
        address = "127.0.0.1:0"
        tls = "door"
        [tls.door]
        certfile = "{certificate}"
        keyfile = "{certificate}"
        """
    )
    settings = replace(
        any_ports(bootstrap_servers),
        burrow_port=9,
        burrow_port_is_default=True,
        burrow_config_file=str(config),
    )
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    asked = {"origin": "https://a.example"}
    with running_gateway(settings) as doors:
        assert doors["Burrow 1"].startswith("http://127.0.0.1:")
        assert doors["Burrow 2"].startswith("https://127.0.0.1:")
        for door in ("Burrow 1", "Burrow 2"):
            answer = asking.get(f"{doors[door]}/burrow/admin", verify=trusting, headers=asked)
            assert answer.text == "GOOD"
            assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert doors["REST Proxy"].startswith("http://")
    settings = replace(settings, burrow_port=0, burrow_port_is_default=False)
    with running_gateway(settings) as doors:
        assert doors["Burrow"].startswith("http://127.0.0.1:")


def test_other_origins_are_let_in_only_when_named(bootstrap_servers: str) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    with running_gateway(any_ports(bootstrap_servers)) as doors:
        answer = asking.get(f"{doors['REST Proxy']}/health/live", headers=asked)
        assert "access-control-allow-origin" not in answer.headers
    named = replace(any_ports(bootstrap_servers), cors_origins=("https://a.example",))
    with running_gateway(named) as doors:
        for door in doors.values():
            answer = httpx.options(f"{door}/topics", headers=asked, timeout=90)
            assert answer.headers["access-control-allow-origin"] == "https://a.example"
            other = httpx.options(
                f"{door}/topics", headers={**asked, "origin": "https://b.example"}
            )
            assert "access-control-allow-origin" not in other.headers


def test_requests_too_long_or_too_slow_are_refused(bootstrap_servers: str, unique: str) -> None:
    settings = replace(any_ports(bootstrap_servers), max_request_bytes=1000, request_timeout_ms=200)
    with running_gateway(settings) as doors:
        door = doors["REST Proxy"]
        path = f"/topics/{unique}"
        long = asking.post(door + path, content=b" " * 1001, headers=JSON)
        assert (long.status_code, long.json()["error_code"]) == (413, 413)
        address = urlsplit(door)
        where = (address.hostname, address.port)
        with socket.create_connection(where, 30) as slow:
            slow.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n".encode())
            slow.sendall(b"Content-Type: application/vnd.kafka.json.v2+json\r\n\r\n{")
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        with socket.create_connection(where, 30) as endless:
            endless.sendall(f"GET {path} HTTP/1.1\r\nX: ".encode())
            answer = b""
            try:
                for _ in range(100):
                    endless.sendall(b"x" * 65536)
                answer = endless.recv(4096)
            except ConnectionError:
                answer = answer or b"HTTP/1.1 400"  # closed while we were still sending
            assert answer.startswith(b"HTTP/1.1 400")
        deep = asking.post(door + path, content=b"[" * 900, headers=JSON)
        assert deep.status_code == 400
        assert "Traceback" not in deep.text


class GatewayProcess:
    """`ottla gateway` as a person starts it, its REST door on a free port."""

    started: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(self, bootstrap_servers: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", OTTLA, "gateway", "--announce-json"),
                *("--bootstrap-servers", bootstrap_servers, "--rest-port", "0"),
                *("--burrow-port", "off", "--metrics-port", "off", "--admin-ports", "off"),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(self.process)
        assert self.process.stdout is not None
        self.door = json.loads(self.process.stdout.readline())["REST Proxy"]

    def stop(self) -> str:
        """Ends it as Ctrl-C does; returns what it wrote to standard error."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=90)
        assert self.process.returncode == 0
        return errors


@pytest.fixture(autouse=True)
def no_gateway_is_left() -> Iterator[None]:
    """Not even by a test that fails."""
    yield
    while GatewayProcess.started:
        process = GatewayProcess.started.pop()
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_access_log_has_one_json_line_a_request(bootstrap_servers: str) -> None:
    gateway = GatewayProcess(bootstrap_servers, "--access-log", "-")
    asking.get(f"{gateway.door}/topics")
    asking.get(f'{gateway.door}/no"where')
    lines = [json.loads(line) for line in gateway.stop().splitlines()]
    assert [(x["method"], x["path"], x["status"]) for x in lines] == [
        ("GET", "/topics", 200),
        ("GET", '/no"where', 404),
    ]
    assert set(lines[0]) == {"time", "client", "method", "path", "status", "ms"}


def stored(bootstrap_servers: str, topic: str) -> set[str]:
    """All values of a topic with one partition."""
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": topic}
    reader = Consumer(settings)
    where = TopicPartition(topic, 0, 0)
    _, end = reader.get_watermark_offsets(where, timeout=90)
    reader.assign([where])
    found: set[str] = set()
    while len(found) < end:
        for message in reader.consume(1000, 5):
            assert message.error() is None
            found.add((message.value() or b"").decode())
    reader.close()
    return found


@pytest.fixture
def one_partition(bootstrap_servers: str, unique: str) -> str:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(unique, 1)])[unique].result(90)
    return unique


def test_a_gateway_that_stops_under_load_keeps_what_it_acknowledged(
    bootstrap_servers: str, one_partition: str
) -> None:
    gateway = GatewayProcess(bootstrap_servers)
    acknowledged: set[str] = set()
    under_way = threading.Event()

    def produce(worker: int) -> None:
        with httpx.Client(timeout=90) as client:
            for number in range(100_000):
                values = [f"{worker}-{number}-{n}" for n in range(20)]
                records = [{"value": v} for v in values]
                try:
                    answer = client.post(
                        f"{gateway.door}/topics/{one_partition}",
                        json={"records": records},
                        headers=JSON,
                    )
                except httpx.TransportError:
                    return  # refused or cut off, which nobody takes for an acknowledgement
                if answer.status_code != 200:
                    return
                results = answer.json()["offsets"]
                acknowledged.update(
                    f'"{v}"' for v, r in zip(values, results, strict=True) if r["error"] is None
                )
                if number == 20:
                    under_way.set()

    workers = [threading.Thread(target=produce, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    assert under_way.wait(90)
    gateway.stop()
    for worker in workers:
        worker.join(60)
    assert len(acknowledged) > 400
    assert acknowledged <= stored(bootstrap_servers, one_partition)


def test_a_stream_is_told_that_the_gateway_stops(
    bootstrap_servers: str, one_partition: str
) -> None:
    gateway = GatewayProcess(bootstrap_servers)
    (cluster,) = asking.get(f"{gateway.door}/v3/clusters").json()["data"]
    path = urlsplit(f"{cluster['metadata']['self']}/topics/{one_partition}/records").path
    address = urlsplit(gateway.door)
    with socket.create_connection((address.hostname, address.port), 60) as stream:
        stream.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode())
        stream.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        record = json.dumps({"value": {"type": "STRING", "data": "kept"}}).encode()
        stream.sendall(b"%x\r\n%s\r\n" % (len(record), record))
        answer = stream.recv(65536)
        while b'"error_code":200' not in answer:
            answer += stream.recv(65536)
        gateway.process.send_signal(signal.SIGTERM)
        while more := stream.recv(65536):
            answer += more
    gateway.process.communicate(timeout=90)
    results: list[dict[str, Any]] = [
        json.loads(line) for line in answer.splitlines() if line.startswith(b"{")
    ]
    assert [r["error_code"] for r in results] == [200, 503]
    assert answer.endswith(b"0\r\n\r\n")
    assert stored(bootstrap_servers, one_partition) == {"kept"}
