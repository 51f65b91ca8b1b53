"""The broker's counters as Prometheus text.

Names that dashboards know (those the usual JMX exporter gives) where the
meaning is the same, `ottla_` for the rest. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ottla.broker.broker import Broker
from ottla.broker.metrics import Histogram, Metrics
from ottla.handlers.registry import ROWS
from ottla.server.driver import Driver
from ottla.server.limits import resident_bytes
from ottla.wire.messages.fetch import API_KEY as FETCH
from ottla.wire.messages.produce import API_KEY as PRODUCE

CONTENT_TYPE: Final = "text/plain; version=0.0.4"

_TOPICS: Final = "kafka_server_brokertopicmetrics_"
#: Histogram buckets shown: one in two powers of two, to keep the page short.
_SHOWN_BUCKETS: Final = range(0, 24, 2)

HELP: Final = {
    "kafka_server_brokertopicmetrics_messagesin_total": "Records taken",
    "kafka_server_brokertopicmetrics_bytesin_total": "Bytes of record batches taken",
    "kafka_server_brokertopicmetrics_bytesout_total": "Bytes of record batches sent to consumers",
    "kafka_server_socket_server_metrics_connection_count": "Open connections",
    "kafka_server_replicamanager_partitioncount": "Partitions",
    "kafka_server_replicamanager_leadercount": "Partitions that can be written and read",
    "kafka_server_replicamanager_underreplicatedpartitions": "Always 0: one node keeps one copy",
    "kafka_controller_kafkacontroller_offlinepartitionscount": "Partitions with an unusable log",
    "kafka_controller_kafkacontroller_activecontrollercount": "Always 1: this node",
    "ottla_connections_opened_total": "Connections ever opened",
    "ottla_connections_refused_total": "Connections closed because a limit was reached",
    "ottla_connections_evicted_total": "Connections closed for want of memory",
    "ottla_connections_bad_input_total": "Connections closed because of what they sent",
    "ottla_frames_refused_total": "Requests that were too long or made no sense",
    "ottla_internal_errors_total": "Faults of the broker itself; 0, or please report it",
    "ottla_batches_in_total": "Record batches taken",
    "ottla_produces_refused_total": "Partitions of produce requests answered with an error",
    "ottla_fetches_parked_total": "Fetches that waited for records",
    "ottla_flush_rounds_total": "Rounds in which logs were flushed together",
    "ottla_flushes_total": "Logs flushed to the disk",
    "ottla_flush_failures_total": "Flushes that the disk refused",
    "ottla_unsent_bytes": "Bytes of responses not yet taken by clients",
    "ottla_request_bytes": "Bytes of requests that are still arriving or being handled",
    "ottla_budget_bytes": "Limit of the two together",
    "process_resident_memory_bytes": "Memory the process holds",
    "kafka_server_brokertopicmetrics_totalproducerequests_total": "Produce requests",
    "kafka_server_brokertopicmetrics_totalfetchrequests_total": "Fetch requests",
    "kafka_server_brokertopicmetrics_failedproducerequests_total": "Errors in produce answers",
    "kafka_server_brokertopicmetrics_failedfetchrequests_total": "Errors in fetch answers",
    "kafka_controller_controllerstats_uncleanleaderelections_total": "Always 0: nobody is elected",
    "kafka_log_log_size": "Bytes of a partition's log",
    "ottla_requests_total": "Requests answered",
    "ottla_request_errors_total": "Errors in answers, by Kafka's error code",
    "ottla_request_seconds": "Time from a request's arrival to its answer",
}


def render(broker: Broker, driver: Driver) -> str:
    """The whole page."""
    return "\n".join(_lines(broker, driver)) + "\n"


def _lines(broker: Broker, driver: Driver) -> Iterator[str]:
    metrics, budget = broker.metrics, broker.budget
    partitions = [p for t in broker.metadata.topics.values() for p in t.partitions]
    offline = sum(1 for partition in partitions if partition.offline_error)
    produce, fetch = metrics.api(PRODUCE), metrics.api(FETCH)
    for name, kind, value in (
        (f"{_TOPICS}messagesin_total", "counter", metrics.records_in),
        (f"{_TOPICS}bytesin_total", "counter", metrics.bytes_in),
        (f"{_TOPICS}bytesout_total", "counter", metrics.bytes_out),
        (f"{_TOPICS}totalproducerequests_total", "counter", produce.requests),
        (f"{_TOPICS}totalfetchrequests_total", "counter", fetch.requests),
        (f"{_TOPICS}failedproducerequests_total", "counter", sum(produce.errors.values())),
        (f"{_TOPICS}failedfetchrequests_total", "counter", sum(fetch.errors.values())),
        ("kafka_server_socket_server_metrics_connection_count", "gauge", len(driver.connections)),
        ("kafka_server_replicamanager_partitioncount", "gauge", len(partitions)),
        ("kafka_server_replicamanager_leadercount", "gauge", len(partitions) - offline),
        ("kafka_server_replicamanager_underreplicatedpartitions", "gauge", 0),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", "gauge", offline),
        ("kafka_controller_kafkacontroller_activecontrollercount", "gauge", 1),
        ("kafka_controller_controllerstats_uncleanleaderelections_total", "counter", 0),
        ("ottla_connections_opened_total", "counter", metrics.connections_opened),
        ("ottla_connections_refused_total", "counter", driver.connections_refused),
        ("ottla_connections_evicted_total", "counter", driver.leftovers.evictions),
        ("ottla_connections_bad_input_total", "counter", metrics.connections_closed_by_error),
        ("ottla_frames_refused_total", "counter", driver.frames_refused),
        ("ottla_internal_errors_total", "counter", driver.internal_errors),
        ("ottla_batches_in_total", "counter", metrics.batches_in),
        ("ottla_produces_refused_total", "counter", metrics.produces_refused),
        ("ottla_fetches_parked_total", "counter", metrics.fetches_parked),
        ("ottla_flush_rounds_total", "counter", metrics.flush_rounds),
        ("ottla_flushes_total", "counter", metrics.flushes),
        ("ottla_flush_failures_total", "counter", metrics.flush_failures),
        ("ottla_unsent_bytes", "gauge", budget.unsent_bytes),
        ("ottla_request_bytes", "gauge", budget.request_bytes),
        ("ottla_budget_bytes", "gauge", budget.limit_bytes),
        ("process_resident_memory_bytes", "gauge", resident_bytes()),
    ):
        yield from _head(name, kind)
        yield f"{name} {value}"
    yield from _api_lines(metrics)
    yield from _head("kafka_log_log_size", "gauge")
    for partition in partitions:
        labels = f'topic="{partition.topic_name}",partition="{partition.index}"'
        yield f"kafka_log_log_size{{{labels}}} {partition.log.size}"


def _head(name: str, kind: str) -> Iterator[str]:
    if name in HELP:
        yield f"# HELP {name} {HELP[name]}"
    yield f"# TYPE {name} {kind}"


def _api_lines(metrics: Metrics) -> Iterator[str]:
    apis = [(_api_name(key), api) for key, api in sorted(metrics.apis.items())]
    yield from _head("ottla_requests_total", "counter")
    for name, api in apis:
        yield f'ottla_requests_total{{api="{name}"}} {api.requests}'
    yield from _head("ottla_request_errors_total", "counter")
    for name, api in apis:
        for code, count in sorted(api.errors.items()):
            yield f'ottla_request_errors_total{{api="{name}",code="{code}"}} {count}'
    yield from _head("ottla_request_seconds", "histogram")
    for name, api in apis:
        yield from _histogram("ottla_request_seconds", f'api="{name}"', api.time_ms)


def _api_name(key: int) -> str:
    """Kafka's name of an API: FindCoordinator for find_coordinator."""
    row = ROWS.get(key)
    return str(key) if row is None else row.name.title().replace("_", "")


def _histogram(name: str, label: str, histogram: Histogram) -> Iterator[str]:
    total = histogram.count
    for i in _SHOWN_BUCKETS:
        below = sum(histogram.counts[: i + 1])
        bound = ((1 << i) - 1) / 1000
        yield f'{name}_bucket{{{label},le="{bound:g}"}} {below}'
    yield f'{name}_bucket{{{label},le="+Inf"}} {total}'
    yield f"{name}_sum{{{label}}} {histogram.total / 1000:g}"
    yield f"{name}_count{{{label}}} {total}"
