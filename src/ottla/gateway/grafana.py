"""Grafana dashboards over the metrics we serve: cluster, topics, groups.

Built here instead of stored as JSON, so that each panel is one line with its
query; a test checks the queries' metric names against a scrape.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

#: The schema of Grafana 10; later ones migrate it when they load it.
SCHEMA_VERSION: Final = 38
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24


class Panel(NamedTuple):
    """One panel: (query, legend) pairs in one unit, `width` of 24 columns."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 12
    kind: str = "timeseries"


class Dashboard(NamedTuple):
    """A dashboard; `variables` are label names by the metric that lists their values."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()


def _stat(title: str, query: str, unit: str = "short") -> Panel:
    return Panel(title, ((query, ""),), unit, 4, "stat")


_TOPIC: Final = '{topic=~"$topic"}'
_GROUP: Final = '{consumergroup=~"$consumergroup"}'

DASHBOARDS: Final = (
    Dashboard(
        "cluster",
        "Ottla: cluster",
        (
            _stat("Brokers", "kafka_brokers"),
            _stat(
                "Active controllers", "sum(kafka_controller_kafkacontroller_activecontrollercount)"
            ),
            _stat("Partitions", "sum(kafka_server_replicamanager_partitioncount)"),
            _stat(
                "Offline partitions",
                "sum(kafka_controller_kafkacontroller_offlinepartitionscount)",
            ),
            _stat("Connections", "sum(kafka_server_socket_server_metrics_connection_count)"),
            _stat("Memory", "sum(process_resident_memory_bytes)", "bytes"),
            Panel(
                "Records in",
                (("sum(rate(kafka_server_brokertopicmetrics_messagesin_total[1m]))", "records"),),
                "cps",
            ),
            Panel(
                "Bytes in and out",
                (
                    ("sum(rate(kafka_server_brokertopicmetrics_bytesin_total[1m]))", "in"),
                    ("sum(rate(kafka_server_brokertopicmetrics_bytesout_total[1m]))", "out"),
                ),
                "Bps",
            ),
            Panel(
                "Requests by API",
                (("sum by (api) (rate(ottla_requests_total[1m]))", "{{api}}"),),
                "reqps",
            ),
            Panel(
                "Request time, 99th percentile",
                (
                    (
                        (
                            "histogram_quantile(0.99,"
                            " sum by (api, le) (rate(ottla_request_seconds_bucket[1m])))"
                        ),
                        "{{api}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Refused produces and internal errors",
                (
                    ("sum(rate(ottla_produces_refused_total[1m]))", "refused"),
                    ("sum(rate(ottla_internal_errors_total[1m]))", "internal"),
                ),
                "cps",
            ),
            Panel("Flushes to disk", (("sum(rate(ottla_flushes_total[1m]))", "flushes"),), "cps"),
        ),
    ),
    Dashboard(
        "topics",
        "Ottla: topics",
        (
            Panel(
                "Records in by topic",
                (
                    (
                        f"sum by (topic) (rate(kafka_topic_partition_current_offset{_TOPIC}[1m]))",
                        "{{topic}}",
                    ),
                ),
                "cps",
                24,
            ),
            Panel(
                "Records held",
                (
                    (
                        (
                            f"sum by (topic) (kafka_topic_partition_current_offset{_TOPIC}"
                            f" - kafka_topic_partition_oldest_offset{_TOPIC})"
                        ),
                        "{{topic}}",
                    ),
                ),
            ),
            Panel("Partitions", ((f"kafka_topic_partitions{_TOPIC}", "{{topic}}"),)),
            Panel(
                "Under-replicated partitions",
                (
                    (
                        (
                            "sum by (topic)"
                            f" (kafka_topic_partition_under_replicated_partition{_TOPIC})"
                        ),
                        "{{topic}}",
                    ),
                ),
            ),
            Panel(
                "Leader is not the preferred one",
                (
                    (
                        f"sum by (topic) (1 - kafka_topic_partition_leader_is_preferred{_TOPIC})",
                        "{{topic}}",
                    ),
                ),
            ),
        ),
        (("topic", "kafka_topic_partitions"),),
    ),
    Dashboard(
        "groups",
        "Ottla: consumer groups",
        (
            Panel(
                "Lag by group",
                (
                    (
                        f"sum by (consumergroup) (kafka_consumergroup_lag{_GROUP})",
                        "{{consumergroup}}",
                    ),
                ),
            ),
            Panel(
                "Lag in seconds",
                (
                    (
                        (
                            "max by (group) (kafka_consumergroup_group_lag_seconds{group=~"
                            '"$consumergroup"})'
                        ),
                        "{{group}}",
                    ),
                ),
                "s",
            ),
            Panel(
                "Lag by topic",
                ((f"kafka_consumergroup_lag_sum{_GROUP}", "{{consumergroup}} {{topic}}"),),
            ),
            Panel(
                "Records consumed",
                (
                    (
                        (
                            "sum by (consumergroup)"
                            f" (rate(kafka_consumergroup_current_offset{_GROUP}[1m]))"
                        ),
                        "{{consumergroup}}",
                    ),
                ),
                "cps",
            ),
            Panel("Members", ((f"kafka_consumergroup_members{_GROUP}", "{{consumergroup}}"),)),
            Panel(
                "Burrow's verdict: 1 OK, 2 WARN, 3 ERR",
                (
                    (
                        'burrow_kafka_consumer_status{consumer_group=~"$consumergroup"}',
                        "{{consumer_group}}",
                    ),
                ),
            ),
        ),
        (("consumergroup", "kafka_consumergroup_lag"),),
    ),
)


def _variable(label: str, metric: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({metric}, {label})", "refId": label},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def _panel(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": _height(panel)},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(65 + n), "expr": query, "legendFormat": legend, "datasource": DATASOURCE}
            for n, (query, legend) in enumerate(panel.queries)
        ],
    }


def _height(panel: Panel) -> int:
    return 4 if panel.kind == "stat" else 8


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports it; panels flow from left to right."""
    panels: list[dict[str, Any]] = []
    x = y = row = 0
    for number, panel in enumerate(dashboard.panels, 1):
        if x + panel.width > WIDTH:
            x, y, row = 0, y + row, 0
        panels.append(_panel(number, panel, x, y))
        x, row = x + panel.width, max(row, _height(panel))
    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }
    return {
        "uid": f"ottla-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["ottla", "kafka"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [source, *(_variable(*v) for v in dashboard.variables)]},
        "panels": panels,
    }
