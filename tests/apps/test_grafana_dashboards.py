"""Every query of the Grafana dashboards uses metrics and labels that we serve."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.apps.gateway_process import any_ports, running_gateway
from tests.support import asking

from ottla.cli.main import main
from ottla.embedded import Broker
from ottla.gateway.grafana import DASHBOARDS

Served = dict[str, set[str]]
#: What the slowest part of the gateway gives: when these are there, all are.
WANTED = {
    "kafka_consumergroup_group_lag_seconds",
    "kafka_consumergroup_members",
    "ottla_requests_total",
}
#: PromQL's own words among the names of a query.
FUNCTIONS = {"sum", "max", "by", "rate", "histogram_quantile"}


def samples(text: str) -> Served:
    """Label names by metric of a scrape."""
    found: Served = {}
    for line in text.splitlines():
        match = re.match(r"([a-z_0-9]+)(?:{(.*)})? ", line)
        if match and not line.startswith("#"):
            found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return found


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """What a broker with a group and its gateway serve, the broker's own numbers among it."""
    with Broker(config={"ottla.metrics.port": "0"}) as broker:
        servers = {"bootstrap.servers": broker.bootstrap_servers}
        producer = Producer(servers)
        producer.produce("orders", b"x")
        producer.flush(90)
        consumer = Consumer({**servers, "group.id": "billing", "auto.offset.reset": "earliest"})
        consumer.subscribe(["orders"])
        assert consumer.consume(1, 90)
        consumer.commit(offsets=[TopicPartition("orders", 0, 1)], asynchronous=False)
        settings = any_ports(broker.bootstrap_servers)
        settings.broker_metrics_url = f"http://127.0.0.1:{broker.metrics_port}/metrics"
        with running_gateway(settings) as doors:
            deadline = time.monotonic() + 90
            while True:
                text = asking.get(f"{doors['Metrics']}/metrics").text
                found = samples(text)
                missing = WANTED - found.keys()
                if not missing:
                    break
                assert time.monotonic() < deadline, (missing, text[-2000:])
                time.sleep(0.1)  # polling the condition
            consumer.close()
            del producer, consumer
            yield found


def test_every_query_names_what_is_served(served: Served) -> None:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query, legend in panel.queries:
                bare = re.sub(r'"[^"]*"|\[\w+\]', "", query)
                names = set(re.findall(r"[a-z_]{2,}[a-z_0-9]*", bare)) - FUNCTIONS
                metrics = {n for n in names if "_" in n and n in served}
                assert metrics, query
                labels = set().union(*(served[m] for m in metrics))
                assert names <= metrics | labels, (query, names - metrics - labels)
                assert set(re.findall(r"{{(\w+)}}", legend)) <= labels, (query, legend)
        for label, metric in dashboard.variables:
            assert label in served[metric]


def test_export_writes_files_that_grafana_can_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboards", "export", str(tmp_path / "new")]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [f.name for f in files] == [
        "ottla-cluster.json",
        "ottla-topics.json",
        "ottla-groups.json",
    ]
    for file in files:
        found = json.loads(file.read_text())
        assert found["uid"] == file.stem
        places = [tuple(p["gridPos"][k] for k in "xy") for p in found["panels"]]
        assert len(set(places)) == len(places)
    (tmp_path / "file").write_text("")
    assert main(["dashboards", "export", str(tmp_path / "file")]) == 1
