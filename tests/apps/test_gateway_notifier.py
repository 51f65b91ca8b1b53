"""Burrow's HTTP notifier: an incident opens, and closes with the same id."""

from __future__ import annotations

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.apps.gateway_process import any_ports, running_gateway

from ottla.gateway.burrow.config import BurrowConfigError
from ottla.gateway.burrow.notifier import HttpNotifier

Calls = queue.Queue[tuple[str, str, Any]]


@pytest.fixture
def listener() -> Iterator[tuple[str, Calls]]:
    """An HTTP server's address, and the (method, path, body) of what it was sent."""
    calls: Calls = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            calls.put((self.command, self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", calls
        server.shutdown()
        thread.join()


def commit(bootstrap_servers: str, group: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(group, 0, offset)], asynchronous=False)
    consumer.close()


def test_an_incident_opens_and_closes(
    bootstrap_servers: str, unique: str, tmp_path: Path, listener: tuple[str, Calls]
) -> None:
    address, calls = listener
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(unique, num_partitions=1)])[unique].result(90)
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for n in range(10):
        producer.produce(unique, str(n))
    producer.flush(90)
    commit(bootstrap_servers, unique, 4)
    (tmp_path / "open.tmpl").write_text(
        '{"id":"{{.ID}}","text":"{{.Group}} is {{.Result.Status}} by {{.Result.TotalLag}}'
        ' in {{index .Extras "where"}}","partitions":{{.Result.Partitions | jsonencoder}}}'
    )
    config = tmp_path / "burrow.toml"
    config.write_text(
        f"""
        [cluster.local]
        class-name = "kafka"
        servers = ["{bootstrap_servers}"]
        offset-refresh = 1
        [evaluator.default]
        class-name = "caching"
        expire-cache = 0
        [notifier.web]
        class-name = "http"
        url-open = "{address}/open/{{{{.Extras.where}}}}"
        url-close = "{address}/close"
        method-close = "PUT"
        template-open = "{tmp_path}/open.tmpl"
        interval = 1
        send-interval = 600
        send-close = true
        group-allowlist = "^{unique}$"
        extras = {{ where = "Vienna" }}
        """
    )
    settings = any_ports(bootstrap_servers)
    settings.burrow_config_file = str(config)
    with running_gateway(settings):
        method, path, opened = calls.get(timeout=60)
        assert (method, path) == ("POST", "/open/Vienna")
        assert [(p["topic"], p["status"]) for p in opened["partitions"]] == [(unique, "STOP")]
        assert opened["text"] == f"{unique} is ERR by 6 in Vienna"
        commit(bootstrap_servers, unique, 10)
        method, path, closed = calls.get(timeout=60)
        assert (method, path) == ("PUT", "/close")
        assert (closed["event"], closed["id"], closed["group"]) == ("close", opened["id"], unique)
        assert closed["result"]["status"] == "OK"
    assert calls.empty()


def test_a_configuration_that_cannot_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BurrowConfigError, match="url-open"):
        HttpNotifier("n", {})
    url = {"url-open": "http://localhost/"}
    with pytest.raises(BurrowConfigError, match="cannot be read"):
        HttpNotifier("n", {**url, "template-open": str(tmp_path / "none")})
    (tmp_path / "bad").write_text("{{if}}")
    with pytest.raises(BurrowConfigError, match="Go's language: line 1: a value is missing"):
        HttpNotifier("n", {**url, "template-open": str(tmp_path / "bad")})
    with pytest.raises(BurrowConfigError, match="Go's language: line 1: the action"):
        HttpNotifier("n", {"url-open": "http://localhost/{{.Group"})
    with pytest.raises(BurrowConfigError, match="certificates"):
        HttpNotifier("n", {**url, "extra-ca": str(tmp_path / "none")})
    with pytest.raises(BurrowConfigError, match="pattern"):
        HttpNotifier("n", {**url, "group-denylist": "("})
